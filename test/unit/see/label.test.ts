import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type CSliceError, configure, Slice, stats, withBudget, withLabel } from '../../../lib/index.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';

const live = (label: string) => stats({ by: 'label' })[label] ?? { liveBlocks: 0, liveBytes: 0 };

describe('withLabel', () => {
  it('attributes what is allocated in it, through awaits and timers', async () => {
    const slices: Slice[] = [];
    const result = await withLabel('through awaits', async () => {
      slices.push(Slice.alloc(8));
      await sleep(1);
      slices.push(Slice.alloc(100));
      await new Promise<void>((resolve) => setTimeout(() => resolve(void slices.push(Slice.alloc(1000))), 1));
      return 7;
    });
    slices.push(Slice.alloc(5));
    expect(result).to.equal(7);
    expect(live('through awaits')).to.deep.equal({ liveBlocks: 3, liveBytes: 1108 });
    for (const slice of slices) slice.release();
    expect(stats({ by: 'label' })).not.to.have.property('through awaits');
  });

  it('keeps concurrent labels apart', async () => {
    const work = (label: string, byteLength: number) =>
      withLabel(label, async () => {
        await sleep(1);
        return Slice.alloc(byteLength);
      });
    const [a, b] = await Promise.all([work('a', 10), work('b', 20)]);
    expect([live('a').liveBytes, live('b').liveBytes]).to.deep.equal([10, 20]);
    a?.release();
    b?.release();
  });

  it('attributes to the innermost label, and to the one that alloc is given', () => {
    const slices = withLabel('outer', () => [
      Slice.alloc(1),
      withLabel('inner', () => Slice.alloc(10)),
      Slice.alloc(100, { label: 'given' }),
    ]);
    expect([live('outer').liveBytes, live('inner').liveBytes, live('given').liveBytes]).to.deep.equal([1, 10, 100]);
    for (const slice of slices) slice.release();
  });

  it('takes back what is collected', async () => {
    withLabel('dropped', () => void Slice.alloc(64).bytes);
    await collectUntil(() => live('dropped').liveBlocks === 0, 'a dropped block under a label');
  });

  it('throws what its function throws, and has ended then', () => {
    expect(() =>
      withLabel('throws', () => {
        throw new Error('mine');
      }),
    ).to.throw('mine');
    using slice = Slice.alloc(8);
    expect([live('throws').liveBlocks, slice.byteLength]).to.deep.equal([0, 8]);
  });

  it('refuses an allocation past the budget of the label, names it, and takes back what ends', () => {
    withLabel('tenant 7', { budgetBytes: 1000 }, () => {
      const first = Slice.alloc(600);
      const error = expectError(() => Slice.alloc(401), 'ERR_CSLICE_LIMIT', /tenant 7/) as CSliceError | undefined;
      expect(error === undefined || /1000/.test(error.message)).to.equal(true);
      expectError(() => Slice.fromBytes(new Uint8Array(500)), 'ERR_CSLICE_LIMIT', /tenant 7/);
      expectError(() => first.resize(1001), 'ERR_CSLICE_LIMIT', /tenant 7/);
      first.resize(1000);
      expectError(() => Slice.alloc(1), 'ERR_CSLICE_LIMIT', /tenant 7/);
      first.release();
      Slice.alloc(1000).release();
    });
    expect(live('tenant 7').liveBlocks).to.equal(0);
  });

  it('counts all calls with one label together, and what is under inner labels', () => {
    const kept = withLabel('shared', { budgetBytes: 100 }, () => withLabel('within', () => Slice.alloc(80)));
    withLabel('shared', { budgetBytes: 100 }, () => {
      expectError(() => Slice.alloc(21), 'ERR_CSLICE_LIMIT', /shared/);
      Slice.alloc(20).release();
    });
    kept.release();
  });

  it('collects before it refuses, within a job that never yields', () => {
    withLabel('garbage', { budgetBytes: 8 << 20 }, () => {
      for (let i = 0; i < 40; i++) (() => void Slice.alloc(1 << 20).bytes)();
    });
  });

  it('never refuses to adopt, though what is adopted counts', () => {
    withLabel('adopts', { budgetBytes: 10 }, () => {
      using adopted = Slice.adopt(malloc(100), 100, (address) => free(address));
      expect(live('adopts').liveBytes).to.equal(adopted.byteLength);
      expectError(() => Slice.alloc(1), 'ERR_CSLICE_LIMIT', /adopts/);
    });
  });

  it('refuses wrong arguments', () => {
    expectError(() => withLabel(wrong(1), () => {}), 'ERR_CSLICE_TYPE', /label/);
    expectError(() => withLabel('a', wrong(undefined)), 'ERR_CSLICE_TYPE');
    expectError(() => withLabel('a', wrong({ budget: 1 }), () => {}), 'ERR_CSLICE_TYPE', /budgetBytes/);
    expectError(() => withLabel('a', { budgetBytes: -1 }, () => {}), 'ERR_CSLICE_RANGE', /budgetBytes/);
    expectError(() => Slice.alloc(1, { label: wrong(1) }), 'ERR_CSLICE_TYPE', /label/);
    expectError(() => stats(wrong({ by: 'kind' })), 'ERR_CSLICE_RANGE', /label/);
    expectError(() => stats(wrong({ with: 'kind' })), 'ERR_CSLICE_TYPE', /by/);
  });
});

describe('withBudget', () => {
  it('limits what is live of what is allocated in it', async () => {
    await withBudget(100, async () => {
      using first = Slice.alloc(60);
      await sleep(1);
      expectError(() => Slice.alloc(41), 'ERR_CSLICE_LIMIT', /withBudget/);
      using second = Slice.alloc(40);
      expect(first.byteLength + second.byteLength).to.equal(100);
    });
    Slice.alloc(1000).release();
  });

  it('names the label around it', () => {
    withLabel('tenant 8', () =>
      withBudget(10, () => expectError(() => Slice.alloc(11), 'ERR_CSLICE_LIMIT', /tenant 8/)),
    );
  });

  it('refuses wrong arguments', () => {
    expectError(() => withBudget(-1, () => {}), 'ERR_CSLICE_RANGE', /bytes/);
    expectError(() => withBudget(1, wrong(undefined)), 'ERR_CSLICE_TYPE', /run/);
  });

  after(() => configure({}));
});
