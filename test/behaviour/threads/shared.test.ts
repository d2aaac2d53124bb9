import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Pool, Slice, stats } from '../../../lib/index.ts';
import { testFailAllocation } from '../../../lib/native/symbols.ts';
import { watched } from '../../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { failEach } from '../../helpers/fail-each.ts';
import { inContext } from '../../helpers/realm.ts';
import { Thread } from '../../helpers/sharing.ts';

function live(): number {
  return stats().liveBlocks;
}

function iota(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i);
}

function bytesOf(buffer: SharedArrayBuffer): Uint8Array {
  return new Uint8Array(buffer);
}

describe('slice.toSharedBuffer', () => {
  it('shows the same bytes as the slice, at every size, and makes no further block', () => {
    for (const byteLength of [0, 1, 64, 1 << 16, 64 << 20]) {
      using slice = Slice.alloc(byteLength, { zero: false });
      const { allocatedBlocks } = stats();
      const buffer = slice.toSharedBuffer();
      expect(buffer).to.be.instanceOf(SharedArrayBuffer);
      expect([buffer.byteLength, buffer.growable ?? false]).to.deep.equal([byteLength, false]);
      expect(stats().allocatedBlocks).to.equal(allocatedBlocks);
      if (byteLength === 0) continue;
      slice.bytes[byteLength - 1] = 7;
      expect(bytesOf(buffer)[byteLength - 1]).to.equal(7);
      bytesOf(buffer)[0] = 8;
      expect(slice.bytes[0]).to.equal(8);
    }
  });

  it('shows the range of a subslice only', () => {
    using slice = Slice.fromBytes(iota(32));
    using part = slice.subslice(8, 24);
    const buffer = part.toSharedBuffer();
    expect(bytesOf(buffer)).to.deep.equal(iota(24).slice(8));
    using attached = Slice.attach(buffer);
    expect(attached.address).to.equal(slice.address + 8n);
    using inner = attached.subslice(4);
    expect(bytesOf(inner.toSharedBuffer())).to.deep.equal(iota(24).slice(12));
  });

  it('gives a buffer with a reference of its own, which outlives the slice and ends by collection', async () => {
    const { slice, ended } = watched(64);
    slice.bytes.fill(5);
    const held = { buffer: slice.toSharedBuffer() as SharedArrayBuffer | undefined };
    slice.release();
    await collectManyTimes();
    expect(ended.length).to.equal(0);
    expect(bytesOf(held.buffer as SharedArrayBuffer)).to.deep.equal(new Uint8Array(64).fill(5));
    held.buffer = undefined;
    await collectUntil(() => ended.length === 1, 'the block has ended');
    await collectManyTimes();
    expect(ended.length).to.equal(1);
  });

  it('leaves the slice and its views as they were when the buffer is collected', async () => {
    const { slice, ended } = watched(64);
    const { bytes } = slice;
    (() => slice.toSharedBuffer())();
    await collectManyTimes();
    expect([bytes.length, slice.bytes === bytes, ended.length]).to.deep.equal([64, true, 0]);
    slice.release();
    expect(bytes.length).to.equal(0);
    await collectUntil(() => ended.length === 1, 'the block has ended');
  });

  it('gives a new buffer each time, and the block waits for the last of several hundred', async () => {
    const { slice, ended } = watched(8);
    const buffers = Array.from({ length: 300 }, () => slice.toSharedBuffer());
    expect(new Set(buffers).size).to.equal(300);
    slice.bytes[0] = 9;
    slice.release();
    expect(buffers.every((buffer) => bytesOf(buffer)[0] === 9)).to.equal(true);
    const last = { buffer: buffers.pop() };
    buffers.length = 0;
    await collectManyTimes();
    expect([ended.length, bytesOf(last.buffer as SharedArrayBuffer)[0]]).to.deep.equal([0, 9]);
    last.buffer = undefined;
    await collectUntil(() => ended.length === 1, 'the block has ended');
  });

  it('frees several hundred blocks that only their buffers held', async () => {
    const before = live();
    const share = (i: number): SharedArrayBuffer => {
      using slice = Slice.alloc(1 + i);
      slice.bytes.fill(i);
      return slice.toSharedBuffer();
    };
    (() => {
      const buffers = Array.from({ length: 500 }, (_, i) => share(i));
      expect(live()).to.equal(before + 500);
      for (const [i, buffer] of buffers.entries()) {
        expect(bytesOf(buffer)).to.deep.equal(new Uint8Array(1 + i).fill(i));
      }
    })();
    await collectUntil(() => live() === before, 'all blocks have ended');
  });

  it('forbids to resize or disown the block, which others may reach', () => {
    using slice = Slice.fromBytes(iota(8));
    const buffer = slice.toSharedBuffer();
    expectError(() => slice.resize(16), 'ERR_CSLICE_STATE');
    expectError(() => slice.disown(), 'ERR_CSLICE_STATE');
    expect([slice.byteLength, buffer.byteLength]).to.deep.equal([8, 8]);
    expect(slice.bytes).to.deep.equal(iota(8));
  });

  it('takes a block from its pool for good: nobody else is lent what others may read', () => {
    using pool = new Pool({ byteLength: 64, capacity: 2 });
    const rented = pool.rent();
    const { address } = rented;
    rented.bytes.fill(3);
    const buffer = rented.toSharedBuffer();
    rented.release();
    using next = pool.rent();
    expect(next.address === address, 'the same block').to.equal(false);
    next.bytes.fill(1);
    expect(bytesOf(buffer)).to.deep.equal(new Uint8Array(64).fill(3));
  });

  it('refuses a borrowed slice and a released one', () => {
    const slice = Slice.alloc(8);
    using borrowed = Slice.borrow(slice.address, 8, slice);
    expectError(() => borrowed.toSharedBuffer(), 'ERR_CSLICE_TYPE', /borrowed/);
    slice.release();
    expectError(() => slice.toSharedBuffer(), 'ERR_CSLICE_RELEASED');
  });

  it('refuses a slice whose bytes were moved away', () => {
    const slice = Slice.alloc(8);
    structuredClone(slice.buffer, { transfer: [slice.buffer] });
    expectError(() => slice.toSharedBuffer(), 'ERR_CSLICE_RELEASED');
  });

  it('needs no memory of C', () => {
    using slice = Slice.alloc(8);
    testFailAllocation(1);
    try {
      expect(slice.toSharedBuffer().byteLength).to.equal(8);
    } finally {
      testFailAllocation(0);
    }
  });
});

describe('Slice.attach', () => {
  for (const byteLength of [1, 64, 64 << 20]) {
    it(`gives a slice over the memory of slice.toSharedBuffer(): the same ${byteLength} bytes, no further block`, () => {
      using slice = Slice.alloc(byteLength, { zero: false });
      const buffer = slice.toSharedBuffer();
      const before = stats();
      using attached = Slice.attach(buffer);
      expect([attached.address, attached.byteLength]).to.deep.equal([slice.address, byteLength]);
      expect(stats()).to.deep.equal(before);
    });
  }

  it('gives an empty slice for an empty buffer', () => {
    using empty = Slice.alloc(0);
    for (const buffer of [empty.toSharedBuffer(), new SharedArrayBuffer(0)]) {
      using attached = Slice.attach(buffer);
      expect([attached.byteLength, attached.bytes.length]).to.deep.equal([0, 0]);
    }
  });

  it('takes any SharedArrayBuffer: its bytes are those at the address that C gets', () => {
    const buffer = new SharedArrayBuffer(100);
    using attached = Slice.attach(buffer);
    using seen = Slice.borrow(attached.address, 100);
    bytesOf(buffer).set(iota(100));
    expect(seen.copy()).to.deep.equal(iota(100));
    attached.write('int', 0, -1);
    expect([...bytesOf(buffer).subarray(0, 5)]).to.deep.equal([255, 255, 255, 255, 4]);
  });

  it('takes the SharedArrayBuffer of another realm', () => {
    using attached = Slice.attach(inContext('new SharedArrayBuffer(8)'));
    expect(attached.byteLength).to.equal(8);
  });

  it('keeps the length that a growable buffer had, and stays valid while that grows', () => {
    const buffer = new SharedArrayBuffer(8, { maxByteLength: 1 << 20 } as never) as SharedArrayBuffer & {
      grow(byteLength: number): void;
    };
    using attached = Slice.attach(buffer);
    buffer.grow(1 << 20);
    bytesOf(buffer).fill(6);
    expect(attached.byteLength).to.equal(8);
    expect(attached.bytes).to.deep.equal(new Uint8Array(8).fill(6));
    using again = Slice.attach(buffer);
    expect([again.byteLength, again.address]).to.deep.equal([1 << 20, attached.address]);
  });

  it('keeps the memory of a buffer that JavaScript has forgotten', async () => {
    const slices = (() =>
      Array.from({ length: 50 }, (_, i) => {
        const buffer = new SharedArrayBuffer(1 << 16);
        bytesOf(buffer).fill(i);
        return Slice.attach(buffer);
      }))();
    await collectManyTimes();
    const others = Array.from({ length: 50 }, () => bytesOf(new SharedArrayBuffer(1 << 16)).fill(0xee));
    for (const [i, slice] of slices.entries()) {
      expect(slice.bytes.every((byte) => byte === i)).to.equal(true);
      slice.release();
    }
    expect(others.every((bytes) => bytes.every((byte) => byte === 0xee))).to.equal(true);
  });

  it('kills its own views at the release, and leaves the buffer and other slices alone', () => {
    const buffer = new SharedArrayBuffer(8);
    const first = Slice.attach(buffer);
    using second = Slice.attach(buffer);
    const { bytes } = first;
    first.release();
    bytesOf(buffer)[0] = 5;
    expect([bytes.length, second.bytes[0], buffer.byteLength]).to.deep.equal([0, 5, 8]);
    expectError(() => first.bytes, 'ERR_CSLICE_RELEASED');
  });

  it('holds the block after the slice, its buffers and the other attached slices are gone', async () => {
    const { slice, ended } = watched(64);
    slice.bytes.fill(2);
    const attached = (() => Slice.attach(slice.toSharedBuffer()))();
    const further = (() => Slice.attach(attached.toSharedBuffer()))();
    slice.release();
    attached.release();
    await collectManyTimes();
    expect(ended.length).to.equal(0);
    expect(further.bytes).to.deep.equal(new Uint8Array(64).fill(2));
    further.release();
    await collectUntil(() => ended.length === 1, 'the block has ended');
  });

  it('ends with the collection of a slice that is dropped', async () => {
    const { slice, ended } = watched(64);
    (() => Slice.attach(slice.toSharedBuffer()).bytes)();
    slice.release();
    await collectUntil(() => ended.length === 1, 'the block has ended');
  });

  it('gives a slice like any other: it can be cut, leased, copied, moved and made a Buffer', () => {
    const buffer = new SharedArrayBuffer(16);
    bytesOf(buffer).set(iota(16));
    using attached = Slice.attach(buffer);
    using part = attached.subslice(4, 8);
    using lease = attached.lease();
    expect(part.copy()).to.deep.equal(iota(8).slice(4));
    expect(lease.address).to.equal(attached.address);
    expect(attached.toBuffer(1, 3).equals(Buffer.of(1, 2))).to.equal(true);
    const { buffer: own } = attached;
    const moved = structuredClone(own, { transfer: [own] });
    expect([attached.released, own.byteLength]).to.deep.equal([true, 0]);
    bytesOf(buffer)[15] = 99;
    expect(new Uint8Array(moved)[15]).to.equal(99);
  });

  it('forbids to resize or disown what C did not allocate', () => {
    using slice = Slice.alloc(8);
    for (const buffer of [slice.toSharedBuffer(), new SharedArrayBuffer(8)]) {
      using attached = Slice.attach(buffer);
      expectError(() => attached.resize(16), 'ERR_CSLICE_STATE');
      expectError(() => attached.disown(), 'ERR_CSLICE_STATE');
      expect(attached.bytes.length).to.equal(8);
    }
  });

  it('refuses everything else, and names it', () => {
    const before = stats();
    const shared = new SharedArrayBuffer(8);
    const values = [
      undefined,
      null,
      0,
      'shared',
      5n,
      [],
      {},
      () => {},
      new ArrayBuffer(8),
      new Uint8Array(shared),
      Object.create(SharedArrayBuffer.prototype),
      new Proxy(shared, {}),
      { byteLength: 8 },
    ];
    for (const value of values) expectError(() => Slice.attach(wrong(value)), 'ERR_CSLICE_TYPE', /^shared must be/);
    expect(stats()).to.deep.equal(before);
  });

  it('reads no property of the buffer: one that lies changes nothing', () => {
    const buffer = new SharedArrayBuffer(8);
    for (const key of ['byteLength', 'buffer', 'byteOffset', 'constructor', 'slice']) {
      Object.defineProperty(buffer, key, {
        get() {
          return 1 << 20;
        },
      });
    }
    using attached = Slice.attach(buffer);
    expect(attached.byteLength).to.equal(8);
  });

  it('throws ERR_CSLICE_NOMEM when memory is exhausted, and leaves nothing behind', async () => {
    const { slice, ended } = watched(64);
    (() => {
      const buffer = slice.toSharedBuffer();
      const { failures, codes } = failEach(
        () => Slice.attach(buffer),
        (attached) => attached.release(),
      );
      expect(failures).to.be.at.least(1);
      expect(codes).to.deep.equal(['ERR_CSLICE_NOMEM']);
    })();
    slice.release();
    await collectUntil(() => ended.length === 1, 'the block has ended');
  });
});

describe('memory that threads share', function () {
  this.timeout(60_000);
  const threads: Thread[] = [];

  async function ready(): Promise<[Thread, Thread]> {
    while (threads.length < 2) threads.push(new Thread());
    await Promise.all(threads.map(letGo));
    return threads as [Thread, Thread];
  }

  /** The thread has neither slices nor buffers any more. */
  async function letGo(thread: Thread): Promise<void> {
    await thread.ask('release');
    for (let i = 0; i < 4; i++) await thread.ask('collect');
  }

  after(async () => {
    await Promise.all(threads.map((thread) => thread.end('return')));
  });

  it('is the same bytes at the same address, without a copy', async () => {
    const [thread] = await ready();
    using slice = Slice.fromBytes(iota(100));
    const before = stats();
    const seen = await thread.ask('attach', { buffer: slice.toSharedBuffer() });
    expect(seen).to.deep.equal({ byteLength: 100, address: slice.address, sum: 4950 });
    expect(stats().allocatedBlocks).to.equal(before.allocatedBlocks);
    await thread.ask('fill', { buffer: slice.toSharedBuffer(), count: 7 });
    expect(slice.copy()).to.deep.equal(new Uint8Array(100).fill(7));
  });

  for (const byteLength of [0, 1, 64 << 20]) {
    it(`arrives whole at ${byteLength} bytes`, async () => {
      const [thread] = await ready();
      using slice = Slice.alloc(byteLength);
      if (byteLength > 0) slice.bytes[byteLength - 1] = 3;
      const { byteLength: length, sum } = await thread.ask('attach', { buffer: slice.toSharedBuffer() });
      expect([length, sum]).to.deep.equal([byteLength, byteLength > 0 ? 3 : 0]);
    });
  }

  it('is a plain SharedArrayBuffer too, made in JavaScript', async () => {
    const [thread] = await ready();
    const buffer = new SharedArrayBuffer(10);
    bytesOf(buffer).set(iota(10));
    using here = Slice.attach(buffer);
    const seen = await thread.ask('attach', { buffer });
    expect(seen).to.deep.equal({ byteLength: 10, address: here.address, sum: 45 });
  });

  it('carries Atomics: threads that count in one cell lose nothing', async () => {
    const both = await ready();
    using slice = Slice.alloc(64);
    const buffer = slice.toSharedBuffer();
    const cells = slice.view(Int32Array);
    const count = 20_000;
    const asked = both.map((thread) => thread.ask('add', { buffer, count }));
    for (let i = 0; i < count; i++) Atomics.add(cells, 0, 1);
    await Promise.all(asked);
    expect(Atomics.load(cells, 0)).to.equal(3 * count);
  });

  it('lets a thread sleep until this one wakes it', async () => {
    const [thread] = await ready();
    using slice = Slice.alloc(64);
    const cells = new Int32Array(slice.toSharedBuffer());
    const woken = thread.ask('wait', { buffer: cells.buffer });
    await sleep(20);
    Atomics.store(cells, 0, 42);
    while (Atomics.notify(cells, 0) === 0 && (await Promise.race([woken, sleep(5)])) === undefined);
    const [how, value] = await woken;
    expect(['ok', 'not-equal']).to.include(how);
    expect(value).to.equal(42);
  });

  it('lets this thread sleep until another one wakes it, and shows what that wrote before', async () => {
    const [thread] = await ready();
    using slice = Slice.alloc(64);
    const cells = new Int32Array(slice.toSharedBuffer());
    const asked = thread.ask('wake', { buffer: cells.buffer, count: 77 });
    expect(['ok', 'not-equal']).to.include(Atomics.wait(cells, 0, 0, 10_000));
    expect(cells[1]).to.equal(77);
    await asked;
  });

  it('lives while any thread has a buffer, and its destructor runs in the thread that adopted it', async () => {
    const [first, second] = await ready();
    const ended = await (async () => {
      const { slice, ended } = watched(16);
      slice.bytes.fill(1);
      for (const thread of [first, second]) {
        expect(await thread.ask('keep', { buffers: [slice.toSharedBuffer()] })).to.deep.equal([16]);
      }
      slice.release();
      return ended;
    })();
    await collectManyTimes();
    await letGo(first);
    await collectManyTimes();
    expect(ended.length).to.equal(0);
    for (const end = Date.now() + 10_000; ended.length === 0 && Date.now() < end; ) {
      await letGo(second);
      await collectManyTimes();
    }
    expect(ended.map(([, byteLength]) => byteLength)).to.deep.equal([16]);
  });

  it('lives while any thread has attached it, and its release there frees it', async () => {
    const [thread] = await ready();
    const ended = await (async () => {
      const { slice, ended } = watched(16);
      slice.bytes.fill(1);
      expect(await thread.ask('attach', { buffer: slice.toSharedBuffer() })).to.include({ sum: 16 });
      slice.release();
      return ended;
    })();
    await collectManyTimes();
    for (let i = 0; i < 4; i++) await thread.ask('collect'); // the buffer is gone there, not the slice
    await collectManyTimes();
    expect(ended.length).to.equal(0);
    await letGo(thread);
    await collectUntil(() => ended.length === 1, 'the destructor has run here');
  });

  it('can be passed on to a third thread, and back', async () => {
    const [first, second] = await ready();
    using slice = Slice.fromBytes(iota(10));
    await first.ask('attach', { buffer: slice.toSharedBuffer() });
    const onwards: SharedArrayBuffer = await first.ask('pass');
    const { address } = slice;
    expect(await second.ask('attach', { buffer: onwards })).to.deep.equal({
      byteLength: 9,
      address: address + 1n,
      sum: 45,
    });
    using back = Slice.attach(await second.ask('pass'));
    expect(back.copy()).to.deep.equal(iota(10).slice(2));
  });

  it('is several hundred blocks at once, each whole in every thread, and none is left', async () => {
    const both = await ready();
    const before = live();
    await (async () => {
      const slices = Array.from({ length: 400 }, (_, i) => Slice.fromBytes(new Uint8Array(50 + i).fill(i)));
      const sums = slices.map((slice, i) => slice.byteLength * (i % 256));
      const buffers = slices.map((slice) => slice.toSharedBuffer());
      for (const slice of slices) slice.release();
      for (const kept of await Promise.all(both.map((thread) => thread.ask('keep', { buffers })))) {
        expect(kept).to.deep.equal(sums);
      }
      expect(live()).to.equal(before + 400);
    })();
    for (const end = Date.now() + 20_000; live() > before && Date.now() < end; ) {
      await Promise.all(both.map(letGo));
      await collectManyTimes();
    }
    expect(live()).to.equal(before);
  });

  it('is refused there too when it is not a SharedArrayBuffer', async () => {
    const [thread] = await ready();
    for (const buffer of [undefined, {}, new ArrayBuffer(8)]) {
      expect(await thread.ask('attach', { buffer })).to.equal('ERR_CSLICE_TYPE');
    }
  });

  for (const ending of ['return', 'terminate'] as const) {
    it(`outlives the thread that made it (${ending})`, async () => {
      const before = live();
      const thread = new Thread();
      await (async () => {
        const attached = Slice.attach(await thread.ask('share', { count: 3 }));
        const buffer: SharedArrayBuffer = await thread.ask('share', { count: 4 });
        await thread.ask('share', { count: 5 }); // which is dropped here
        await thread.end(ending);
        expect(attached.copy()).to.deep.equal(new Uint8Array(1000).fill(3));
        expect(bytesOf(buffer)).to.deep.equal(new Uint8Array(1000).fill(4));
        using late = Slice.attach(buffer);
        expect(late.copy()).to.deep.equal(new Uint8Array(1000).fill(4));
        attached.release();
      })();
      await collectUntil(() => live() === before, 'no block is left');
    });

    it(`ends with the thread that held it last (${ending})`, async () => {
      const thread = new Thread();
      const ended = await (async () => {
        const { slice, ended } = watched(16);
        const further = watched(16);
        await thread.ask('attach', { buffer: slice.toSharedBuffer() });
        await thread.ask('keep', { buffers: [further.slice.toSharedBuffer()] });
        slice.release();
        further.slice.release();
        return [ended, further.ended];
      })();
      await collectManyTimes();
      expect(ended.map(({ length }) => length)).to.deep.equal([0, 0]);
      await thread.end(ending);
      await collectUntil(() => ended.every(({ length }) => length === 1), 'both destructors have run');
    });

    it(`runs its native destructor after its thread has ended, and a JavaScript one counted as lost (${ending})`, async () => {
      const [before, { lostDestructors }] = [live(), stats()];
      const thread = new Thread();
      await (async () => {
        const native: SharedArrayBuffer = await thread.ask('shareAdopted', { count: 1 });
        const callback: SharedArrayBuffer = await thread.ask('shareAdopted', { count: 0 });
        await thread.end(ending);
        expect(live()).to.equal(before + 2);
        for (const buffer of [native, callback]) expect(bytesOf(buffer)).to.deep.equal(new Uint8Array(16).fill(1));
      })();
      await collectUntil(() => live() === before, 'no block is left');
      expect(stats().lostDestructors).to.equal(lostDestructors + 1);
    });
  }
});
