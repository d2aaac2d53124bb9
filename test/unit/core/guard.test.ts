import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { expect } from 'chai';
import { configure, Slice, stats, withLabel } from '../../../lib/index.ts';
import { free, watched } from '../../helpers/blocks.ts';
import { c } from '../../helpers/c-library.ts';
import { untilIdle } from '../../helpers/collect.ts';
import { runtime } from '../../helpers/engine.ts';
import { expectError } from '../../helpers/expect-error.ts';
import { temporary } from '../../helpers/fixture.ts';
import '../../helpers/warnings.ts';

/** Whether a new block is guarded. One that is moves when C takes it over, to where `free()` can free it. */
function isNextGuarded(): boolean {
  const slice = Slice.alloc(2048);
  const { address } = slice;
  const taken = slice.disown();
  free(taken);
  return taken !== address;
}

function guardedOf(blocks: number): number {
  let guarded = 0;
  for (let i = 0; i < blocks; i++) if (isNextGuarded()) guarded++;
  return guarded;
}

describe('the sample of guard mode', () => {
  after(() => configure({ guard: false }));

  it('of 1 guards every block', () => {
    configure({ guard: { sample: 1 } });
    expect(guardedOf(100)).to.equal(100);
  });

  it('of n guards one of n on average, at no regular distance', () => {
    configure({ guard: { sample: 4 } });
    const guarded = Array.from({ length: 4000 }, isNextGuarded);
    expect(guarded.filter(Boolean).length).to.be.within(900, 1100);
    const at = guarded.flatMap((is, i) => (is ? [i] : []));
    const distances = new Set(at.map((i, n) => i - (at[n - 1] ?? 0)));
    expect(distances.size).to.be.above(4);
  });

  it('counts as allocated, and not as adopted, what it guards', () => {
    const before = stats().byKind;
    configure({ guard: { sample: 1 } });
    const slices = Array.from({ length: 10 }, () => Slice.alloc(100));
    using adopted = watched(7).slice;
    for (const slice of slices.splice(5)) slice.release();
    free((slices.pop() as Slice).disown());
    const { alloc, adopt } = stats().byKind;
    expect(alloc.liveBlocks - before.alloc.liveBlocks).to.equal(slices.length);
    expect(alloc.liveBytes - before.alloc.liveBytes).to.equal(100 * slices.length);
    expect(adopt.liveBytes - before.adopt.liveBytes).to.equal(adopted.byteLength);
    for (const slice of slices) slice.release();
  });

  it('holds from the next block on', () => {
    configure({ guard: { sample: 2 ** 30 } });
    expect(guardedOf(200)).to.equal(0);
    configure({ guard: { sample: 1 } });
    expect(isNextGuarded()).to.equal(true);
    configure({ guard: false });
    expect(guardedOf(200)).to.equal(0);
  });
});

const describeInNode = (title: string, suite: () => void): void => {
  if (runtime === 'node') describe(title, suite); // the others hold the memory themselves
};

describeInNode('memory that is released while Node may be using it', () => {
  before(untilIdle);
  after(() => configure({ guard: false }));

  function dropped(slice: Slice): void {
    slice.release();
  }

  /** The warnings of three releases at one place, each in the midst of a write. */
  async function warningsOfReleases(): Promise<(Error & { code?: string; detail?: string })[]> {
    const warnings: (Error & { code?: string; detail?: string })[] = [];
    const listener = (warning: Error) => warnings.push(warning);
    process.on('warning', listener);
    await using file = await open(temporary('released'), 'w');
    for (let i = 0; i < 3; i++) {
      const slice = Slice.alloc(61);
      const written = file.write(slice.bytes);
      dropped(slice);
      await written;
    }
    process.off('warning', listener);
    return warnings.filter(({ code }) => code === 'CSLICE_RELEASED_IN_USE');
  }

  it('is one warning a place where every block is guarded, with the operation and the stack', async () => {
    configure({ guard: { sample: 1 } });
    const warnings = await warningsOfReleases();
    expect(warnings).to.have.lengthOf(1);
    expect(warnings[0]?.name).to.equal('CSliceWarning');
    expect(warnings[0]?.message).to.match(
      /^A slice of 61 bytes was released while Node may be using its memory: under way are .*\bFSReqPromise\b/,
    );
    expect(warnings[0]?.message).to.match(
      /The memory is freed at a later garbage collection, and .* Release it after the operation, or use lend\(\), writeTo\(\) or toBuffer\(\)$/,
    );
    expect(warnings[0]?.detail).to.match(
      /^ {4}at dropped \(\S+guard\.test\.ts:\d+:\d+\)\n {4}at warningsOfReleases \(/,
    );
  });

  it('is no warning where not every block is guarded', async () => {
    configure({ guard: { sample: 2 } });
    expect(await warningsOfReleases()).to.deep.equal([]);
  });
});

const describeOnPosix = (title: string, suite: () => void): void => {
  if (process.platform !== 'win32') describe(title, suite); // dup2 leads C's stderr elsewhere
};

describeOnPosix('a report of guard mode', () => {
  const memset: (memory: bigint, byte: number, size: number) => void = c.func(
    'void *memset(uintptr_t memory, int byte, size_t size)',
  );
  const creat: (path: string, mode: number) => number = c.func('int creat(const char *path, unsigned int mode)');
  const close: (descriptor: number) => number = c.func('int close(int descriptor)');
  const dup: (descriptor: number) => number = c.func('int dup(int descriptor)');
  const dup2: (from: number, to: number) => number = c.func('int dup2(int from, int to)');

  before(() => configure({ guard: { sample: 1 } }));
  after(() => configure({ guard: false }));

  /** What is written to stderr meanwhile, by C too. */
  function stderrOf(action: () => void): string {
    const path = temporary('stderr');
    const file = creat(path, 0o600);
    const before = dup(2);
    dup2(file, 2);
    try {
      action();
    } finally {
      dup2(before, 2);
      close(before);
      close(file);
    }
    return readFileSync(path, 'utf8');
  }

  function made(label?: string): Slice {
    return label === undefined ? Slice.alloc(61) : Slice.alloc(61, { label });
  }

  function dropped(slice: Slice): void {
    slice.release();
  }

  /** The report of a block that C has written past. */
  function reportOf(make: () => Slice): string {
    return stderrOf(() => {
      const slice = make();
      memset(slice.address, 1, 63);
      dropped(slice);
    });
  }

  const place = String.raw`\(\S+guard\.test\.ts:\d+:\d+\)`;

  it('has the stacks of the allocation and of the release, a line a frame', () => {
    const report = reportOf(() => made());
    expect(report).to.include('C wrote at offset 61, past the end of a block of 61 bytes, found at its release');
    expect(report).to.match(new RegExp(`allocated:\n {4}at made ${place}\n {4}at .+ ${place}\n`));
    expect(report).to.match(new RegExp(`released .*:\n {4}at dropped ${place}\n {4}at .+ ${place}\n`));
  });

  it('has the label of the block: the one that alloc was given, else that of the scope', () => {
    expect(reportOf(() => made('given'))).to.match(/, label "?given/);
    expect(reportOf(() => withLabel('of the scope', () => made()))).to.match(/, label "?of the scope/);
    expect(reportOf(() => withLabel('of the scope', () => made('given')))).to.match(/, label "?given/);
    expect(reportOf(() => made())).not.to.include('label');
  });

  it('has the label of a block whose resize was refused', () => {
    const report = reportOf(() => {
      const slice = made('given');
      using lease = slice.lease();
      expectError(() => slice.resize(100), 'ERR_CSLICE_STATE');
      expect(lease.address).to.equal(slice.address);
      return slice;
    });
    expect(report).to.match(/, label "?given/);
  });

  it('has the same stack for blocks of one place', () => {
    const places = [1, 2].map(() => reportOf(() => made()).replace(/0x[0-9a-f]+/g, 'address'));
    expect(places[0]).to.equal(places[1]);
  });

  it('has the place of a resize, which the block is released by', () => {
    const overrun = (slice: Slice) => {
      memset(slice.address, 1, 63);
      return slice;
    };
    const resized = stderrOf(() => {
      using slice = overrun(made());
      (function resizing() {
        slice.resize(100);
      })();
    });
    expect(resized).to.match(new RegExp(`released .*:\n {4}at resizing ${place}`));
  });
});
