import { expect } from 'chai';
import { Arena, callAsync, callback, func, Pool, Slice, stats } from '../../lib/index.ts';
import { testFailAllocation } from '../../lib/native/symbols.ts';
import { collectManyTimes, collectUntil, untilIdle } from '../helpers/collect.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { failEach } from '../helpers/fail-each.ts';
import { fixture } from '../helpers/fixture.ts';

function live(): number {
  return stats().liveBlocks;
}

describe('Pool', () => {
  describe('the constructor', () => {
    it('makes as many blocks as warmUp says, with their views, and none without it', () => {
      const before = live();
      using cold = new Pool({ byteLength: 100 });
      expect(cold.stats()).to.deep.equal({ hits: 0, misses: 0, idle: 0, blocks: 0 });
      expect(live()).to.equal(before);
      using warm = new Pool({ byteLength: 100, capacity: 8, warmUp: 5 });
      expect(warm.stats()).to.deep.equal({ hits: 0, misses: 0, idle: 5, blocks: 5 });
      expect(live()).to.equal(before + 5);
    });

    it('refuses a size, a capacity or a warm-up that is out of range', () => {
      const before = stats();
      for (const byteLength of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) {
        expectError(() => new Pool({ byteLength }), 'ERR_CSLICE_RANGE', /byteLength/);
      }
      for (const capacity of [0, -1, 1.5, Number.NaN, 2 ** 24 + 1]) {
        expectError(() => new Pool({ byteLength: 8, capacity }), 'ERR_CSLICE_RANGE', /capacity/);
      }
      for (const warmUp of [-1, 1.5, 5, Number.NaN]) {
        expectError(() => new Pool({ byteLength: 8, capacity: 4, warmUp }), 'ERR_CSLICE_RANGE', /warmUp/);
      }
      expect(stats()).to.deep.equal(before);
    });

    it('refuses what is not a number and options that are none', () => {
      for (const options of [undefined, null, 8, '8']) {
        expectError(() => new Pool(wrong(options)), 'ERR_CSLICE_TYPE', /options/);
      }
      for (const value of [null, '8', 8n, {}]) {
        expectError(() => new Pool({ byteLength: wrong(value) }), 'ERR_CSLICE_TYPE', /byteLength/);
        expectError(() => new Pool({ byteLength: 8, capacity: wrong(value) }), 'ERR_CSLICE_TYPE', /capacity/);
        expectError(() => new Pool({ byteLength: 8, warmUp: wrong(value) }), 'ERR_CSLICE_TYPE', /warmUp/);
      }
      expectError(() => new Pool(wrong({})), 'ERR_CSLICE_TYPE', /byteLength/);
    });

    it('leaves none of the warm blocks behind when memory runs out half way', async () => {
      await untilIdle(); // or a block, which has been seen, would wait for a collection
      const { failures, codes } = failEach(
        () => new Pool({ byteLength: 64, warmUp: 6 }),
        (pool) => pool.release(),
      );
      expect(failures).to.be.at.least(6);
      expect(codes).to.deep.equal(['ERR_CSLICE_NOMEM']);
    });
  });

  describe('rent', () => {
    it('gives a slice of the size of the pool, zeroed where its block is new', () => {
      using pool = new Pool({ byteLength: 1000 });
      using rented = pool.rent();
      expect(rented).to.be.instanceOf(Slice);
      expect(rented.byteLength).to.equal(1000);
      expect(rented.copy()).to.deep.equal(new Uint8Array(1000));
      expect(rented.bytes.byteLength).to.equal(1000);
    });

    it('hands out a returned block again, with its view, and allocates nothing', () => {
      using pool = new Pool({ byteLength: 64 });
      const first = pool.rent();
      const [address, bytes, buffer] = [first.address, first.bytes, first.buffer];
      first.release();
      const before = stats();
      using second = pool.rent();
      expect(second).not.to.equal(first);
      expect(second.address).to.equal(address);
      expect(second.bytes).to.equal(bytes);
      expect(second.buffer).to.equal(buffer);
      expect(stats()).to.deep.equal(before);
    });

    it('counts hits and misses, and what waits and what there is', () => {
      using pool = new Pool({ byteLength: 8, capacity: 3, warmUp: 1 });
      const rented = [pool.rent(), pool.rent(), pool.rent()];
      expect(pool.stats()).to.deep.equal({ hits: 1, misses: 2, idle: 0, blocks: 3 });
      for (const slice of rented) slice.release();
      expect(pool.stats()).to.deep.equal({ hits: 1, misses: 2, idle: 3, blocks: 3 });
      pool.rent().release();
      expect(pool.stats()).to.deep.equal({ hits: 2, misses: 2, idle: 3, blocks: 3 });
    });

    it('throws ERR_CSLICE_EXHAUSTED when all blocks are rented, and works again after a return', () => {
      using pool = new Pool({ byteLength: 8, capacity: 2 });
      const [first, second] = [pool.rent(), pool.rent()];
      const before = [stats(), pool.stats()];
      expectError(() => pool.rent(), 'ERR_CSLICE_EXHAUSTED', /2/);
      expectError(() => pool.rent(), 'ERR_CSLICE_EXHAUSTED');
      expect([stats(), pool.stats()]).to.deep.equal(before);
      first.release();
      using third = pool.rent();
      expect(third.released).to.equal(false);
      second.release();
    });

    it('never gives one block to two renters', () => {
      using pool = new Pool({ byteLength: 8, capacity: 100 });
      for (let round = 0; round < 3; round++) {
        const rented = Array.from({ length: 100 }, () => pool.rent());
        expect(new Set(rented.map((slice) => slice.address)).size).to.equal(100);
        for (const slice of rented) slice.release();
      }
      expect(pool.stats().blocks).to.equal(100);
    });

    it('throws and counts nothing when memory is exhausted', () => {
      using pool = new Pool({ byteLength: 64, capacity: 4 });
      const { codes } = failEach(
        () => pool.rent(),
        (rented) => rented.release(),
      );
      expect(codes).to.deep.equal(['ERR_CSLICE_NOMEM']);
      expect(pool.stats()).to.deep.equal({ hits: 0, misses: 1, idle: 1, blocks: 1 });
      testFailAllocation(1);
      try {
        pool.rent().release();
      } finally {
        testFailAllocation(0);
      }
      expect(pool.stats().hits).to.equal(1);
    });

    it('works for blocks of no bytes', () => {
      using pool = new Pool({ byteLength: 0, capacity: 1 });
      for (let i = 0; i < 3; i++) {
        using rented = pool.rent();
        expect(rented.bytes.length).to.equal(0);
      }
      expect(pool.stats()).to.deep.equal({ hits: 2, misses: 1, idle: 1, blocks: 1 });
    });
  });

  describe('a rented slice', () => {
    it('does all that a slice does', () => {
      using pool = new Pool({ byteLength: 64 });
      using rented = pool.rent();
      rented.write('int32_t', 4, -5);
      expect(rented.read('int32_t', 4)).to.equal(-5);
      rented.bytes.set(Buffer.from('text\0'), 8);
      expect(rented.text(8)).to.equal('text');
      expect(rented.view(Int32Array, 4, 1)[0]).to.equal(-5);
      expect(rented.toBuffer().byteLength).to.equal(64);
      expect(rented.structs('int32_t').get(1)).to.equal(-5);
    });

    it('throws at every use after its return, also while the block is rented again', () => {
      using pool = new Pool({ byteLength: 64 });
      const rented = pool.rent();
      const structs = rented.structs('int');
      rented.release();
      using again = pool.rent();
      again.bytes.fill(1);
      expect(rented.released).to.equal(true);
      expect(rented.byteLength).to.equal(64);
      const uses: (() => unknown)[] = [
        () => rented.address,
        () => rented.buffer,
        () => rented.bytes,
        () => rented.view(Uint8Array),
        () => rented.toBuffer(),
        () => rented.copy(),
        () => rented.text(),
        () => rented.read('int'),
        () => rented.write('int', 0, 1),
        () => rented.subslice(),
        () => rented.structs('int'),
        () => structs.get(0),
        () => structs.set(0, wrong(1)),
        () => rented.block,
        () => rented.toSharedBuffer(),
        () => rented.lease(),
        () => rented.resize(8),
        () => rented.disown(),
        () => Slice.concat([rented]),
      ];
      for (const use of uses) expectError(use, 'ERR_CSLICE_RELEASED');
      expect(again.copy()).to.deep.equal(new Uint8Array(64).fill(1));
    });

    it('comes back once however often it is released', () => {
      using pool = new Pool({ byteLength: 8 });
      const rented = pool.rent();
      rented.release();
      rented.release();
      rented[Symbol.dispose]();
      expect(pool.stats()).to.deep.equal({ hits: 0, misses: 1, idle: 1, blocks: 1 });
      using first = pool.rent();
      using second = pool.rent();
      expect(first.address).not.to.equal(second.address);
    });

    it('leaves its bytes to the next renter, and a view kept past the return sees what that one writes', () => {
      using pool = new Pool({ byteLength: 8 });
      const first = pool.rent();
      const kept = first.bytes;
      kept.fill(5);
      first.release();
      using second = pool.rent();
      expect(second.copy()).to.deep.equal(new Uint8Array(8).fill(5));
      second.bytes.fill(6);
      expect(kept).to.deep.equal(new Uint8Array(8).fill(6));
      second.release();
      pool.release();
      expect(kept.byteLength).to.equal(0);
    });

    it('cannot be resized or disowned, and is as it was then', () => {
      using pool = new Pool({ byteLength: 8 });
      const rented = pool.rent();
      expectError(() => rented.resize(16), 'ERR_CSLICE_TYPE');
      expectError(() => rented.disown(), 'ERR_CSLICE_TYPE');
      expect(rented.released).to.equal(false);
      rented.release();
      expect(pool.stats().idle).to.equal(1);
    });

    it('that is dropped is collected, and frees its place in the pool', async () => {
      const before = live();
      using pool = new Pool({ byteLength: 64, capacity: 3 });
      (() => {
        pool.rent();
        pool.rent().bytes.fill(1);
        pool.rent().view(Int32Array);
      })();
      expectError(() => pool.rent(), 'ERR_CSLICE_EXHAUSTED');
      await collectUntil(() => pool.stats().blocks === 0, 'the places are free again');
      await collectUntil(() => live() === before, 'the blocks have been given back');
      using rented = pool.rent();
      expect(rented.byteLength).to.equal(64);
      expect(pool.stats()).to.deep.equal({ hits: 0, misses: 4, idle: 0, blocks: 1 });
    });

    it('that is dropped while a view of it is that is reachable keeps its bytes, and is never lent again', async () => {
      const before = live();
      using pool = new Pool({ byteLength: 64, capacity: 1 });
      const kept = (() => pool.rent().bytes.fill(4))();
      await collectUntil(() => pool.stats().blocks === 0, 'the place is free again');
      using rented = pool.rent();
      rented.bytes.fill(9);
      expect(kept.every((byte) => byte === 4)).to.equal(true);
      expect(live()).to.equal(before + 2);
    });

    it('outlives a pool that is dropped, and gives its memory back after that', async () => {
      const before = live();
      const rented = (() => new Pool({ byteLength: 64, warmUp: 4 }).rent())();
      rented.bytes.fill(3);
      await collectManyTimes();
      expect(rented.copy()).to.deep.equal(new Uint8Array(64).fill(3));
      rented.release();
      await collectUntil(() => live() === before, 'pool and block are gone');
    });
  });

  describe('a block with other holders', () => {
    const holds: Record<string, (rented: Slice) => () => void> = {
      lease: (rented) => {
        const lease = rented.lease();
        return () => lease.release();
      },
      subslice: (rented) => {
        const part = rented.subslice(8, 16);
        return () => {
          expect(part.copy()).to.deep.equal(new Uint8Array(8).fill(7));
          part.release();
        };
      },
      share: (rented) => {
        let shared: SharedArrayBuffer | undefined = rented.toSharedBuffer();
        return () => {
          const attached = Slice.attach(shared as SharedArrayBuffer);
          shared = undefined;
          expect(attached.copy()).to.deep.equal(new Uint8Array(64).fill(7));
          attached.release();
        };
      },
    };

    for (const [name, hold] of Object.entries(holds)) {
      it(`is not lent again after a ${name}: its memory goes with the last holder`, async () => {
        const before = live();
        using pool = new Pool({ byteLength: 64, capacity: 1 });
        const rented = pool.rent();
        const { bytes } = rented;
        bytes.fill(7);
        const end = hold(rented);
        rented.release();
        expect(bytes.byteLength).to.equal(0);
        expect(pool.stats()).to.include({ idle: 0, blocks: 0 });
        using next = pool.rent();
        next.bytes.fill(1);
        expect(live()).to.equal(before + 2);
        end();
        await collectUntil(() => live() === before + 1, 'the last holder has gone');
      });
    }

    for (const [name, hold] of Object.entries(holds).filter(([name]) => name !== 'share')) {
      it(`is lent again after a ${name} that has ended before its return`, () => {
        using pool = new Pool({ byteLength: 64, capacity: 1 });
        const rented = pool.rent();
        rented.bytes.fill(7);
        hold(rented)();
        rented.release();
        using _again = pool.rent();
        expect(pool.stats()).to.deep.equal({ hits: 1, misses: 1, idle: 0, blocks: 1 });
      });
    }

    it('is lent again after a call on another thread that is over, and after one while a callback is registered', async () => {
      using pool = new Pool({ byteLength: 64, capacity: 1 });
      const find = func(fixture(), 'void *memchr(const void *s, int c, size_t n)');
      using other = callback('int other()', () => 0);
      for (let round = 0; round < 3; round++) {
        using rented = pool.rent();
        rented.bytes.fill(0);
        expect(await find.async(rented, 1, 64)).to.equal(null);
        expect(find(rented, 1, 64)).to.equal(null);
      }
      expect(other.released).to.equal(false);
      expect(pool.stats()).to.deep.equal({ hits: 2, misses: 1, idle: 1, blocks: 1 });
    });

    it('is not lent again while C works on it in the background', async () => {
      using pool = new Pool({ byteLength: 64 });
      const rented = pool.rent();
      const { address } = rented;
      const running = callAsync(fixture().func('void *memchr(const void *s, int c, size_t n)'), rented, 1, 64);
      rented.release();
      using next = pool.rent();
      expect(next.address).not.to.equal(address);
      expect(await running).to.equal(null);
    });

    it('is not lent again when C knows its block', () => {
      using pool = new Pool({ byteLength: 64 });
      const rented = pool.rent();
      expect(rented.block > 0n).to.equal(true);
      rented.release();
      expect(pool.stats()).to.include({ idle: 0, blocks: 0 });
    });

    it('is not lent again when its view was moved away, where the runtime lets it be moved', async function () {
      const transfer = wrong(ArrayBuffer.prototype).transfer;
      if (transfer === undefined) return this.skip(); // before Node 22
      using pool = new Pool({ byteLength: 64, capacity: 1 });
      const rented = pool.rent();
      rented.bytes.fill(8);
      if (Number(process.versions.node.split('.')[0]) >= 24) {
        expect(() => transfer.call(rented.buffer)).to.throw(TypeError);
        rented.release();
        expect(pool.stats()).to.include({ idle: 1, blocks: 1 });
        return;
      }
      const moved: ArrayBuffer = transfer.call(rented.buffer);
      rented.release();
      expect(pool.stats()).to.include({ idle: 0, blocks: 0 });
      expect(new Uint8Array(moved).every((byte) => byte === 8)).to.equal(true);
    });
  });

  describe('release', () => {
    it('gives waiting blocks back at once and rented ones at their return', () => {
      const before = stats();
      const pool = new Pool({ byteLength: 64, warmUp: 3 });
      const rented = pool.rent();
      const { bytes } = rented;
      pool.release();
      expect(stats().liveBlocks).to.equal(before.liveBlocks + 1);
      expect(pool.stats()).to.deep.equal({ hits: 1, misses: 0, idle: 0, blocks: 1 });
      rented.bytes.fill(1);
      rented.release();
      expect(bytes.byteLength).to.equal(0);
      expect(pool.stats().blocks).to.equal(0);
      expect(stats().liveBlocks).to.equal(before.liveBlocks);
      expect(stats().releasedByScope - before.releasedByScope).to.equal(3);
    });

    it('makes a further rent throw ERR_CSLICE_RELEASED, and does nothing the second time', () => {
      const pool = new Pool({ byteLength: 64, warmUp: 1 });
      pool.release();
      pool.release();
      pool[Symbol.dispose]();
      const before = stats();
      expectError(() => pool.rent(), 'ERR_CSLICE_RELEASED', /pool/);
      expect(stats()).to.deep.equal(before);
      expect(pool.stats().misses).to.equal(0);
    });

    it('kills the views of waiting blocks', () => {
      const pool = new Pool({ byteLength: 64 });
      const rented = pool.rent();
      const { bytes } = rented;
      rented.release();
      pool.release();
      expect(bytes.byteLength).to.equal(0);
    });
  });

  it('that is dropped is collected with all the blocks that wait in it', async () => {
    const before = live();
    (() => {
      const pool = new Pool({ byteLength: 64, warmUp: 10 });
      pool.rent().release();
      pool.rent();
    })();
    await collectUntil(() => live() === before, 'all blocks are gone');
  });

  it('does not mix with arenas: an arena does not take its views', () => {
    using pool = new Pool({ byteLength: 64 });
    using rented = pool.rent();
    using arena = new Arena();
    expectError(() => arena.address(rented.bytes), 'ERR_CSLICE_TYPE');
  });
});
