import { inspect } from 'node:util';
import { expect } from 'chai';
import { configure, pin, Slice, type Stats, stats } from '../../lib/index.ts';
import { free, malloc, watched } from '../helpers/blocks.ts';
import { collectUntil } from '../helpers/collect.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { exceedPeak } from '../helpers/peak.ts';
import '../helpers/warnings.ts';

function endedBlocks(counts: Stats): number {
  const { releasedByScope, releasedByCollection, releasedByThreadEnd, releasedByC, disownedBlocks } = counts;
  return releasedByScope + releasedByCollection + releasedByThreadEnd + releasedByC + disownedBlocks;
}

/** What is live, and what became of the rest. */
const lifeCycle = [
  'liveBlocks',
  'liveBytes',
  'allocatedBlocks',
  'releasedByScope',
  'releasedByCollection',
  'releasedByThreadEnd',
  'releasedByC',
  'disownedBlocks',
  'lostDestructors',
  'failedDestructors',
] as const;

/** What `action` adds to each count. Nothing else can end a block within one job. */
function added(action: () => void): Partial<Stats> {
  const before = stats();
  action();
  const after = stats();
  const changes = lifeCycle.map((name) => [name, after[name] - before[name]] as const);
  return Object.fromEntries(changes.filter(([, change]) => change !== 0));
}

describe('stats', () => {
  it('counts are numbers, and every allocated block is live or has ended', () => {
    const counts = stats();
    for (const [name, count] of Object.entries(counts))
      expect(count, name).to.satisfy(Number.isSafeInteger).and.be.at.least(0);
    expect(counts.allocatedBlocks).to.equal(counts.liveBlocks + endedBlocks(counts));
    expect(counts.peakBytes).to.be.at.least(counts.liveBytes);
  });

  it('count a live block and its bytes', () => {
    const slices: Slice[] = [];
    const change = added(() => slices.push(Slice.alloc(100), Slice.alloc(0), Slice.fromString('abc')));
    expect(change).to.deep.equal({ liveBlocks: 3, liveBytes: 104, allocatedBlocks: 3 });
    for (const slice of slices) slice.release();
  });

  it('count each way in which a block ends, and hold the sum through all of them', async () => {
    expect(added(() => Slice.alloc(8).release())).to.deep.equal({ allocatedBlocks: 1, releasedByScope: 1 });
    expect(added(() => watched(8).slice.release())).to.deep.equal({ allocatedBlocks: 1, releasedByScope: 1 });
    expect(added(() => free(Slice.alloc(8).disown()))).to.deep.equal({ allocatedBlocks: 1, disownedBlocks: 1 });
    const before = stats();
    (() => {
      for (let i = 0; i < 10; i++) Slice.alloc(8);
    })();
    await collectUntil(() => stats().releasedByCollection - before.releasedByCollection === 10, 'ten blocks collected');
    const after = stats();
    expect(after.liveBlocks).to.equal(before.liveBlocks);
    expect(after.liveBytes).to.equal(before.liveBytes);
    expect(after.releasedByScope).to.equal(before.releasedByScope);
    expect(after.allocatedBlocks).to.equal(after.liveBlocks + endedBlocks(after));
  });

  it('do not count borrowed memory', () => {
    using block = Slice.alloc(8);
    expect(added(() => Slice.borrow(block.address, 8, block).release())).to.deep.equal({});
  });

  it('remember the peak of the live bytes', () => {
    const before = stats();
    const slices = exceedPeak();
    expect(stats().peakBytes).to.equal(before.peakBytes + 1000);
    for (const slice of slices) slice.release();
    expect(stats().peakBytes).to.equal(before.peakBytes + 1000);
    expect(stats().liveBytes).to.equal(before.liveBytes);
  });

  it('count a destructor that throws, and its block as ended', () => {
    const change = added(() => {
      Slice.adopt(malloc(8), 8, (at) => {
        free(at);
        throw new Error('for the count of failed destructors');
      }).release();
    });
    expect(change).to.deep.equal({ allocatedBlocks: 1, releasedByScope: 1, failedDestructors: 1 });
  });

  it('are a snapshot: what the caller does to it changes nothing', () => {
    const counts = stats();
    counts.liveBlocks = 1e6;
    expect(stats().liveBlocks).not.to.equal(1e6);
  });
});

describe('configure', () => {
  afterEach(() => configure({ limitBytes: 0 }));

  it('limits the live bytes of the process: past it allocations throw ERR_CSLICE_LIMIT and leave nothing', () => {
    configure({ limitBytes: stats().liveBytes + 1000 });
    using first = Slice.alloc(600);
    const before = stats();
    expectError(() => Slice.alloc(401), 'ERR_CSLICE_LIMIT', /401 bytes/);
    expectError(() => Slice.alloc(401, { zero: false }), 'ERR_CSLICE_LIMIT');
    expectError(() => Slice.fromBytes(new Uint8Array(500)), 'ERR_CSLICE_LIMIT');
    expect(stats()).to.deep.equal(before);
    using second = Slice.alloc(400);
    first.release();
    using third = Slice.alloc(600);
    expect(second.byteLength + third.byteLength).to.equal(1000);
  });

  it('collects garbage before it refuses, within a job that never yields', () => {
    const budget = 8 << 20;
    configure({ limitBytes: stats().liveBytes + budget });
    const drop = () => {
      Slice.alloc(1 << 20).bytes[0] = 1;
    };
    for (let i = 0; i < 100; i++) drop();
  });

  it('never refuses to adopt, though what is adopted counts', () => {
    configure({ limitBytes: stats().liveBytes + 1000 });
    const { slice } = watched(64 << 20); // more than the garbage of other tests that a runtime may find only now
    expectError(() => Slice.alloc(1), 'ERR_CSLICE_LIMIT');
    slice.release();
    Slice.alloc(1).release();
  });

  it('takes a fraction of the memory that the process may use', () => {
    configure({ limitBytes: { fractionOfMemory: 1e-9 } });
    expectError(() => Slice.alloc(1 << 20), 'ERR_CSLICE_LIMIT');
    configure({ limitBytes: { fractionOfMemory: 1 } });
    Slice.alloc(1 << 20).release();
  });

  it('has no limit after 0, and changes nothing where nothing is said', () => {
    configure({ limitBytes: 1 });
    configure({});
    expectError(() => Slice.alloc(1000), 'ERR_CSLICE_LIMIT');
    configure({ limitBytes: 0 });
    Slice.alloc(1000).release();
  });

  it('refuses invalid settings, and changes nothing then', () => {
    for (const limitBytes of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) {
      expectError(() => configure({ limitBytes }), 'ERR_CSLICE_RANGE', /limitBytes/);
    }
    for (const fractionOfMemory of [0, -0.5, 1.01, Number.NaN, Infinity]) {
      expectError(() => configure({ limitBytes: { fractionOfMemory } }), 'ERR_CSLICE_RANGE', /fractionOfMemory/);
    }
    for (const limitBytes of [null, '5', 5n, {}, { fractionOfMemory: '0.5' }]) {
      expectError(() => configure({ limitBytes: wrong(limitBytes) }), 'ERR_CSLICE_TYPE', /limitBytes/);
    }
    for (const configuration of [undefined, null, 5]) {
      expectError(() => configure(wrong(configuration)), 'ERR_CSLICE_TYPE', /configuration/);
    }
    Slice.alloc(1 << 20).release();
  });
});

describe('stats beyond the life of blocks', () => {
  it('tell kinds apart, and pins and what is retained', () => {
    const before = stats();
    using made = Slice.alloc(5000);
    const { slice: adopted } = watched(7);
    using pinned = pin(new Uint8Array(9));
    const { byKind, livePins } = stats();
    expect(byKind.alloc.liveBytes - before.byKind.alloc.liveBytes).to.equal(made.byteLength);
    expect(byKind.adopt.liveBytes - before.byKind.adopt.liveBytes).to.equal(7);
    expect(byKind.attach.liveBytes - before.byKind.attach.liveBytes).to.equal(pinned.byteLength);
    expect(livePins - before.livePins).to.equal(1);
    adopted.release();
    Slice.alloc(64).release();
    const { freeListBytes, cacheBytes, reclaimBytes, retainedBytes } = stats();
    expect(retainedBytes)
      .to.equal(freeListBytes + cacheBytes + reclaimBytes)
      .and.be.above(0);
  });

  it('are printed and written as JSON in full, and list only what allocations and releases change', () => {
    const counts = stats();
    expect(Object.keys(counts)).not.to.include('cacheBytes');
    expect(JSON.parse(JSON.stringify(counts))).to.include.keys('cacheBytes', 'byKind', 'livePins', 'waitingBytes');
    expect(inspect(counts)).to.match(/waitingBytes: /);
  });
});
