import { expect } from 'chai';
import koffi from 'koffi';
import { releaseAside } from '../../lib/core/reuse.ts';
import { configure, Slice, stats } from '../../lib/index.ts';
import { makeView, reuseAccount, testFailAllocation } from '../../lib/native/symbols.ts';
import { free } from '../support/blocks.ts';
import { collectUntil, settle } from '../support/collect.ts';
import { expectError, wrong } from '../support/expect-error.ts';
import { blocksLibraryPath } from '../support/interop/library.ts';
import { exceedPeak } from '../support/peak.ts';
import { runForJson } from '../support/run.ts';

/** A size that no other test uses, so that what lies aside of it is ours. */
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
function bytesAside(): number {
  return new Float64Array(makeView(reuseAccount(), 32) as ArrayBuffer)[2] as number;
}

/** The addresses of blocks that were written and released. */
function releaseMany(): Set<bigint> {
  const slices = allocMany();
  const addresses = new Set(slices.map(({ address }) => address));
  for (const { bytes } of slices) bytes.fill(7);
  release(slices);
  return addresses;
}

function isZero(slice: Slice): boolean {
  return slice.bytes.every((byte) => byte === 0);
}

describe('released blocks below 1 KiB', () => {
  beforeEach(() => settle(stats));
  afterEach(() => configure({ reuseBytes: usualReuse, limitBytes: 0 }));

  it('serve the next slices of their size, zeroed, each for one slice at a time', () => {
    const addresses = releaseMany();
    const slices = allocMany();
    const again = slices.map(({ address }) => address);
    expect(new Set(again)).to.deep.equal(addresses);
    expect(slices.every(isZero)).to.equal(true);
    release(slices);
  });

  it('are counted as released at their release, and as allocated when they serve again', () => {
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
    releaseAside();
    expect(bytesAside()).to.equal(0);
    expect(stats()).to.deep.equal(before);
    release(slices);
  });

  it('make a peak when they serve again, also where C hears first of their end', () => {
    releaseMany();
    const slices = exceedPeak();
    const before = stats();
    free(Slice.alloc(byteLength).disown());
    const { peakBytes, liveBytes } = stats();
    expect(peakBytes).to.equal(before.peakBytes + byteLength);
    expect(liveBytes).to.equal(before.liveBytes);
    release(slices);
  });

  it('leave dead views and dead handles behind', () => {
    const slices = allocMany();
    const views = slices.map(({ bytes }) => bytes);
    release(slices);
    const next = allocMany();
    expect(views.every((view) => view.length === 0)).to.equal(true);
    expectError(() => slices[0]?.bytes, 'ERR_CSLICE_RELEASED');
    slices[0]?.release();
    expect(new Set(next.map(({ address }) => address))).to.have.property('size', many);
    release(next);
  });

  it('do not serve again while anything else holds the block', () => {
    const slices = allocMany();
    const held = slices.map(({ address }) => address);
    const holders = slices.map((slice, i) => (i % 2 === 0 ? slice.lease() : slice.subslice(0, 8)));
    release(slices);
    const next = allocMany();
    expect(next.filter(({ address }) => held.includes(address))).to.deep.equal([]);
    for (const holder of holders) holder.release();
    release(next);
  });

  it('do not serve again while C or another thread may have a reference of its own', () => {
    const library = koffi.load(blocksLibraryPath());
    const slices = allocMany();
    for (const { bytes } of slices) bytes.fill(7);
    const [first, second] = slices as [Slice, Slice];
    library.func('void blk_keep(void *block)')(first.block);
    const shared = second.share();
    release(slices);
    const next = allocMany();
    for (const { bytes } of next) bytes.fill(8);
    expect(library.func('int blk_byte(size_t i)')(0)).to.equal(7);
    library.func('void blk_forget()')();
    using attached = Slice.attach(shared);
    expect(attached.bytes[0]).to.equal(7);
    release(next);
  });

  it('belong to the handle that they serve: it can resize, disown and drop them', async () => {
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
    for (const slice of next) slice.bytes.fill(1);
    release(next);
  });

  it('are no longer small once they have been resized to more', () => {
    releaseAside();
    for (const length of [1024, 5000, 1 << 20]) {
      const slice = Slice.alloc(byteLength);
      slice.resize(length);
      slice.release();
      expect(bytesAside(), `resized to ${length}`).to.equal(0);
    }
    Slice.alloc(byteLength).release();
    expect(bytesAside()).to.equal(byteLength);
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

  it('never lie aside in more bytes than reuseBytes', () => {
    configure({ reuseBytes: 10 * byteLength });
    const addresses = releaseMany();
    const slices = allocMany();
    expect(slices.every(isZero)).to.equal(true);
    expect(addresses.size).to.equal(many);
    release(slices);
  });

  it('refuse a reuseBytes that makes no sense', () => {
    for (const reuseBytes of [-1, 0.5, Number.NaN, Infinity]) {
      expectError(() => configure({ reuseBytes }), 'ERR_CSLICE_RANGE', /reuseBytes/);
    }
    expectError(() => configure({ reuseBytes: wrong('5') }), 'ERR_CSLICE_TYPE', /reuseBytes/);
  });

  it('of a worker thread end with it, counted as released by scope', () => {
    const change = runForJson('support/reuse-in-worker.ts');
    expect(change).to.deep.equal({ allocatedBlocks: 1010, releasedByScope: 1000, releasedByThreadEnd: 10 });
  });
});
