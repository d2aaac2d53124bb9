import { expect } from 'chai';
import koffi from 'koffi';
import { destructor, Slice, stats } from '../../../lib/index.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { collectUntil, settle } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { compile, fixture, lastCall, make } from '../../helpers/fixture.ts';
import { runForJson } from '../../helpers/run.ts';

describe('destructor', () => {
  describe('with a C function', () => {
    it("of the signature 'ptr' is called with the address, once", () => {
      const before = lastCall().calls;
      const address = make(16);
      const slice = Slice.adopt(address, 16, destructor(fixture(), 'fixture_free'));
      expect(slice.copy()).to.deep.equal(Uint8Array.from({ length: 16 }, (_, i) => i));
      expect(lastCall().calls).to.equal(before);
      slice.release();
      slice.release();
      expect(lastCall()).to.deep.equal({ calls: before + 1, address, size: 0, context: 0n });
    });

    it("of the signature 'ptr,size' is called with the address and the size", () => {
      const before = lastCall().calls;
      const address = make(24);
      const slice = Slice.adopt(address, 24, destructor(fixture(), 'fixture_free_sized', { signature: 'ptr,size' }));
      slice.release();
      expect(lastCall()).to.deep.equal({ calls: before + 1, address, size: 24, context: 0n });
    });

    it("of the signature 'ctx,ptr' is called with its context and the address", () => {
      for (const context of [undefined, 0n, 4096n, (1n << 53n) + 1n, (1n << 64n) - 1n]) {
        const before = lastCall().calls;
        const address = make(8);
        const options = { signature: 'ctx,ptr', ...(context === undefined ? {} : { context }) } as const;
        Slice.adopt(address, 8, destructor(fixture(), 'fixture_free_in', options)).release();
        expect(lastCall()).to.deep.equal({ calls: before + 1, address, size: 0, context: context ?? 0n });
      }
    });

    it('may be one that is in the process already: free() of the C library', () => {
      const before = stats();
      const slice = Slice.adopt(malloc(100), 100, destructor(koffi.load(null), 'free'));
      slice.bytes.fill(1);
      slice.release();
      expect(stats().releasedByScope - before.releasedByScope).to.equal(1);
      expect(stats().liveBlocks).to.equal(before.liveBlocks);
    });

    it('may be munmap(), of memory from mmap()', function () {
      if (process.platform !== 'linux') return this.skip();
      const library = koffi.load(null);
      const mmap = library.func(
        'void *mmap(uintptr_t hint, size_t size, int protection, int flags, int file, int64_t at)',
      );
      const msync = library.func('int msync(uintptr_t address, size_t size, int flags)');
      const size = 1 << 20;
      const [readWrite, privateAnonymous, async] = [3, 0x22, 1];
      // Where nothing else maps by itself, so that the range stays empty after the munmap.
      const address: bigint = mmap(0x2000_0000_0000n, size, readWrite, privateAnonymous, -1, 0);
      const slice = Slice.adopt(address, size, destructor(library, 'munmap', { signature: 'ptr,size' }));
      slice.bytes.fill(7);
      expect(msync(address, size, async)).to.equal(0);
      slice.release();
      expect(msync(address, size, async)).to.equal(-1);
    });

    it('is called after a collection as well', async () => {
      const before = lastCall().calls;
      const release = destructor(fixture(), 'fixture_free');
      (() => {
        for (let i = 0; i < 20; i++) Slice.adopt(make(8), 8, release);
      })();
      await collectUntil(() => lastCall().calls === before + 20, 'twenty blocks have been freed');
    });

    it('serves any number of blocks', () => {
      const before = lastCall().calls;
      const release = destructor(fixture(), 'fixture_free');
      const slices = Array.from({ length: 300 }, () => Slice.adopt(make(8), 8, release));
      for (const slice of slices) slice.release();
      expect(lastCall().calls).to.equal(before + 300);
    });

    it('works in its library after everybody else has unloaded that', function () {
      if (process.platform !== 'linux') return this.skip();
      const kept = compile('fixture.c', 'kept.so');
      const dropped = compile('fixture.c', 'dropped.so');
      const result = runForJson<Record<string, unknown>>('unload.ts', { args: [kept, dropped] });
      expect(result).to.deep.equal({ droppedIsMapped: false, keptIsMapped: true, liveBlocks: 0, releasedByScope: 2 });
    });
  });

  describe('with bad arguments', () => {
    it('refuses a symbol that the library does not have, naming it', () => {
      const error = expectError(() => destructor(fixture(), 'no_such_symbol'), 'ERR_CSLICE_RANGE', /no_such_symbol/);
      expect(error.cause).to.be.instanceOf(Error);
      expectError(() => destructor(fixture(), ''), 'ERR_CSLICE_RANGE');
      for (const symbol of [undefined, null, 5, {}]) {
        expectError(() => destructor(fixture(), wrong(symbol)), 'ERR_CSLICE_TYPE', /symbol/);
      }
    });

    it('refuses what is not a library', () => {
      for (const library of [undefined, null, 5, 'libc.so.6', {}]) {
        expectError(() => destructor(wrong(library), 'free'), 'ERR_CSLICE_TYPE', /lib must/);
      }
    });

    it('refuses an unknown signature, naming the known ones', () => {
      for (const signature of ['', 'size', 'ptr, size', 'toString', null, 5]) {
        expectError(
          () => destructor(fixture(), 'fixture_free', { signature: wrong(signature) }),
          'ERR_CSLICE_RANGE',
          /ptr \| ptr,size \| ctx,ptr/,
        );
      }
    });

    it('refuses a context that is not an address, or that the signature has no place for', () => {
      const make = (context: unknown) =>
        destructor(fixture(), 'fixture_free_in', { signature: 'ctx,ptr', context: wrong(context) });
      for (const context of [-1n, 1n << 64n]) expectError(() => make(context), 'ERR_CSLICE_RANGE', /context/);
      for (const context of [null, 5, 'context', {}]) expectError(() => make(context), 'ERR_CSLICE_TYPE', /context/);
      expectError(() => destructor(fixture(), 'fixture_free', { context: 4096n }), 'ERR_CSLICE_TYPE', /context/);
    });

    it('refuses options that are null', () => {
      expectError(() => destructor(fixture(), 'fixture_free', wrong(null)), 'ERR_CSLICE_TYPE', /options/);
    });
  });

  describe('as a JavaScript function', () => {
    it('runs for each block once, whichever way and in whatever order they end', async () => {
      await settle(stats);
      const ended = new Map<bigint, number>();
      const release = (address: bigint) => {
        ended.set(address, (ended.get(address) ?? 0) + 1);
        free(address);
      };
      const addresses = Array.from({ length: 100 }, () => malloc(8));
      (() => {
        const slices = addresses.map((address) => Slice.adopt(address, 8, release));
        for (const slice of slices.filter((_, i) => i % 3 === 0).reverse()) slice.release();
      })();
      await collectUntil(() => ended.size === 100, 'a hundred blocks have been freed');
      expect(new Set(ended.values())).to.deep.equal(new Set([1]));
      expect(new Set(ended.keys())).to.deep.equal(new Set(addresses));
    });

    it('may allocate and drop further slices', async () => {
      let inner = 0;
      const outer = Slice.adopt(malloc(8), 8, (address) => {
        free(address);
        for (let i = 0; i < 5; i++) {
          Slice.adopt(malloc(8), 8, (at) => {
            inner++;
            free(at);
          });
        }
      });
      outer.release();
      await collectUntil(() => inner === 5, 'the slices of the destructor have ended');
    });

    it('sees an address beyond 2^53 exact', () => {
      const seen: [bigint, number][] = [];
      const address = (1n << 63n) + 1n;
      Slice.adopt(address, 3, (at, length) => {
        seen.push([at, length]);
      }).release();
      expect(seen).to.deep.equal([[address, 3]]);
    });
  });
});
