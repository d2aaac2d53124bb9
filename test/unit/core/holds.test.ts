import { createContext, runInContext, runInThisContext } from 'node:vm';
import { expect } from 'chai';
import { Pool, Slice, stats } from '../../../lib/index.ts';
import { watched } from '../../helpers/blocks.ts';
import { collectManyTimes, collectUntil, untilIdle } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';

function live(): number {
  return stats().liveBlocks;
}

interface Deferred {
  promise: Promise<void>;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** A promise, and what settles it. */
function deferred(): Deferred {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

describe('slice.lend', () => {
  beforeEach(() => untilIdle());

  it('resolves to what the promise resolves to, and lends the bytes themselves', async () => {
    using slice = Slice.fromString('hello');
    const { bytes } = slice;
    expect(await slice.lend(async (lent) => [lent === bytes, lent.length])).to.deep.equal([true, 6]);
    expect(await slice.lend(() => 7)).to.equal(7);
  });

  it('rejects with what the promise rejects with, and with what the function throws', async () => {
    using slice = Slice.alloc(8);
    const failure = new Error('of the user');
    for (const use of [
      () => Promise.reject(failure),
      () => {
        throw failure;
      },
    ]) {
      const thrown = await slice.lend(use).catch((error) => error);
      expect(thrown).to.equal(failure);
    }
    expect(slice.bytes.length).to.equal(8);
  });

  for (const [how, settlePromise] of Object.entries({
    resolves: (loan: Deferred) => loan.resolve(),
    rejects: (loan: Deferred) => loan.reject(new Error('of the user')),
  })) {
    it(`leaves views and memory to the loan at a release, until its promise ${how}`, async () => {
      const { slice, ended } = watched(16);
      const loan = deferred();
      const lent = slice.lend(() => loan.promise);
      const { bytes } = slice;
      slice.release();
      expect(slice.released).to.equal(true);
      expectError(() => slice.bytes, 'ERR_CSLICE_RELEASED');
      expect([bytes.length, ended.length]).to.deep.equal([16, 0]);
      settlePromise(loan);
      await lent.catch(() => {});
      expect([bytes.length, ended.length]).to.deep.equal([0, 1]);
    });
  }

  it('leaves views and memory to the loan at a release in the function itself', async () => {
    const { slice, ended } = watched(16);
    const { bytes } = slice;
    const seen = await slice.lend(() => {
      slice.release();
      return [bytes.length, ended.length];
    });
    expect(seen).to.deep.equal([16, 0]);
    expect([bytes.length, ended.length]).to.deep.equal([0, 1]);
  });

  it('still lends the bytes after an inner loan whose function has thrown', async () => {
    const { slice, ended } = watched(16);
    const { bytes } = slice;
    const seen = await slice.lend(() => {
      const inner = slice.lend(() => {
        throw new Error('of the user');
      });
      inner.catch(() => {});
      slice.release();
      return [bytes.length, ended.length];
    });
    expect(seen).to.deep.equal([16, 0]);
    expect([bytes.length, ended.length]).to.deep.equal([0, 1]);
  });

  it('delays no release of a slice that is not lent, or not any more', async () => {
    using other = Slice.alloc(8);
    const loan = deferred();
    const lent = other.lend(() => loan.promise);
    const never = watched(16);
    never.slice.release();
    const before = watched(16);
    await before.slice.lend(() => {});
    before.slice.release();
    const failed = watched(16);
    const thrown = failed.slice.lend(() => {
      throw new Error('of the user');
    });
    failed.slice.release();
    expect([never, before, failed].map(({ ended }) => ended.length)).to.deep.equal([1, 1, 1]);
    await thrown.catch(() => {});
    loan.resolve();
    await lent;
  });

  it('leaves no loan of a function that a timeout of vm has stopped', async () => {
    const stop = ({ slice }: { slice: Slice }): void => {
      const context = createContext({ slice });
      expect(() => runInContext('slice.lend(() => { for (;;); })', context, { timeout: 20 })).to.throw(/timed out/);
    };
    const first = watched(16);
    stop(first);
    await new Promise(setImmediate);
    first.slice.release();
    const second = watched(16);
    stop(second);
    await new Promise(setImmediate);
    const thrown = second.slice.lend(() => {
      throw new Error('of the user');
    });
    second.slice.release(); // in the job of a later loan
    expect([first.ended.length, second.ended.length]).to.deep.equal([1, 1]);
    await thrown.catch(() => {});
  });

  for (const [how, release] of Object.entries({
    'release()': (slice: Slice) => slice.release(),
    'await using': (slice: Slice) => slice[Symbol.asyncDispose](),
  })) {
    it(`ends by ${how} in the job in which a timeout of vm has stopped the function of a loan`, async () => {
      const { slice, ended } = watched(8);
      const { bytes } = slice;
      Object.assign(globalThis, {
        lendForEver: () =>
          slice.lend(() => {
            for (;;);
          }),
      });
      expect(() => runInThisContext('lendForEver()', { timeout: 20 })).to.throw(/timed out/);
      await release(slice);
      await Promise.resolve();
      expect([bytes.length, ended.length]).to.deep.equal([0, 1]);
      Reflect.deleteProperty(globalThis, 'lendForEver');
    });
  }

  it('waits for the last of several loans', async () => {
    const { slice, ended } = watched(16);
    const loans = [deferred(), deferred(), deferred()];
    const lent = loans.map((loan) => slice.lend(() => loan.promise));
    slice.release();
    for (const i of [1, 0]) {
      loans[i]?.resolve();
      await lent[i];
      expect(ended.length).to.equal(0);
    }
    loans[2]?.resolve();
    await lent[2];
    expect(ended.length).to.equal(1);
  });

  it('keeps the block where the promise never settles and nothing else refers to it, as stats() shows', async () => {
    const before = live();
    (() => {
      void Slice.alloc(5000).lend(() => new Promise(() => {}));
    })();
    await collectManyTimes();
    expect(live()).to.equal(before + 1);
  });

  it('keeps the block until the last loan has ended, although nothing else refers to it', async () => {
    const before = live();
    const loan = deferred();
    const lent = (() => {
      const slice = Slice.alloc(5000);
      void slice.lend(() => new Promise(() => {}));
      return slice.lend(() => loan.promise);
    })();
    loan.resolve();
    await lent;
    await collectManyTimes();
    expect(live()).to.equal(before + 1);
  });

  it('keeps nothing once the loan has ended', async () => {
    const before = live();
    await (() => Slice.alloc(5000).lend(() => {}))();
    await collectUntil(() => live() === before, 'the block is freed');
  });

  it('refuses to resize or disown a slice while it is lent', async () => {
    using slice = Slice.alloc(16);
    const loan = deferred();
    const lent = slice.lend(() => loan.promise);
    expectError(() => slice.resize(8), 'ERR_CSLICE_STATE', /lent/);
    expectError(() => slice.disown(), 'ERR_CSLICE_STATE', /lent/);
    loan.resolve();
    await lent;
    slice.resize(8);
  });

  it("keeps a pool's block from its next renter until the loan has ended", async () => {
    using pool = new Pool({ byteLength: 64, capacity: 2 });
    const rented = pool.rent();
    const { address } = rented;
    const loan = deferred();
    const lent = rented.lend(() => loan.promise);
    rented.release();
    using other = pool.rent();
    expect(other.address).to.not.equal(address);
    loan.resolve();
    await lent;
    using again = pool.rent();
    expect(again.address).to.equal(address);
    await again.lend(() => {});
    expect(again.bytes.length).to.equal(64); // a loan of its new renter ends nothing
    expectError(() => pool.rent(), 'ERR_CSLICE_EXHAUSTED'); // nor gives it to another one
  });

  it('throws at once for a released slice and for what is not a function', () => {
    const slice = Slice.alloc(8);
    expectError(() => slice.lend(wrong(5)), 'ERR_CSLICE_TYPE', /use/);
    slice.release();
    expectError(() => slice.lend(() => 1), 'ERR_CSLICE_RELEASED');
  });
});

describe('await using', () => {
  beforeEach(() => untilIdle());

  it('waits for loans and leases, then releases', async () => {
    const { slice, ended } = watched(16);
    const loan = deferred();
    void slice.lend(() => loan.promise);
    const lease = slice.lease();
    let disposed = false;
    const disposal = slice[Symbol.asyncDispose]().then(() => {
      disposed = true;
    });
    await new Promise(setImmediate);
    expect([disposed, slice.released]).to.deep.equal([false, false]);
    loan.resolve();
    await new Promise(setImmediate);
    expect([disposed, slice.released]).to.deep.equal([false, false]);
    lease.release();
    await disposal;
    expect([slice.released, ended.length]).to.deep.equal([true, 1]);
  });

  it('releases at once where nothing holds the slice, and does nothing the second time', async () => {
    const slice = Slice.alloc(8);
    const { bytes } = slice;
    await slice[Symbol.asyncDispose]();
    expect([slice.released, bytes.length]).to.deep.equal([true, 0]);
    await slice[Symbol.asyncDispose]();
  });

  it('does not wait for a lease that was forgotten and collected', async () => {
    const slice = Slice.alloc(8);
    (() => slice.lease())();
    let disposed = false;
    void slice[Symbol.asyncDispose]().then(() => {
      disposed = true;
    });
    await collectUntil(() => disposed, 'the disposal is done');
    expect(slice.released).to.equal(true);
  });
});
