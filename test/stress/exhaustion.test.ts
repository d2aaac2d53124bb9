import { expect } from 'chai';
import { copy, copyBytes, destructor, readString, Slice, stats } from '../../lib/index.ts';
import { testFailAllocation } from '../../lib/native/symbols.ts';
import { free, malloc } from '../helpers/blocks.ts';
import { type Failures, failEach } from '../helpers/fail-each.ts';
import { fixture } from '../helpers/fixture.ts';
import { runForJson } from '../helpers/run.ts';

/** No statistics may have changed, not even the peak: a block of these is made in one piece. */
function failEachUnseen(action: () => Slice | undefined): Failures {
  const before = stats();
  const failures = failEach(
    action,
    (slice) => slice?.release(),
    () => expect(stats()).to.deep.equal(before),
  );
  expect(stats().liveBlocks).to.equal(before.liveBlocks);
  return failures;
}

describe('when memory is exhausted', () => {
  afterEach(() => testFailAllocation(0));

  const bytes = Uint8Array.of(1, 2, 3);
  const allocating: Record<string, () => Slice | undefined> = {
    'Slice.alloc': () => Slice.alloc(64),
    'Slice.alloc of 0 bytes': () => Slice.alloc(0),
    'Slice.alloc without zeros': () => Slice.alloc(64, { zero: false }),
    'Slice.alloc with an alignment': () => Slice.alloc(64, { alignment: 4096 }),
    'Slice.alloc of 64 MiB': () => Slice.alloc(64 << 20, { zero: false }),
    'Slice.fromBytes': () => Slice.fromBytes(bytes),
    'Slice.fromString': () => Slice.fromString('text'),
  };

  for (const [name, action] of Object.entries(allocating)) {
    it(`${name} throws ERR_CSLICE_NOMEM at each allocation that fails, and leaves nothing`, () => {
      const { failures, codes } = failEachUnseen(action);
      expect(failures).to.be.at.least(2);
      expect(codes).to.deep.equal(['ERR_CSLICE_NOMEM']);
    });
  }

  it('Slice.adopt with a C function throws, leaves the memory with the caller, and works afterwards', () => {
    const address = malloc(16);
    const release = destructor(fixture(), 'fixture_free');
    const { failures, codes } = failEachUnseen(() => Slice.adopt(address, 16, release));
    expect(failures).to.be.at.least(1);
    expect(codes).to.deep.equal(['ERR_CSLICE_NOMEM']);
  });

  it('Slice.adopt with a JavaScript function throws, and does not run that then', () => {
    const address = malloc(16);
    let calls = 0;
    const { failures, codes } = failEachUnseen(() =>
      Slice.adopt(address, 16, (at) => {
        calls++;
        free(at);
      }),
    );
    expect(failures).to.be.at.least(1);
    expect(codes).to.deep.equal(['ERR_CSLICE_NOMEM']);
    expect(calls).to.equal(1);
  });

  it('what needs no memory of C works on', () => {
    const slice = Slice.fromString('text');
    const other = Slice.alloc(8);
    testFailAllocation(1);
    expect(slice.text()).to.equal('text');
    expect(slice.copy(0, 2)).to.deep.equal(Uint8Array.of(0x74, 0x65));
    expect(copyBytes(slice.address, 1)).to.deep.equal(Uint8Array.of(0x74));
    expect(readString(slice.address)).to.equal('text');
    slice.write('char', 0, 0x54);
    expect(slice.read('char[5]')).to.equal('Text');
    expect(slice.view(Uint8Array, 1, 2).length).to.equal(2);
    expect(slice.toBuffer().length).to.equal(5);
    copy(other, slice);
    Slice.borrow(slice.address, 5, slice).release();
    expect(stats().liveBlocks).to.be.at.least(2);
    slice.release();
    free(other.disown());
  });

  it('the first uses of the library in a process fail as cleanly as all later ones', () => {
    const result = runForJson<Record<string, unknown>>('exhausted.ts');
    expect(result).to.deep.equal({ alloc: 'ERR_CSLICE_NOMEM', adopt: 'ERR_CSLICE_NOMEM', calls: 1, liveBlocks: 0 });
  });
});
