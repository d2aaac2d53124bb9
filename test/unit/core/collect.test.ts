import { expect } from 'chai';
import { collectGarbage } from '../../../lib/core/collect.ts';
import { statusError } from '../../../lib/core/status.ts';
import { Slice, stats } from '../../../lib/index.ts';
import { status } from '../../../lib/native/symbols.ts';
import { watched } from '../../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../../helpers/collect.ts';
import { run } from '../../helpers/run.ts';

const megabyte = 1 << 20;

/** A full collection that the caller's frame leaves nothing behind for. */
function collectNow(): void {
  collectGarbage();
}

describe('a slice that is dropped', () => {
  it('ends alone: no other block ends with it, or changes', async () => {
    const rounds = 5;
    for (let round = 1; round <= rounds; round++) {
      const before = stats();
      const kept = (() => {
        const slices = Array.from({ length: 600 }, (_, i) => {
          const slice = Slice.alloc(8);
          slice.write('int', 0, round * 1000 + i);
          return slice;
        });
        return slices.filter((_, i) => i % 5 === 0);
      })();
      await collectUntil(() => stats().liveBlocks === before.liveBlocks + kept.length, 'four of five have ended');
      kept.forEach((slice, i) => {
        expect(slice.read('int')).to.equal(round * 1000 + i * 5);
        slice.release();
      });
      expect(stats().liveBlocks).to.equal(before.liveBlocks);
    }
  });

  it('is collected with a view and without one', async () => {
    const before = stats();
    (() => {
      for (let i = 0; i < 500; i++) {
        const slice = Slice.alloc(100);
        if (i % 2 === 0) slice.bytes[0] = 1;
      }
    })();
    await collectUntil(() => stats().liveBlocks === before.liveBlocks, 'all have ended');
    const after = stats();
    expect(after.releasedByCollection - before.releasedByCollection).to.equal(500);
    expect(after.liveBytes).to.equal(before.liveBytes);
  });

  it('was reachable before: what is reachable survives any number of collections', async () => {
    const slices = Array.from({ length: 100 }, (_, i) => {
      const slice = Slice.alloc(8);
      slice.write('int', 0, i);
      return slice;
    });
    await collectManyTimes();
    slices.forEach((slice, i) => {
      expect(slice.read('int')).to.equal(i);
      slice.release();
    });
  });

  it('is collected as part of a cycle with its own views and destructor', async () => {
    let ended = 0;
    (() => {
      const { slice } = watched(16);
      const cycle = { slice, bytes: slice.bytes, self: undefined as unknown };
      cycle.self = cycle;
      Object.assign(slice.bytes, { cycle });
    })();
    const before = stats();
    await collectUntil(() => {
      ended = before.liveBlocks - stats().liveBlocks;
      return ended === 1;
    }, 'the cycle has been collected');
  });

  it('gives its block back within a job that never yields', () => {
    const before = stats();
    const drop = (): void => {
      Slice.alloc(megabyte, { zero: false }).bytes[0] = 1;
    };
    for (let i = 0; i < 200; i++) {
      drop();
      if (i % 20 === 19) collectNow();
    }
    collectNow();
    const after = stats();
    expect(after.releasedByCollection - before.releasedByCollection).to.be.at.least(150);
  });

  it('is found by one collection, however small it is', () => {
    const { releasedByCollection } = stats();
    const drop = (): void => {
      for (let i = 0; i < 50; i++) Slice.alloc(8).bytes[0] = 1;
    };
    drop();
    collectNow();
    expect(stats().releasedByCollection - releasedByCollection).to.be.at.least(45);
  });

  it('has its destructor run once, within the job or after it', async () => {
    const ended: number[] = [];
    const drop = (i: number): void => {
      const { slice, ended: calls } = watched(megabyte / 2);
      slice.bytes[0] = 1;
      counts.push(calls);
      ended.push(i);
    };
    const counts: [bigint, number][][] = [];
    for (let i = 0; i < 100; i++) {
      drop(i);
      if (i % 10 === 9) collectNow();
    }
    await collectUntil(() => counts.every((calls) => calls.length > 0), 'all have ended');
    await collectManyTimes();
    expect(counts.every((calls) => calls.length === 1)).to.equal(true);
    expect(ended.length).to.equal(100);
  });
});

describe('statusError', () => {
  it('has an error for every status of the C library', () => {
    const codes = Object.values(status).map((code) => statusError(code, 'move 8 bytes'));
    expect(codes.map((error) => error.code)).to.include.members([
      'ERR_CSLICE_NOMEM',
      'ERR_CSLICE_LIMIT',
      'ERR_CSLICE_NO_VIEW',
    ]);
    for (const error of codes) expect(error.message).to.match(/^Cannot move 8 bytes: .{10,}/);
    expect(new Set(codes.map((error) => error.message)).size).to.equal(codes.length);
  });
});

describe('a service whose slices all die between two collections', () => {
  it('keeps the code that V8 has optimized for them', function () {
    if (process.versions.v8 === undefined) this.skip();
    const { stdout } = run('warm.ts', { flags: ['--trace-deopt'] });
    const thrownAway = [...stdout.matchAll(/<SharedFunctionInfo ([^>]+)>.*weak objects/g)].map(([, name]) => name);
    expect(thrownAway).to.contain('Perishable');
    for (const name of ['get bytes', 'alloc', 'allocate', 'made', 'show', 'Reference', 'Slice', '#live']) {
      expect(thrownAway).to.not.contain(name);
    }
  });
});
