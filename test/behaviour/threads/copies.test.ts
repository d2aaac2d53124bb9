import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import * as first from '../../../lib/index.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../../helpers/collect.ts';
import { copyPackage, type Package } from '../../helpers/copies.ts';
import { wrong } from '../../helpers/expect-error.ts';
import { temporary } from '../../helpers/fixture.ts';
import { runForJson } from '../../helpers/run.ts';

const { stats } = first;

/** A slice of one copy whose destructor counts. */
function counted({ Slice }: Package, ends: { count: number }) {
  return Slice.adopt(malloc(32), 32, (address) => {
    ends.count++;
    free(address);
  });
}

describe('two copies of the package in one thread', function () {
  this.timeout(60_000);
  let url: string;
  let second: Package;

  before(async () => {
    url = copyPackage(temporary('copy'));
    second = await import(url);
    expect((second.Slice as unknown) === first.Slice).to.equal(false);
  });

  it('keep their blocks apart, however the two take turns', () => {
    const { liveBlocks } = stats();
    const slices = Array.from({ length: 1500 }, (_, i) => {
      const slice = (i % 2 === 0 ? first : second).Slice.alloc(16);
      slice.bytes.fill(i % 256);
      return slice;
    });
    expect(new Set(slices.map((slice) => slice.address)).size).to.equal(1500);
    slices.forEach((slice, i) => {
      if (i % 3 === 0) slice.release();
    });
    const more = Array.from({ length: 500 }, (_, i) => (i % 2 === 0 ? second : first).Slice.alloc(16));
    slices.forEach((slice, i) => {
      if (i % 3 === 0) return;
      expect(slice.copy()).to.deep.equal(new Uint8Array(16).fill(i % 256));
      slice.release();
    });
    for (const slice of more) slice.release();
    expect(stats().liveBlocks).to.equal(liveBlocks);
  });

  it('run the JavaScript destructors of their own blocks, each once', async () => {
    const ends = [{ count: 0 }, { count: 0 }] as const;
    (() => {
      const pairs = Array.from({ length: 100 }, () => [counted(first, ends[0]), counted(second, ends[1])] as const);
      for (const [i, pair] of pairs.entries()) pair[(i % 2) as 0 | 1].release();
      expect(ends.map(({ count }) => count)).to.deep.equal([50, 50]);
      expect(pairs.flat().filter(({ released }) => released).length).to.equal(100);
    })();
    await collectUntil(() => ends[0].count + ends[1].count === 200, 'all have ended');
    await collectManyTimes();
    expect(ends.map(({ count }) => count)).to.deep.equal([100, 100]);
  });

  it('collect what each of them dropped, in one job and later', async () => {
    const { liveBlocks, releasedByCollection } = stats();
    (() => {
      for (let i = 0; i < 40; i++) {
        for (const { Slice } of [first, second]) Slice.alloc(1 << 20, { zero: false }).bytes[0] = 1;
      }
    })();
    await collectUntil(() => stats().liveBlocks === liveBlocks, 'all have ended');
    expect(stats().releasedByCollection - releasedByCollection).to.equal(80);
  });

  it('count in the same statistics and obey the same limit', () => {
    expect(second.stats()).to.deep.equal(first.stats());
    const { liveBytes } = stats();
    first.configure({ limitBytes: liveBytes + 1000 });
    try {
      using _slice = second.Slice.alloc(900);
      for (const { Slice } of [first, second]) {
        expect(() => Slice.alloc(200))
          .to.throw()
          .with.property('code', 'ERR_CSLICE_LIMIT');
      }
    } finally {
      second.configure({ limitBytes: 0 });
    }
    first.Slice.alloc(2000).release();
  });

  it('refuse handles of the other, and take their views and addresses', () => {
    using mine = first.Slice.fromBytes(Uint8Array.of(1, 2, 3));
    using other = second.Slice.alloc(3);
    expect(() => second.copy(other, wrong(mine)))
      .to.throw()
      .with.property('code', 'ERR_CSLICE_TYPE');
    second.copy(other, mine.bytes);
    expect(other.copy()).to.deep.equal(Uint8Array.of(1, 2, 3));
    using borrowed = second.Slice.borrow(mine.address, 3, mine);
    expect(borrowed.copy()).to.deep.equal(Uint8Array.of(1, 2, 3));
  });

  it('attach what the other has shared', () => {
    const mine = first.Slice.fromBytes(Uint8Array.of(1, 2, 3));
    const other = second.Slice.attach(mine.toSharedBuffer());
    mine.release();
    expect(other.copy()).to.deep.equal(Uint8Array.of(1, 2, 3));
    other.release();
  });

  it('never let a pin of one stand over a block that the other has given back', () => {
    // In a process of its own: a mark of Node's that cannot be taken back may kill it.
    const outcome = runForJson<{ refused: boolean; early: number; ended: number }>('threads/pin-of-copy.ts', {
      args: [url],
    });
    expect(outcome).to.include({ early: 0, ended: 1 });
  });

  it('in a worker leave nothing behind when it ends', async () => {
    const { liveBlocks, releasedByThreadEnd } = stats();
    const worker = new Worker(new URL('../../programs/worker.mjs', import.meta.url), {
      workerData: { program: new URL('../../programs/threads/copies-in-worker.ts', import.meta.url).href, copy: url },
    });
    const [[message]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    expect(message).to.deep.equal({ live: liveBlocks + 40, same: false });
    expect(stats().liveBlocks).to.equal(liveBlocks);
    expect(stats().releasedByThreadEnd - releasedByThreadEnd).to.equal(40);
  });
});
