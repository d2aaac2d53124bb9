import { expect } from 'chai';
import { blockOf, Lease } from '../../../lib/core/lease.ts';
import { copyBytes, destructor, pin, Slice, stats } from '../../../lib/index.ts';
import { free, watched } from '../../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../../helpers/collect.ts';
import { expectError } from '../../helpers/expect-error.ts';
import { fixture, lastCall, make } from '../../helpers/fixture.ts';

/** All orders of `items`. */
function orders<T>(items: T[]): T[][] {
  if (items.length < 2) return [items];
  return items.flatMap((item, i) => orders(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}

describe('a lease', () => {
  it('has the address and the size of the slice', () => {
    using slice = Slice.alloc(24);
    using lease = slice.lease();
    expect([lease.address, lease.byteLength, lease.released]).to.deep.equal([slice.address, 24, false]);
  });

  it('lets a release of the slice detach every view at once', () => {
    const slice = Slice.alloc(16);
    const [buffer, bytes, part] = [slice.buffer, slice.bytes, slice.view(Int32Array, 4, 2)];
    const lease = slice.lease();
    slice.release();
    expect([slice.released, buffer.byteLength, bytes.length, part.length]).to.deep.equal([true, 0, 0, 0]);
    expectError(() => slice.bytes, 'ERR_CSLICE_RELEASED');
    lease.release();
  });

  it('keeps the bytes for C after the release of the slice, and the JavaScript destructor waits', () => {
    const { slice, ended } = watched(16);
    const lease = slice.lease();
    slice.bytes.fill(9);
    slice.release();
    expect(ended).to.deep.equal([]);
    expect(copyBytes(lease.address, 16)).to.deep.equal(new Uint8Array(16).fill(9));
    const { address } = lease;
    lease.release();
    expect(ended).to.deep.equal([[address, 16]]);
  });

  it('delays a native destructor as well, which then runs once', () => {
    const address = make(8);
    const slice = Slice.adopt(address, 8, destructor(fixture(), 'fixture_free_sized', { signature: 'ptr,size' }));
    const [first, second] = [slice.lease(), slice.lease()];
    const before = lastCall().calls;
    slice.release();
    first.release();
    expect(lastCall().calls).to.equal(before);
    second.release();
    expect(lastCall()).to.include({ calls: before + 1, address, size: 8 });
  });

  it('does not end the block while the slice lives', () => {
    const { slice, ended } = watched(8);
    slice.lease().release();
    slice.bytes[0] = 3;
    expect([slice.bytes[0], ended.length]).to.deep.equal([3, 0]);
    slice.release();
    expect(ended.length).to.equal(1);
  });

  it('ends in any order with the slice and other leases, and the block goes with the last of them', () => {
    for (const order of orders([0, 1, 2, 3])) {
      const { slice, ended } = watched(8);
      const holds = [slice, slice.lease(), slice.lease(), slice.lease()];
      order.forEach((index, i) => {
        expect(ended.length, `${order} before ${i}`).to.equal(0);
        holds[index]?.release();
      });
      expect(ended.length, String(order)).to.equal(1);
      for (const hold of holds) hold.release();
      expect(ended.length, `${order}, and again`).to.equal(1);
    }
  });

  it('ends once, however often it is released, and leaves the tokens of others alone', () => {
    const { slice, ended } = watched(8);
    const lease = slice.lease();
    lease.release();
    const next = watched(8);
    for (let i = 0; i < 10; i++) {
      lease.release();
      lease[Symbol.dispose]();
    }
    expect([ended.length, next.ended.length]).to.deep.equal([0, 0]);
    slice.release();
    for (let i = 0; i < 10; i++) slice.release();
    expect([ended.length, next.ended.length, next.slice.bytes.length]).to.deep.equal([1, 0, 8]);
    next.slice.release();
  });

  it('ends with its scope', () => {
    const { slice, ended } = watched(8);
    {
      using lease = slice.lease();
      slice.release();
      expect([lease.released, ended.length]).to.deep.equal([false, 0]);
    }
    expect(ended.length).to.equal(1);
  });

  it('throws for its address after its end, and still says its size', () => {
    using slice = Slice.alloc(8);
    const lease = slice.lease();
    lease.release();
    expect([lease.released, lease.byteLength]).to.deep.equal([true, 8]);
    expectError(() => lease.address, 'ERR_CSLICE_RELEASED', /lease has ended/);
  });

  it('cannot be had of a released slice', () => {
    const slice = Slice.alloc(8);
    const kept = slice.lease();
    slice.release();
    expectError(() => slice.lease(), 'ERR_CSLICE_RELEASED');
    kept.release();
    expectError(() => slice.lease(), 'ERR_CSLICE_RELEASED');
  });

  it('cannot be made by hand', () => {
    for (const keeper of [undefined, null, {}, { slot: 0 }, Slice.alloc(8)]) {
      const message = /^A Lease is made by slice\.lease\(\), handle\.lease\(\) or pin\(\)$/;
      expectError(() => Reflect.construct(Lease, [keeper]), 'ERR_CSLICE_TYPE', message);
    }
  });

  it('knows the block that holds its memory', () => {
    using slice = Slice.alloc(8);
    using lease = slice.lease();
    expect(blockOf(lease)).to.equal(Number(slice.block));
    using ofView = pin(new Uint8Array(1000));
    expect(blockOf(ofView)).to.not.equal(Number(slice.block));
  });

  it('forgotten together with its slice ends by collection', async () => {
    const ended = (() => {
      const { slice, ended: calls } = watched(8);
      slice.lease();
      slice.lease();
      return calls;
    })();
    await collectUntil(() => ended.length > 0, 'the block has ended');
    await collectManyTimes();
    expect(ended.length).to.equal(1);
  });

  it('forgotten after the release of its slice ends by collection', async () => {
    const ended = (() => {
      const { slice, ended: calls } = watched(8);
      slice.bytes.fill(1);
      slice.lease();
      slice.release();
      return calls;
    })();
    await collectUntil(() => ended.length > 0, 'the block has ended');
    await collectManyTimes();
    expect(ended.length).to.equal(1);
  });

  it('that is reachable keeps the block of a forgotten slice', async () => {
    const held = (() => {
      const { slice, ended } = watched(8);
      slice.bytes.fill(5);
      return { lease: slice.lease(), ended };
    })();
    await collectManyTimes();
    expect(held.ended.length).to.equal(0);
    expect(copyBytes(held.lease.address, 8)).to.deep.equal(new Uint8Array(8).fill(5));
    held.lease.release();
    await collectUntil(() => held.ended.length > 0, 'the block has ended');
    expect(held.ended.length).to.equal(1);
  });

  it('of a borrowed slice keeps the owner for as long as it lasts', async () => {
    const held = (() => {
      const { slice: owner, ended } = watched(8);
      const borrowed = Slice.borrow(owner.address, 8, owner);
      const lease = borrowed.lease();
      borrowed.release();
      return { lease: lease as Disposable | undefined, ended, address: lease.address };
    })();
    await collectManyTimes();
    expect(held.ended.length).to.equal(0);
    held.lease?.[Symbol.dispose]();
    held.lease = undefined;
    await collectUntil(() => held.ended.length > 0, 'the owner has ended');
    expect(held.ended).to.deep.equal([[held.address, 8]]);
  });

  it('of a borrowed slice no longer keeps the owner after its release, although the lease itself is reachable', async () => {
    const held = (() => {
      const { slice: owner, ended } = watched(8);
      const lease = Slice.borrow(owner.address, 8, owner).lease();
      lease.release();
      return { lease, ended };
    })();
    await collectUntil(() => held.ended.length > 0, 'the owner has ended');
    expectError(() => held.lease.address, 'ERR_CSLICE_RELEASED');
  });

  it('forbids to disown the block, and a disown after its end works', () => {
    const slice = Slice.alloc(8);
    const lease = slice.lease();
    expectError(() => slice.disown(), 'ERR_CSLICE_STATE', /others hold the block/);
    expect(slice.released).to.equal(false);
    lease.release();
    free(slice.disown());
  });

  it('is counted as the same block, whose end counts once and by what ended it', async () => {
    const before = stats();
    const slice = Slice.alloc(1000);
    const leases = Array.from({ length: 10 }, () => slice.lease());
    const during = stats();
    expect([during.liveBlocks - before.liveBlocks, during.liveBytes - before.liveBytes]).to.deep.equal([1, 1000]);
    slice.release();
    for (const lease of leases.slice(1)) lease.release();
    expect(stats().liveBlocks).to.equal(before.liveBlocks + 1);
    leases[0]?.release();
    const after = stats();
    expect(after.liveBlocks).to.equal(before.liveBlocks);
    expect(after.liveBytes).to.equal(before.liveBytes);
    expect(after.allocatedBlocks - before.allocatedBlocks).to.equal(1);
    expect(after.releasedByScope - before.releasedByScope).to.equal(1);
    expect(after.releasedByCollection).to.equal(before.releasedByCollection);
  });

  it('whose collection ends the block counts as a release by collection', async () => {
    const before = stats();
    (() => {
      const slice = Slice.alloc(8);
      slice.lease();
      slice.release();
    })();
    await collectUntil(() => stats().liveBlocks === before.liveBlocks, 'the block has ended');
    expect(stats().releasedByCollection - before.releasedByCollection).to.equal(1);
    expect(stats().releasedByScope).to.equal(before.releasedByScope);
  });

  it('may be taken and ended by a destructor that runs at the end of another', () => {
    const inner = watched(8);
    const ends: string[] = [];
    const address = make(8);
    const outer = Slice.adopt(address, 8, (at) => {
      ends.push('outer');
      const lease = inner.slice.lease();
      inner.slice.release();
      expect(inner.ended.length).to.equal(0);
      lease.release();
      free(at);
    });
    const lease = outer.lease();
    outer.release();
    expect(ends).to.deep.equal([]);
    lease.release();
    expect([ends, inner.ended.length]).to.deep.equal([['outer'], 1]);
  });

  it('by the thousands on one block leaves nothing behind', () => {
    const { slice, ended } = watched(8);
    const { liveBlocks } = stats();
    const leases = Array.from({ length: 5000 }, () => slice.lease());
    slice.release();
    for (let i = 0; i < leases.length; i += 2) leases[i]?.release();
    expect(ended.length).to.equal(0);
    for (const lease of leases) lease.release();
    expect([ended.length, stats().liveBlocks]).to.deep.equal([1, liveBlocks - 1]);
  });
});
