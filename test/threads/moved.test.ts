import { expect } from 'chai';
import { copyBytes, Pool, pin, Slice, stats } from '../../lib/index.ts';
import { watched } from '../support/blocks.ts';
import { collectManyTimes, collectUntil } from '../support/collect.ts';
import { expectError } from '../support/expect-error.ts';
import { languageMoves } from '../support/language.ts';
import { run } from '../support/run.ts';
import { byForce, byTransferList, byWorker } from '../support/threads/movers.ts';
import { nextWarning } from '../support/warnings.ts';

/** What the move gave, or undefined where it was refused. */
async function attempt<T>(move: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await move();
  } catch {
    return undefined;
  }
}

/** From Node 24 on V8 itself refuses to move what pin() has marked. Before, docs/safety.md says what is left. */
const refusesForPins = Number(process.versions.node.split('.')[0]) >= 24;

const sevens = new Uint8Array(64).fill(7);

describe('a view on the move', () => {
  for (const [name, move] of Object.entries({ ...byTransferList, ...byWorker })) {
    it(`stays where it is: ${name} with a transfer list throws or copies`, async () => {
      const { slice, ended } = watched(64);
      slice.bytes.fill(7);
      const { buffer, bytes } = slice;
      const arrived = await attempt(() => move(buffer));
      expect([slice.buffer === buffer, bytes.length, slice.bytes === bytes]).to.deep.equal([true, 64, true]);
      expect(slice.bytes).to.deep.equal(sevens);
      if (arrived !== undefined) {
        const copy = new Uint8Array(arrived as ArrayBuffer);
        expect(copy).to.deep.equal(sevens);
        copy[0] = 99;
        expect(slice.bytes[0]).to.equal(7);
      }
      slice.release();
      expect([ended.length, buffer.byteLength]).to.deep.equal([1, 0]);
    });
  }

  for (const method of ['transfer', 'transferToFixedLength', 'resize']) {
    it(`throws for its own ${method}(), on every runtime`, () => {
      using slice = Slice.fromBytes(sevens);
      const { buffer } = slice;
      for (const args of [[], [8], [1000]]) {
        const call = (buffer as unknown as Record<string, (...args: number[]) => unknown>)[method];
        const move = () => (call as () => void).apply(buffer, args as []);
        if (languageMoves) expectError(move, 'ERR_CSLICE_TYPE', new RegExp(`^${method}\\(\\) would move`));
        else expect(move).to.throw(TypeError);
      }
      expect(slice.bytes).to.deep.equal(sevens);
    });
  }

  for (const [name, move] of Object.entries(byForce)) {
    describe(`by force, with ${name}`, () => {
      before(function () {
        if (move === undefined) this.skip(); // Node 20 has no transfer()
      });

      const moveAway = async (slice: Slice): Promise<Uint8Array | undefined> => {
        slice.bytes.fill(7);
        const moved = await attempt(() => (move as NonNullable<typeof move>)(slice.bytes));
        if (moved === undefined) expect(slice.bytes).to.deep.equal(sevens); // refused: nothing has happened
        return moved;
      };

      it('keeps the block at the release, with a warning, for what sees it still', async () => {
        const { slice, ended } = watched(64);
        const moved = await moveAway(slice);
        const before = stats();
        const warned = moved === undefined ? 'refused' : nextWarning('CSLICE_VIEW_MOVED');
        slice.release();
        if (moved === undefined) {
          expect(ended.length).to.equal(1);
          return;
        }
        expect(await warned).to.match(/detached by someone else/);
        expect([slice.released, stats().releasedByScope]).to.deep.equal([true, before.releasedByScope]);
        await collectManyTimes();
        expect(ended.length).to.equal(0);
        expect(moved).to.deep.equal(sevens);
      });

      // What is left, on every runtime: docs/safety.md says so. Where this fails, the hole is closed, and the row can go.
      it('frees the block once the handle and the old view are dropped, since no token follows the moved bytes', async () => {
        const { moved, ended } = await (async () => {
          const { slice, ended } = watched(64);
          return { moved: await moveAway(slice), ended };
        })();
        await collectUntil(() => ended.length === 1, 'the block has ended');
        expect(moved?.byteLength).to.equal(64);
      });

      it('keeps the block while the moved view is read by a program that only kept a lease, after the end of that', async () => {
        const { slice, ended } = watched(64);
        const lease = slice.lease();
        const moved = await moveAway(slice);
        slice.release();
        lease.release();
        if (moved === undefined) {
          expect(ended.length).to.equal(1);
          return;
        }
        expect(ended.length).to.equal(0);
        expect(moved).to.deep.equal(sevens);
      });

      it('leaves no resize() that frees the bytes under what sees them', async () => {
        const slice = Slice.alloc(64);
        const moved = await moveAway(slice);
        if (moved === undefined) {
          slice.release();
          return;
        }
        const { address } = slice;
        await attempt(() => slice.resize(1 << 20));
        expect([slice.byteLength, slice.address]).to.deep.equal([64, address]);
        expect(moved).to.deep.equal(sevens);
        slice.release();
      });

      it('lends no moved view out of a pool again', async () => {
        using pool = new Pool({ byteLength: 64, capacity: 1 });
        const rented = pool.rent();
        const { address } = rented;
        const moved = await moveAway(rented);
        rented.release();
        const next = pool.rent();
        expect(next.bytes.length).to.equal(64);
        if (moved !== undefined) {
          next.bytes.fill(1);
          expect(next.address === address, 'the same block').to.equal(false);
          expect(moved).to.deep.equal(sevens);
        }
        next.release();
      });

      it('leaves the handle usable until its release, but for its view, which it says is gone', async () => {
        const slice = Slice.alloc(64);
        const moved = await moveAway(slice);
        if (moved === undefined) {
          slice.release();
          return;
        }
        expect(slice.copy()).to.deep.equal(sevens);
        expectError(() => slice.bytes, 'ERR_CSLICE_NO_VIEW');
        slice.release();
        expectError(() => slice.bytes, 'ERR_CSLICE_RELEASED');
      });

      it(`${refusesForPins ? 'never moves' : 'moves'} pinned JavaScript memory, on this runtime`, async () => {
        const source = new Uint8Array(64).fill(7);
        const held = pin(source);
        const moved = await attempt(() => (move as NonNullable<typeof move>)(source));
        expect(copyBytes(held.address, 64)).to.deep.equal(sevens);
        expect([moved === undefined, source.length]).to.deep.equal(refusesForPins ? [true, 64] : [false, 0]);
        held.release();
      });
    });
  }

  it('is read by everything that only looks, and stays', async () => {
    using slice = Slice.fromBytes(sevens);
    const { bytes } = slice;
    expect((await new Blob([bytes]).arrayBuffer()).byteLength).to.equal(64);
    expect((await new Response(bytes).arrayBuffer()).byteLength).to.equal(64);
    const { value } = await new ReadableStream({ start: (controller) => controller.enqueue(bytes) }).getReader().read();
    expect(value).to.equal(bytes);
    expect(new TextDecoder().decode(bytes).length).to.equal(64);
    expect(slice.bytes).to.deep.equal(sevens);
  });

  for (const how of ['release', 'drop', 'pin']) {
    it(`that somebody marked as untransferable takes no process with it (${how})`, () => {
      const { status, signal, stderr } = run('support/threads/untransferable.ts', { args: [how] });
      expect([status, signal], stderr.slice(0, 500)).to.deep.equal([0, null]);
    });
  }

  it('that outlives everything else is let go in the end, where it could not be moved', async () => {
    const { slice, ended } = watched(64);
    slice.bytes.fill(7);
    await attempt(() => byTransferList.structuredClone?.(slice.buffer));
    slice.release();
    await collectUntil(() => ended.length === 1, 'the block has ended');
  });
});
