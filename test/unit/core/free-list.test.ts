import { expect } from 'chai';
import koffi from 'koffi';
import { releaseKept } from '../../../lib/core/free-list.ts';
import { configure, copy, copyBytes, Slice, stats } from '../../../lib/index.ts';
import { reuseAccount, testFailAllocation } from '../../../lib/native/symbols.ts';
import { free } from '../../helpers/blocks.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { blocksLibraryPath } from '../../helpers/interop.ts';
import { exceedPeak } from '../../helpers/peak.ts';
import { runForJson } from '../../helpers/run.ts';

/** A size that no other test uses, so that what is kept of it is ours. */
const byteLength = 424;
const many = 200;

const usualReuse = 4 << 20;

function allocMany(length = byteLength): Slice[] {
  return Array.from({ length: many }, () => Slice.alloc(length));
}

function release(slices: Iterable<Slice>): void {
  for (const slice of slices) slice.release();
}

/** As C sees it. */
function bytesKept(): number {
  return new Float64Array(copyBytes(BigInt(reuseAccount()), 32).buffer)[2] as number;
}

/** Writes every byte, and leaves no view behind: a block whose view was seen is not kept. */
function fill(slice: Slice, byte: number): void {
  copy(slice, new Uint8Array(slice.byteLength).fill(byte));
}

/** The addresses of blocks that were written and released. */
function releaseMany(): Set<bigint> {
  const slices = allocMany();
  const addresses = new Set(slices.map(({ address }) => address));
  for (const slice of slices) fill(slice, 7);
  release(slices);
  return addresses;
}

function isZero(slice: Slice): boolean {
  return slice.copy().every((byte) => byte === 0);
}

describe('released blocks below 1 KiB', () => {
  afterEach(() => configure({ reuseBytes: usualReuse, limitBytes: 0 }));

  it('are used again by the next slices of their size, zeroed, each for one slice at a time', () => {
    const addresses = releaseMany();
    const slices = allocMany();
    const again = slices.map(({ address }) => address);
    expect(new Set(again)).to.deep.equal(addresses);
    expect(slices.every(isZero)).to.equal(true);
    release(slices);
  });

  it('are counted as released at their release, and as allocated when they are used again', () => {
    releaseMany();
    const before = stats();
    const slices = allocMany();
    const taken = stats();
    expect(taken.allocatedBlocks - before.allocatedBlocks).to.equal(many);
    expect(taken.liveBlocks - before.liveBlocks).to.equal(many);
    expect(taken.liveBytes - before.liveBytes).to.equal(many * byteLength);
    release(slices);
    const { allocatedBlocks, releasedByScope, ...rest } = stats();
    expect(releasedByScope - before.releasedByScope).to.equal(many);
    expect({ ...rest, allocatedBlocks: allocatedBlocks - many, releasedByScope: releasedByScope - many }).to.deep.equal(
      before,
    );
  });

  it('make no peak when C gets them back', () => {
    releaseMany();
    const slices = exceedPeak();
    const before = stats();
    expect(before.peakBytes).to.equal(before.liveBytes);
    releaseKept();
    expect(bytesKept()).to.equal(0);
    expect(stats()).to.deep.equal(before);
    release(slices);
  });

  it('make a peak when they are used again, also where C hears first of their end', () => {
    releaseMany();
    const slices = exceedPeak();
    const before = stats();
    free(Slice.alloc(byteLength).disown());
    const { peakBytes, liveBytes } = stats();
    expect(peakBytes).to.equal(before.peakBytes + byteLength);
    expect(liveBytes).to.equal(before.liveBytes);
    release(slices);
  });

  it('leave dead handles behind', () => {
    const slices = allocMany();
    release(slices);
    const next = allocMany();
    expectError(() => slices[0]?.bytes, 'ERR_CSLICE_RELEASED');
    slices[0]?.release();
    expect(new Set(next.map(({ address }) => address))).to.have.property('size', many);
    release(next);
  });

  it('are not used again while anything else holds the block', () => {
    const slices = allocMany();
    const held = slices.map(({ address }) => address);
    const holders = slices.map((slice, i) => (i % 2 === 0 ? slice.lease() : slice.subslice(0, 8)));
    release(slices);
    const next = allocMany();
    expect(next.filter(({ address }) => held.includes(address))).to.deep.equal([]);
    for (const holder of holders) holder.release();
    release(next);
  });

  it('are not used again while C or another thread may have a reference of its own', () => {
    const library = koffi.load(blocksLibraryPath());
    const slices = allocMany();
    for (const slice of slices) fill(slice, 7);
    const [first, second] = slices as [Slice, Slice];
    library.func('void blk_keep(void *block)')(first.block);
    const shared = second.toSharedBuffer();
    release(slices);
    const next = allocMany();
    for (const slice of next) fill(slice, 8);
    expect(library.func('int blk_byte(size_t i)')(0)).to.equal(7);
    library.func('void blk_forget()')();
    using attached = Slice.attach(shared);
    expect(attached.bytes[0]).to.equal(7);
    release(next);
  });

  it('belong to the handle that uses them: it can resize, disown and drop them', async () => {
    releaseMany();
    const before = stats();
    using slice = Slice.alloc(byteLength);
    slice.resize(4000);
    expect(slice.byteLength).to.equal(4000);
    expect(isZero(slice)).to.equal(true);
    free(Slice.alloc(byteLength).disown());
    expect(stats().disownedBlocks - before.disownedBlocks).to.equal(1);
    (() => {
      for (let i = 0; i < 10; i++) Slice.alloc(byteLength).bytes;
    })();
    await collectUntil(() => stats().releasedByCollection - before.releasedByCollection === 10, 'ten dropped slices');
  });

  it('take their new size with them after a resize', () => {
    const slices = allocMany(16);
    for (const slice of slices) slice.resize(byteLength);
    release(slices);
    const next = allocMany();
    expect(next.every((slice) => slice.copy().length === byteLength && isZero(slice))).to.equal(true);
    for (const slice of next) fill(slice, 1);
    release(next);
  });

  it('are no longer small once they have been resized to more', () => {
    releaseKept();
    for (const length of [1024, 5000, 1 << 20]) {
      const slice = Slice.alloc(byteLength);
      slice.resize(length);
      slice.release();
      expect(bytesKept(), `resized to ${length}`).to.equal(0);
    }
    Slice.alloc(byteLength).release();
    expect(bytesKept()).to.equal(byteLength);
  });

  it('hold texts and copies too, and never more than was asked for', () => {
    const texts = Array.from({ length: many }, (_, i) => Slice.fromString(`text ${i}`.padEnd(byteLength - 1)));
    release(texts);
    const again = Array.from({ length: many }, (_, i) => Slice.fromString(`again ${i}`.padEnd(byteLength - 1)));
    again.forEach((slice, i) => {
      expect(slice.text().trimEnd()).to.equal(`again ${i}`);
    });
    release(again);
  });

  it('need no memory from C, but do where reuseBytes is 0 and while there is a limit', () => {
    const failing = () => {
      releaseMany();
      testFailAllocation(1);
      try {
        Slice.alloc(byteLength).release();
      } finally {
        testFailAllocation(0);
      }
    };
    failing();
    for (const setting of [{ reuseBytes: 0 }, { limitBytes: 2 ** 40 }]) {
      configure(setting);
      expectError(failing, 'ERR_CSLICE_NOMEM');
      configure({ reuseBytes: usualReuse, limitBytes: 0 });
    }
  });

  it('are never kept in more bytes than reuseBytes', () => {
    configure({ reuseBytes: 10 * byteLength });
    const addresses = releaseMany();
    const slices = allocMany();
    expect(slices.every(isZero)).to.equal(true);
    expect(addresses.size).to.equal(many);
    release(slices);
  });

  it('are kept up to exactly reuseBytes; the next one empties what is kept', () => {
    releaseKept();
    configure({ reuseBytes: 10 * byteLength });
    const slices = Array.from({ length: 12 }, () => Slice.alloc(byteLength));
    const kept = slices.map((slice) => {
      slice.release();
      return bytesKept() / byteLength;
    });
    expect(kept).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1]);
  });

  it('are kept below 1 KiB, and 1024 of a size', () => {
    releaseKept();
    for (const [length, expected] of [
      [1023, 1023],
      [1024, 0],
    ] as const) {
      Slice.alloc(length).release();
      expect(bytesKept()).to.equal(expected);
      releaseKept();
    }
    release(Array.from({ length: 1100 }, () => Slice.alloc(24)));
    expect(bytesKept()).to.equal(1024 * 24);
    releaseKept();
  });

  it('are renewed by twice as many each time, up to 32, so that a rare size is used again soon', () => {
    const rare = 428;
    releaseKept();
    const waits: number[] = [];
    for (let round = 0; round < 8; round++) {
      const used: bigint[] = [];
      for (;;) {
        const next = Slice.alloc(rare); // from C, unless enough are there to be renewed
        const isKept = used.includes(next.address);
        if (isKept) {
          waits.push(used.length);
          const others = Array.from({ length: used.length - 1 }, () => Slice.alloc(rare));
          expect(others.every(({ address }) => used.includes(address))).to.equal(true);
          for (const slice of [next, ...others]) free(slice.disown());
          break;
        }
        const slice = next;
        used.push(slice.address);
        slice.release();
        if (used.length > 100) throw new Error('never used again');
      }
    }
    expect(waits).to.deep.equal([1, 2, 4, 8, 16, 32, 32, 32]);
  });

  it('are not kept where a view was seen: somebody may still hold it', () => {
    releaseKept();
    const slice = Slice.alloc(byteLength);
    slice.bytes[0] = 1;
    slice.release();
    expect(bytesKept()).to.equal(0);
  });

  it('refuse an invalid reuseBytes', () => {
    for (const reuseBytes of [-1, 0.5, Number.NaN, Infinity]) {
      expectError(() => configure({ reuseBytes }), 'ERR_CSLICE_RANGE', /reuseBytes/);
    }
    expectError(() => configure({ reuseBytes: wrong('5') }), 'ERR_CSLICE_TYPE', /reuseBytes/);
  });

  it('of a worker thread end with it, counted as released by scope', () => {
    const change = runForJson('reuse-in-worker.ts');
    expect(change).to.deep.equal({ allocatedBlocks: 1010, releasedByScope: 1000, releasedByThreadEnd: 10 });
  });
});
