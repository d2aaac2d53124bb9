import { expect } from 'chai';
import { copyBytes, Pool, pin, Slice, stats } from '../../lib/index.ts';
import { watched } from '../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../helpers/collect.ts';
import { expectError } from '../helpers/expect-error.ts';
import { Keeper, type Mover, movers, ownMethod } from '../helpers/movers.ts';
import { runForJson } from '../helpers/run.ts';

/** What the move gave, or undefined where it was refused. */
async function attempt<T>(move: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await move();
  } catch (error) {
    expect((error as Error).name).to.match(/^(TypeError|DataCloneError)$/);
    return undefined;
  }
}

/** V8 can forbid a move, and lets whoever has the key detach all the same: from Node 24 on. */
const canRefuse = Number(process.versions.node.split('.')[0]) >= 24;

const sevens = new Uint8Array(64).fill(7);

/** Moves the bytes of a watched slice, filled with sevens, and forgets the slice. */
async function moveAndForget(move: Mover): Promise<{ moved: Uint8Array | undefined; ended: unknown[] }> {
  const { slice, ended } = watched(64);
  slice.bytes.fill(7);
  return { moved: await move(slice.bytes), ended };
}

describe('a buffer that is moved', () => {
  for (const [name, move] of Object.entries(movers)) {
    describe(`by ${name}`, () => {
      it('takes the block with it: the slice is over, as after a release', async () => {
        const { slice, ended } = watched(64);
        slice.bytes.fill(7);
        const { bytes, buffer } = slice;
        const cells = slice.view(Int32Array);
        const moved = await move(bytes);
        expect(moved).to.deep.equal(sevens);
        expect([slice.released, slice.byteLength]).to.deep.equal([true, 64]);
        expect([bytes.length, buffer.byteLength, cells.length]).to.deep.equal([0, 0, 0]);
        for (const use of [
          () => slice.bytes,
          () => slice.buffer,
          () => slice.address,
          () => slice.block,
          () => slice.copy(),
          () => slice.view(Uint8Array),
          () => slice.toBuffer(),
          () => slice.toSharedBuffer(),
          () => slice.subslice(),
          () => slice.lease(),
          () => slice.resize(1 << 20),
          () => slice.disown(),
          () => slice.write('int', 0, 1),
          () => slice.read('int'),
          () => pin(bytes),
        ]) {
          const error = expect(use).to.throw();
          error.with.property('code', use.toString().includes('pin') ? 'ERR_CSLICE_TYPE' : 'ERR_CSLICE_RELEASED');
        }
        const before = stats();
        slice.release();
        slice[Symbol.dispose]();
        expect(stats()).to.deep.equal(before);
        expect([ended.length, moved]).to.deep.equal([0, sevens]);
      });

      it('keeps the block after the slice, and ends it once, by its own collection', async () => {
        const held = await moveAndForget(move);
        await collectManyTimes();
        expect([held.ended.length, held.moved]).to.deep.equal([0, sevens]);
        const { releasedByScope } = stats();
        held.moved = undefined;
        await collectUntil(() => held.ended.length === 1, 'the block has ended');
        await collectManyTimes();
        expect([held.ended.length, stats().releasedByScope]).to.deep.equal([1, releasedByScope]);
      });

      it('copies nothing: C sees what is written where the bytes are now', async () => {
        const slice = Slice.alloc(64);
        const { address } = slice;
        const moved = await move(slice.bytes);
        moved.fill(9);
        expect(copyBytes(address, 64)).to.deep.equal(new Uint8Array(64).fill(9));
        expect(moved.length).to.equal(64);
      });

      it('can be moved on, any number of times', async () => {
        const { slice, ended } = watched(64);
        slice.bytes.fill(7);
        let bytes = slice.bytes as Uint8Array<ArrayBuffer>;
        for (let i = 0; i < 5; i++) bytes = (await move(bytes)) as Uint8Array<ArrayBuffer>;
        await collectManyTimes();
        expect([bytes, ended.length]).to.deep.equal([sevens, 0]);
      });

      it('leaves leases, parts and Buffers of the block alone', async () => {
        const { slice, ended } = watched(64);
        slice.bytes.fill(7);
        const lease = slice.lease();
        const part = slice.subslice(8, 16);
        const buffer = slice.toBuffer();
        (await move(slice.bytes)).fill(5);
        await collectManyTimes();
        expect([part.copy(), buffer.length]).to.deep.equal([new Uint8Array(8).fill(5), 64]);
        expect(copyBytes(lease.address, 64)).to.deep.equal(new Uint8Array(64).fill(5));
        part.release();
        lease.release();
        expect(ended.length).to.equal(0); // the Buffer is left
        expect(buffer.every((byte) => byte === 5)).to.equal(true);
      });

      it('stays where it is for C under a pin of its slice, be it moved, copied or refused', async () => {
        const held = await (async () => {
          const { slice, ended } = watched(64);
          const hold = pin(slice.bytes);
          const moved = await attempt(() => move(slice.bytes));
          (slice.released ? (moved as Uint8Array) : slice.bytes).fill(3);
          return { hold, ended };
        })();
        await collectManyTimes();
        expect(copyBytes(held.hold.address, 64)).to.deep.equal(new Uint8Array(64).fill(3));
        expect(held.ended.length).to.equal(0);
        held.hold.release();
        await collectUntil(() => held.ended.length === 1, 'the block has ended');
      });

      it('moves a Buffer of toBuffer() without its slice', async () => {
        const { slice, ended } = watched(64);
        const moved = await move(new Uint8Array(slice.toBuffer().buffer));
        moved.fill(7);
        expect([slice.released, slice.bytes]).to.deep.equal([false, sevens]);
        slice.release();
        await collectManyTimes();
        expect([moved, ended.length]).to.deep.equal([sevens, 0]);
      });

      it(`${canRefuse ? 'is refused for' : 'is safe for'} the block of a pool, which nobody else is lent`, async () => {
        using pool = new Pool({ byteLength: 64, capacity: 1 });
        const rented = pool.rent();
        const { address } = rented;
        rented.bytes.fill(7);
        const moved = await attempt(() => move(rented.bytes));
        expect([moved === undefined, rented.released]).to.deep.equal([canRefuse, !canRefuse]);
        if (canRefuse) expect(rented.bytes).to.deep.equal(sevens);
        rented.release();
        const next = pool.rent();
        expect(next.bytes.length).to.equal(64);
        expect(next.address === address, 'the same block').to.equal(canRefuse);
        next.bytes.fill(1);
        if (moved !== undefined) expect(moved).to.deep.equal(sevens);
        next.release();
      });

      it(`${canRefuse ? 'is refused for' : 'shows the same bytes of'} borrowed memory`, async () => {
        using owner = Slice.fromBytes(sevens);
        const borrowed = Slice.borrow(owner.address, 64, owner);
        const moved = await attempt(() => move(borrowed.bytes));
        expect([moved === undefined, borrowed.released]).to.deep.equal([canRefuse, !canRefuse]);
        expect(moved ?? borrowed.bytes).to.deep.equal(sevens);
        borrowed.release();
        await collectManyTimes();
        expect(owner.bytes).to.deep.equal(sevens);
      });
    });
  }

  it('takes an empty block with it too', () => {
    const slice = Slice.alloc(0);
    const { buffer } = slice;
    structuredClone(buffer, { transfer: [buffer] });
    expect(slice.released).to.equal(true);
    expectError(() => slice.bytes, 'ERR_CSLICE_RELEASED');
    slice.release();
  });

  for (const byteLength of [8, 1000]) {
    it(`to a length of ${byteLength} is a copy, and the block of 64 bytes ends`, async () => {
      const transfer = ownMethod('transfer');
      if (transfer === undefined) return;
      const { slice, ended } = watched(64);
      slice.bytes.fill(7);
      const moved = new Uint8Array(transfer.call(slice.buffer, byteLength));
      const expected = new Uint8Array(byteLength);
      expected.set(sevens.subarray(0, byteLength));
      expect(moved).to.deep.equal(expected);
      expect(slice.released).to.equal(true);
      await collectUntil(() => ended.length === 1, 'the block has ended');
      expect(moved).to.deep.equal(expected);
    });
  }

  it('is moved by nothing that only looks', async () => {
    using slice = Slice.fromBytes(sevens);
    const { bytes } = slice;
    expect((await new Blob([bytes]).arrayBuffer()).byteLength).to.equal(64);
    expect((await new Response(bytes).arrayBuffer()).byteLength).to.equal(64);
    const { value } = await new ReadableStream({ start: (controller) => controller.enqueue(bytes) }).getReader().read();
    expect(value).to.equal(bytes);
    expect(new TextDecoder().decode(bytes).length).to.equal(64);
    const cloned = structuredClone(bytes);
    cloned[0] = 99;
    expect(slice.bytes).to.deep.equal(sevens);
  });

  it('keeps other slices of the same size apart: no block is given out twice', async () => {
    const moves = Object.values(movers).filter((move) => !/Worker/.test(move.name));
    const held = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const slice = Slice.alloc(64);
        slice.bytes.fill(i);
        return (moves[i % moves.length] as Mover)(slice.bytes);
      }),
    );
    for (let i = 0; i < 600; i++) {
      using slice = Slice.alloc(64);
      if (i % 2 === 0) slice.bytes.fill(0xee);
      else slice.write('int', 0, -1);
    }
    for (const [i, bytes] of held.entries()) expect(bytes).to.deep.equal(new Uint8Array(64).fill(i));
  });
});

describe('a buffer that is moved to another thread', function () {
  this.timeout(60_000);

  it('lives there, and its destructor runs here once the thread has dropped it', async () => {
    const thread = new Keeper();
    const ended = await (async () => {
      const { slice, ended } = watched(64);
      slice.bytes.fill(7);
      expect(await thread.keep(slice.buffer)).to.deep.equal(sevens);
      expect(slice.released).to.equal(true);
      return ended;
    })();
    await collectManyTimes();
    expect(await thread.collect()).to.deep.equal(sevens);
    expect(ended.length).to.equal(0);
    await thread.drop();
    await collectUntil(() => ended.length === 1, 'the destructor has run');
    await thread.end();
    expect(ended.length).to.equal(1);
  });

  it('ends with that thread', async () => {
    const { liveBlocks, releasedByThreadEnd, releasedByCollection } = stats();
    const thread = new Keeper();
    await (async () => {
      const slice = Slice.fromBytes(sevens);
      expect(await thread.keep(slice.buffer)).to.deep.equal(sevens);
    })();
    expect(stats().liveBlocks).to.equal(liveBlocks + 1);
    await thread.end();
    await collectUntil(() => stats().liveBlocks === liveBlocks, 'the block has ended');
    const after = stats();
    const sum = after.releasedByThreadEnd + after.releasedByCollection;
    expect(sum - releasedByThreadEnd - releasedByCollection).to.equal(1);
  });
});

describe('pinned JavaScript memory', () => {
  // Node refuses a transfer list for what pin() has marked. What asks V8 itself is refused from Node 24 on.
  const refusesAll = canRefuse;
  const byV8 = Object.entries(movers).filter(([name]) => /stream|BYOB|transfer/.test(name));

  for (const [name, move] of Object.entries(movers)) {
    const isRefused = refusesAll || !byV8.some(([other]) => other === name);
    it(`${isRefused ? 'is not moved' : 'is moved'} by ${name} on this runtime, and is there for C until the release`, async () => {
      const source = new Uint8Array(64).fill(7);
      const held = pin(source);
      const moved = await attempt(() => move(source));
      expect(copyBytes(held.address, 64)).to.deep.equal(sevens);
      expect(source.length).to.equal(isRefused ? 64 : 0);
      if (moved !== undefined) expect(moved).to.deep.equal(sevens);
      held.release();
    });
  }
});

interface Marked {
  readonly released?: boolean;
  readonly length?: number;
  readonly intact?: boolean;
  readonly liveBlocks?: number;
  readonly warnings: readonly string[];
  readonly liveBlocksAtEnd: number;
}

describe('a buffer that somebody marked as untransferable', function () {
  this.timeout(60_000);

  const marked = (how: string): Marked => runForJson<Marked>('threads/untransferable.ts', { args: [how] });

  it(`${canRefuse ? 'keeps its views and its memory at the release, with a warning' : 'is detached at the release'}`, () => {
    const { warnings, liveBlocksAtEnd, ...ended } = marked('release');
    expect(ended).to.deep.equal({
      released: true,
      length: canRefuse ? 64 : 0,
      intact: true,
      liveBlocks: canRefuse ? 1 : 0,
    });
    expect([warnings, liveBlocksAtEnd]).to.deep.equal([canRefuse ? ['CSLICE_VIEW_LOCKED'] : [], 0]);
  });

  it('does not crash a process that drops it', () => {
    expect(marked('drop')).to.deep.equal({ warnings: [], liveBlocksAtEnd: 0 });
  });

  it('does not crash a process that ends while the buffer is still referenced', () => {
    expect(marked('keep')).to.deep.equal({ warnings: [], liveBlocksAtEnd: 1 });
  });

  it('does not crash a process in which pin() marked a view of another package', () => {
    expect(marked('pin')).to.deep.equal({ warnings: [], liveBlocksAtEnd: 0 });
  });
});
