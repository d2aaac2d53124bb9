import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import {
  endingOf,
  endLast,
  endLater,
  fieldsOf,
  giveBackTo,
  type NativeDestructor,
  putOff,
  runDestructors,
} from '../../../lib/core/destructor.ts';
import { type Destructor, destructor, func, Handle, Slice, stats } from '../../../lib/index.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { c } from '../../helpers/c-library.ts';
import { collectUntil } from '../../helpers/collect.ts';
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
      const slice = Slice.adopt(malloc(100), 100, destructor(c, 'free'));
      slice.bytes.fill(1);
      slice.release();
      expect(stats().releasedByScope - before.releasedByScope).to.equal(1);
      expect(stats().liveBlocks).to.equal(before.liveBlocks);
    });

    it('may be munmap(), of memory from mmap()', function () {
      if (process.platform !== 'linux') return this.skip();
      const library = c;
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

    it('is of mapped memory by the name of what unmaps it, and of no other', () => {
      const named = (name: string) => fieldsOf(destructor(wrong({ symbol: () => 4096n }), name) as NativeDestructor);
      const names = ['munmap', 'UnmapViewOfFile', 'free', 'my_munmap', 'munmap2', 'UnmapViewOfFileEx'];
      expect(names.map((name) => named(name).unmaps)).to.deep.equal([true, true, false, false, false, false]);
      expect(fieldsOf(destructor(4096n) as NativeDestructor)).to.include({ unmaps: false, threadSafe: false });
    });

    it('ends an object, whose size is 0, by every signature', () => {
      const endings = [
        destructor(fixture(), 'fixture_free'),
        destructor(fixture(), 'fixture_free_sized', { signature: 'ptr,size' }),
        destructor(fixture(), 'fixture_free_in', { signature: 'ctx,ptr', context: 4096n }),
      ] as NativeDestructor[];
      const contexts = endings.map((native) => {
        const { calls } = lastCall();
        const address = make(8);
        const end = endingOf(native);
        expect(endingOf(native)).to.equal(end);
        end(Number(address));
        expect(lastCall()).to.include({ calls: calls + 1, address, size: 0 });
        return lastCall().context;
      });
      expect(contexts).to.deep.equal([0n, 0n, 4096n]);
    });

    it('gives back what could not be adopted', () => {
      const { calls } = lastCall();
      const address = make(24);
      giveBackTo(destructor(fixture(), 'fixture_free_sized', { signature: 'ptr,size' }), address, 24);
      expect(lastCall()).to.deep.equal({ calls: calls + 1, address, size: 24, context: 0n });
      const seen: unknown[] = [];
      giveBackTo((...told) => void seen.push(told), (1n << 63n) + 1n, 5);
      expect(seen).to.deep.equal([[(1n << 63n) + 1n, 5]]);
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

    it('refuses options that are null, unknown or of another type', () => {
      expectError(() => destructor(fixture(), 'fixture_free', wrong(null)), 'ERR_CSLICE_TYPE', /options/);
      const known = /^options has no "safe"; it may have signature, context, threadSafe$/;
      expectError(() => destructor(fixture(), 'fixture_free', wrong({ safe: true })), 'ERR_CSLICE_TYPE', known);
      for (const threadSafe of [null, 1, 'true']) {
        const options = { threadSafe: wrong(threadSafe) };
        expectError(() => destructor(4096n, options), 'ERR_CSLICE_TYPE', /^threadSafe must be a boolean, got/);
      }
    });

    it('refuses an address that is none, or that comes with a symbol', () => {
      for (const address of [0n, -1n, 1n << 64n])
        expectError(() => destructor(address), 'ERR_CSLICE_RANGE', /^address/);
      const ofBoth = () => destructor(wrong(4096n), 'free', {});
      expectError(ofBoth, 'ERR_CSLICE_TYPE', /^a destructor from an address takes no symbol$/);
    });

    it('may be a declared C function, of one parameter as well', () => {
      const failed = stats().failedDestructors;
      const sized = 'void *memchr(void *memory, size_t n)';
      const address = malloc(8);
      for (const declared of [func(c, sized), c.func(sized)]) Slice.adopt(address, 0, wrong(declared)).release();
      expect(stats().failedDestructors).to.equal(failed);
      Slice.adopt(address, 8, wrong(func(c, 'void free(void *memory)'))).release();
      Slice.adopt(malloc(8), 8, wrong(c.func('void free(void *memory)'))).release();
      Handle.adopt('memory', malloc(8), wrong(func(c, 'void free(void *memory)'))).release();
      expect(stats().failedDestructors).to.equal(failed);
      Slice.adopt(malloc(8), 8, wrong(func(c, 'void *memchr(void *memory, int byte, size_t n)'))).release();
      expect(stats().failedDestructors).to.equal(failed + 1);
    });

    it('names koffi where another copy of it loaded the library', () => {
      const other = { cdecl: () => {}, symbol: () => 0n, func: () => expect.fail('no such function') };
      const hint = /lib is not of cslice's koffi, \d+\..*: npm ls koffi/;
      expectError(() => destructor(wrong(other), 'free'), 'ERR_CSLICE_RANGE', hint);
      expectError(() => func(wrong(other), 'int abs(int n)'), 'ERR_CSLICE_TYPE', hint);
      const free = /^symbol "nothing" is not in the library$/;
      expectError(() => destructor(c, 'nothing'), 'ERR_CSLICE_RANGE', free);
    });

    it('says why a library cannot be asked', () => {
      const thrown = new Error('from the library');
      const throwing = {
        get symbol(): never {
          throw thrown;
        },
      };
      const error = expectError(() => destructor(wrong(throwing), 'free'), 'ERR_CSLICE_TYPE', /^lib/);
      expect(error.cause).to.equal(thrown);
      const giving = (address: unknown) => () => destructor(wrong({ symbol: () => address }), 'free');
      for (const address of [undefined, 5, 0n]) {
        expectError(giving(address), 'ERR_CSLICE_RANGE', /^symbol "free" is not in the library$/);
      }
    });

    it('is needed by whatever is adopted: nothing that only looks like one is taken', () => {
      const native = destructor(fixture(), 'fixture_free');
      for (const imitation of [undefined, null, 5, {}, Object.create(native), new Proxy(native, {})]) {
        const message = /^destructor must be made by destructor\(\) or be a function, got/;
        expectError(() => Slice.adopt(4096n, 8, wrong(imitation)), 'ERR_CSLICE_TYPE', message);
      }
      const byHand = () => new (Object.getPrototypeOf(native).constructor)(Symbol('made by destructor()'), {});
      expectError(byHand, 'ERR_CSLICE_TYPE', /^A destructor is made by destructor\(\)$/);
    });
  });

  describe('as a JavaScript function', () => {
    it('runs for each block once, whichever way and in whatever order they end', async () => {
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

    it('may throw or reject: a warning says so, stats() counts it, and the others run', async () => {
      const before = stats().failedDestructors;
      const ended: string[] = [];
      const failing: Destructor[] = [
        () => {
          throw new Error('thrown');
        },
        () => Promise.reject(new Error('rejected')) as unknown as undefined,
        () => {
          throw undefined;
        },
      ];
      const told: string[] = [];
      const listener = (warning: Error & { code?: string }) => {
        expect([warning.name, warning.code]).to.deep.equal(['CSliceWarning', 'CSLICE_DESTRUCTOR_THREW']);
        told.push(warning.message.split('\n')[0] as string);
      };
      process.on('warning', listener);
      failing.forEach((release, i) => {
        Slice.adopt(4096n + BigInt(16 * i), 8 + i, release).release();
        Slice.adopt(8192n, 8, () => void ended.push(`after ${i}`)).release();
      });
      await turn();
      process.off('warning', listener);
      const where = ['0x1000 (8 bytes)', '0x1020 (10 bytes)', '0x1010 (9 bytes)']; // a rejection is known later
      const what = ['Error: thrown', 'undefined', 'Error: rejected'];
      expect(told).to.deep.equal(where.map((at, i) => `The destructor of the block at ${at} threw: ${what[i]}`));
      expect(ended).to.deep.equal(['after 0', 'after 1', 'after 2']);
      expect(stats().failedDestructors - before).to.equal(3);
    });

    it('may return what it likes, which is not looked at unless it is a promise', async () => {
      const { failedDestructors } = stats();
      let looked = 0;
      // biome-ignore lint/suspicious/noThenProperty: to see that nobody asks for it
      const thenable = { then: () => looked++ };
      for (const result of [thenable, Promise.resolve(5), 5, null]) {
        Slice.adopt(4096n, 8, () => result as unknown as undefined).release();
      }
      await turn();
      expect([looked, stats().failedDestructors]).to.deep.equal([0, failedDestructors]);
    });

    it('runs when the one before it is done, not inside of it', () => {
      const told: string[] = [];
      const note = (name: string, next?: () => void): Slice =>
        Slice.adopt(4096n, 8, () => {
          told.push(`${name} begins`);
          next?.();
          told.push(`${name} is done`);
        });
      const [third, second] = [note('third'), note('second')];
      const first = note('first', () => {
        second.release();
        third.release();
      });
      first.release();
      const names = ['first', 'second', 'third'];
      expect(told).to.deep.equal(names.flatMap((name) => [`${name} begins`, `${name} is done`]));
    });
  });

  describe('that is due', () => {
    const told: string[] = [];
    const note = (name: string) => ({ end: () => void told.push(name) });
    const dropped = (name: string): void => Slice.adopt(4096n, 8, () => void told.push(name)).release();

    beforeEach(() => {
      told.length = 0;
    });

    it('waits while a function puts it off, also past an inner one, and where the function throws', () => {
      putOff(() => {
        dropped('outer');
        putOff(() => dropped('inner'));
        runDestructors();
        expect(told).to.deep.equal([]);
      });
      runDestructors();
      expect(told).to.deep.equal(['outer', 'inner']);
      const thrown = new Error('of the function');
      const throwing = (): void => {
        dropped('of one that throws');
        throw thrown;
      };
      expect(() => putOff(throwing))
        .to.throw()
        .that.equals(thrown);
      runDestructors();
      expect(told).to.deep.equal(['outer', 'inner', 'of one that throws']);
    });

    it('runs before what ends later, and what ends last ends at once unless something waits', () => {
      endLast(note('at once'));
      expect(told).to.deep.equal(['at once']);
      endLater(note('later'));
      expect(told).to.deep.equal(['at once']);
      endLast(note('last'));
      expect(told).to.deep.equal(['at once', 'later', 'last']);
    });

    it('runs after what ends last, and does not run in the midst of it', () => {
      endLast({
        end() {
          dropped('dropped by it');
          endLast(note('ended by it'));
          told.push('it is done');
        },
      });
      expect(told).to.deep.equal(['it is done', 'ended by it', 'dropped by it']);
    });

    it('runs although an end throws, with the next call', () => {
      const thrown = new Error('of the end');
      const throwing = (): void => {
        dropped('dropped before');
        throw thrown;
      };
      expect(() => endLast({ end: throwing }))
        .to.throw()
        .that.equals(thrown);
      expect(() => {
        endLater({ end: throwing });
        endLater(note('the next'));
        runDestructors();
      })
        .to.throw()
        .that.equals(thrown);
      runDestructors();
      expect(told.sort()).to.deep.equal(['dropped before', 'dropped before', 'the next']);
    });

    it('runs on the event loop where no call comes', async () => {
      putOff(() => dropped('on the loop'));
      for (let i = 0; i < 1000 && told.length === 0; i++) await turn();
      expect(told).to.deep.equal(['on the loop']);
    });
  });
});
