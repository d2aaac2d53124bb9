import { expect } from 'chai';
import { configure, Slice } from '../../lib/index.ts';
import { expectError } from '../helpers/expect-error.ts';
import { type Outcome, run } from '../helpers/run.ts';

/** Runs one mistake of the program with every block guarded. */
function make(mistake: string, { args = ['1'], env = {} }: { args?: string[]; env?: NodeJS.ProcessEnv } = {}): Outcome {
  return run('guard/mistakes.ts', { args: [mistake, ...args], env });
}

/** Whether the process was ended by its fault, as without guard mode. */
function expectFault({ signal, status }: Outcome): void {
  expect(signal ?? status).to.be.oneOf(['SIGSEGV', 'SIGBUS', 139, 138]);
}

const stackOf = (name: string) => new RegExp(`at ${name} \\(\\S+mistakes\\.ts:\\d+:\\d+\\)`);

describe('guard mode', function () {
  this.timeout(60_000);

  it('reports a use of memory after its release, with the stacks of both, and the process ends by the fault', () => {
    const outcome = make('use after release');
    expectFault(outcome);
    expect(outcome.stderr)
      .to.include('at offset 16 of a block of 61 bytes after its release')
      .and.match(/allocated:\n\s+at makeSlice/)
      .and.match(/released by release\(\) or resize\(\):\n\s+at dropSlice/)
      .and.match(stackOf('makeSlice'))
      .and.match(stackOf('dropSlice'));
  });

  it('reports a use after a collection, which has no stack', () => {
    const outcome = make('use after collection');
    expectFault(outcome);
    expect(outcome.stderr)
      .to.include('released after a garbage collection; no JavaScript stack')
      .and.match(stackOf('makeSlice'));
  });

  it('reports a use of the old address after a resize', () => {
    const outcome = make('use after resize');
    expectFault(outcome);
    expect(outcome.stderr).to.include('at offset 0 of a block of 61 bytes after its release');
  });

  it('reports a use after the end of a lease, and none before it', () => {
    const outcome = make('use after the lease');
    expectFault(outcome);
    expect(outcome.stdout).to.include('the lease has ended');
    expect(outcome.stderr).to.include('after its release');
  });

  it('reports a write past the end as it happens', () => {
    const outcome = make('write past the end');
    expectFault(outcome);
    expect(outcome.stderr).to.include('at offset 64, past the end of a block of 64 bytes');
  });

  it('reports a write into the padding at the release, and the process goes on', () => {
    const { status, stdout, stderr } = make('write into the padding');
    expect(status).to.equal(0);
    expect(stdout).to.include('went on');
    expect(stderr).to.include('C wrote at offset 61, past the end of a block of 61 bytes, found at its release');
  });

  it('reports a free() by C of a released block', () => {
    const outcome = make('free a released block');
    expectFault(outcome);
    // What free() reads first depends on the C library: glibc is known.
    expect(outcome.stderr).to.match(
      /C called free\(\) for a released block|before the start of a block of 61 bytes after/,
    );
  });

  for (const [mistake, bytes] of [
    ['free a live block', 61],
    ['free a live block that fills its page to the end', 64],
    ['free a live block that fills its page', 4096],
    ['free a live block of many pages', 100_000],
  ] as const) {
    it(`reports each time that C has freed a live block, as in: ${mistake}`, function () {
      if (
        !process.report.getReport ||
        !('glibcVersionRuntime' in (process.report.getReport() as { header: object }).header)
      )
        this.skip();
      const outcome = make(mistake);
      expect(outcome.status).to.not.equal(0);
      expect(outcome.stderr)
        .to.include(`C called free() for a live block of ${bytes} bytes`)
        .and.match(stackOf('makeSlice'));
    });
  }

  it('reports nothing of an abort() that has another reason', () => {
    const { status, signal, stderr } = make('abort beside live blocks');
    expect({ status, signal }).to.deep.equal({ status: null, signal: 'SIGABRT' });
    expect(stderr).not.to.include('cslice');
  });

  it('warns once a site of memory that is released while an operation of Node may be using it', () => {
    const { status, stderr } = make('release under an operation');
    expect(status).to.equal(0);
    expect(stderr.match(/CSLICE_RELEASED_IN_USE/g)).to.have.lengthOf(1);
    expect(stderr).to.include('under way are FSReqPromise').and.match(stackOf('dropSlice'));
  });

  it('holds for worker threads too', () => {
    const outcome = make('in a worker', { args: [], env: { CSLICE_GUARD: '1' } });
    expectFault(outcome);
    expect(outcome.stderr)
      .to.include('at offset 16 of a block of 61 bytes after its release')
      .and.match(stackOf('dropSlice'));
  });

  it('leaves faults that are not its own to the handler of before: V8 makes an exception of those of WebAssembly', () => {
    const { status, stdout, stderr } = make('a trap of WebAssembly');
    expect({ status, stdout, stderr }).to.deep.equal({
      status: 0,
      stdout: 'memory access out of bounds\n',
      stderr: '',
    });
  });

  it('reports nothing of a program without a mistake, which may free() what disown() returns', () => {
    const { status, stdout, stderr } = make('none');
    expect({ status, stdout, stderr }).to.deep.equal({ status: 0, stdout: 'no mistake\n', stderr: '' });
  });

  it('is on from the start by CSLICE_GUARD, and off by 0 or nothing', () => {
    expectFault(make('use after release', { args: [], env: { CSLICE_GUARD: '1' } }));
    expect(make('none', { args: [], env: { CSLICE_GUARD: '1000' } }).stdout).to.equal('no mistake\n');
    for (const setting of ['', '0']) {
      expect(make('use after release', { args: [], env: { CSLICE_GUARD: setting } }).stderr, setting).not.to.include(
        'cslice',
      );
    }
  });

  it('a CSLICE_GUARD that is no number is a warning', () => {
    const { status, stderr } = make('none', { args: [], env: { CSLICE_GUARD: 'yes' } });
    expect(status).to.equal(0);
    expect(stderr).to.include('CSLICE_ENVIRONMENT').and.include('got "yes"');
  });

  it('configure refuses wrong settings, names the known ones, and changes nothing', () => {
    const wrong = (guard: unknown) => () => configure({ guard: guard as false });
    expectError(wrong(true), 'ERR_CSLICE_TYPE', /^guard must be false or \{ sample \}, got true$/);
    expectError(
      wrong({ sample: 0 }),
      'ERR_CSLICE_RANGE',
      /^guard.sample must be an integer from 1 to 1073741824, got 0$/,
    );
    expectError(wrong({ sample: '1' }), 'ERR_CSLICE_TYPE', /^guard.sample must be a number, got "1"$/);
    expectError(wrong({ rate: 1 }), 'ERR_CSLICE_TYPE', /^guard has no "rate"; it may have sample$/);
    expectError(wrong({}), 'ERR_CSLICE_TYPE', /^guard.sample must be a number, got undefined$/);
  });
});

describe('guarded slices', () => {
  before(() => configure({ guard: { sample: 1 } }));
  after(() => configure({ guard: false }));

  it('are slices as any other', () => {
    using slice = Slice.fromString('hello');
    expect(slice.text()).to.equal('hello');
    expect(Slice.alloc(100).bytes.every((byte) => byte === 0)).to.equal(true);
    slice.resize(10_000);
    expect(slice.text()).to.equal('hello');
    expect(slice.bytes.subarray(6).every((byte) => byte === 0)).to.equal(true);
    const buffer = slice.toBuffer(0, 5);
    slice.release();
    expect(buffer.toString()).to.equal('hello');
  });

  it('keep their alignment', () => {
    for (const alignment of [1, 16, 64, 4096, 65536]) {
      for (const byteLength of [0, 1, 61, 4096, 5000]) {
        using slice = Slice.alloc(byteLength, { alignment });
        expect(Number(slice.address % BigInt(Math.max(16, alignment))), `${byteLength} at ${alignment}`).to.equal(0);
      }
    }
  });

  it('end at a page boundary, but for their alignment', () => {
    for (const byteLength of [16, 64, 4096]) {
      using slice = Slice.alloc(byteLength);
      expect(Number((slice.address + BigInt(byteLength)) % 4096n)).to.equal(0);
    }
  });

  it('may be many: beyond a bound blocks are as without guard mode', function () {
    this.timeout(60_000);
    const slices = Array.from({ length: 20_000 }, () => Slice.alloc(8));
    for (const slice of slices) slice.release();
  });
});
