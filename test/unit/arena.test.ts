import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import koffi from 'koffi';
import { Arena, configure, Pool, readString, Slice, stats } from '../../lib/index.ts';
import { collectManyTimes, collectUntil } from '../helpers/collect.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { failEach } from '../helpers/fail-each.ts';
import { typedArrays } from '../helpers/typed-arrays.ts';

const point = koffi.struct('ArenaPoint', { x: 'int32_t', y: 'double' });
const named = koffi.struct('ArenaNamed', { name: 'char *', points: 'void *', count: 'uint32_t' });

function isZero(view: ArrayBufferView): boolean {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).every((byte) => byte === 0);
}

describe('Arena', () => {
  describe('alloc', () => {
    it('gives zeroed bytes, aligned to 16 by default', () => {
      using arena = new Arena();
      for (const byteLength of [0, 1, 3, 16, 17, 100, 5000]) {
        const bytes = arena.alloc(byteLength);
        expect(bytes).to.be.instanceOf(Uint8Array);
        expect(bytes.byteLength).to.equal(byteLength);
        expect(isZero(bytes)).to.equal(true);
        expect(arena.address(bytes) % 16n).to.equal(0n);
        bytes.fill(255);
      }
    });

    it('aligns to any power of two, also beyond the size of a slab', () => {
      using arena = new Arena({ slabBytes: 4096 });
      for (const alignment of [1, 2, 4, 8, 16, 32, 64, 4096, 65536, 1 << 20, 16, 1]) {
        for (const byteLength of [0, 1, 100, 5000]) {
          const bytes = arena.alloc(byteLength, { alignment });
          expect(arena.address(bytes) % BigInt(alignment), `${byteLength} to ${alignment}`).to.equal(0n);
          expect(isZero(bytes)).to.equal(true);
          bytes.fill(255);
        }
      }
    });

    it('packs small allocations into one block', () => {
      const before = stats().liveBlocks;
      using arena = new Arena({ slabBytes: 65536 });
      for (let i = 0; i < 4096; i++) arena.alloc(16);
      expect(stats().liveBlocks - before).to.equal(1);
      arena.alloc(1);
      expect(stats().liveBlocks - before).to.equal(2);
    });

    it('makes no block before the first allocation', () => {
      const before = stats();
      using arena = new Arena();
      arena.release();
      expect(stats()).to.deep.equal(before);
    });

    it('gives a large request a block of its own size, and goes on with the slab that it had', () => {
      using arena = new Arena({ slabBytes: 65536 });
      const first = arena.alloc(16);
      const before = stats();
      const large = arena.alloc(1 << 20);
      expect(stats().liveBytes - before.liveBytes).to.equal(1 << 20);
      expect(large.buffer).not.to.equal(first.buffer);
      expect(arena.alloc(16).buffer).to.equal(first.buffer);
    });

    it('starts a slab for a quarter of one, and makes a block of its own size for a byte more', () => {
      using arena = new Arena({ slabBytes: 1024 });
      expect(arena.alloc(257).buffer.byteLength).to.equal(257);
      const quarter = arena.alloc(256);
      expect(quarter.buffer.byteLength).to.equal(1024);
      for (let i = 0; i < 3; i++) expect(arena.alloc(256).buffer).to.equal(quarter.buffer);
      expect(arena.alloc(257).buffer.byteLength).to.equal(257);
      expect(arena.alloc(256).buffer.byteLength).to.equal(1024);
    });

    it('fills the last byte of a slab', () => {
      using arena = new Arena({ slabBytes: 64 });
      const parts = Array.from({ length: 4 }, () => arena.alloc(16));
      expect(new Set(parts.map((part) => part.buffer)).size).to.equal(1);
      expect(arena.alloc(0, { alignment: 1 }).byteLength).to.equal(0);
      expect(arena.alloc(1).buffer).not.to.equal(parts[0]?.buffer);
    });

    it('works with the smallest slabs and with slabs that are no power of two', () => {
      for (const slabBytes of [64, 65, 100, 1000]) {
        using arena = new Arena({ slabBytes });
        const views = Array.from({ length: 200 }, (_, i) => arena.alloc(i % 40).fill(i));
        views.forEach((view, i) => {
          expect(view.every((byte) => byte === i)).to.equal(true);
        });
      }
    });

    it('refuses a length that is negative, fractional, NaN or too large, and no number at all', () => {
      using arena = new Arena();
      arena.alloc(8);
      const before = stats();
      for (const length of [-1, 0.5, Number.NaN, Infinity, 2 ** 53, 1e300]) {
        expectError(() => arena.alloc(length), 'ERR_CSLICE_RANGE', /byteLength/);
      }
      for (const length of [undefined, null, '8', 8n, {}, [8]]) {
        expectError(() => arena.alloc(wrong(length)), 'ERR_CSLICE_TYPE', /byteLength/);
      }
      expect(stats()).to.deep.equal(before);
    });

    it('refuses an alignment that is not a power of two, and options that are no object', () => {
      using arena = new Arena();
      for (const alignment of [0, -16, 3, 24, 0.5, Number.NaN, Infinity, 2 ** 31, 2 ** 40]) {
        expectError(() => arena.alloc(8, { alignment }), 'ERR_CSLICE_RANGE', /alignment/);
      }
      for (const alignment of [null, '16', 16n, {}]) {
        expectError(() => arena.alloc(8, { alignment: wrong(alignment) }), 'ERR_CSLICE_TYPE', /alignment/);
      }
      for (const options of [null, 16, '16']) {
        expectError(() => arena.alloc(8, wrong(options)), 'ERR_CSLICE_TYPE', /options/);
      }
    });

    it('does not overflow where the length comes close to what a number or a slab can count', () => {
      using arena = new Arena({ slabBytes: 2 ** 30 });
      for (const length of [2 ** 32 - 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32]) {
        try {
          expect(arena.alloc(length).byteLength).to.equal(length);
        } catch (error) {
          expect((error as { code?: string }).code).to.match(/^ERR_CSLICE_(RANGE|NOMEM)$/);
        }
      }
      const small = arena.alloc(1);
      expect(arena.address(small) > 0n).to.equal(true);
    });
  });

  describe('array', () => {
    it('gives a zeroed array of every element type, aligned for it', () => {
      using arena = new Arena({ slabBytes: 256 });
      for (const type of typedArrays) {
        arena.alloc(1, { alignment: 1 });
        for (const length of [0, 1, 7, 100]) {
          const array = arena.array(type, length);
          expect(array).to.be.instanceOf(type);
          expect(array.length).to.equal(length);
          expect(isZero(array)).to.equal(true);
          expect(arena.address(array) % BigInt(type.BYTES_PER_ELEMENT ?? 1)).to.equal(0n);
        }
      }
    });

    it('gives a DataView, with its length in bytes, and an array of another realm', () => {
      using arena = new Arena();
      expect(arena.array(DataView, 10).byteLength).to.equal(10);
      const foreign = runInNewContext('Float64Array');
      expect(arena.array<Float64Array>(foreign, 3).length).to.equal(3);
    });

    it('refuses a length of which the bytes cannot be counted, and what is not an array class', () => {
      using arena = new Arena();
      const before = stats();
      for (const length of [-1, 0.5, Number.NaN, 2 ** 53, 2 ** 50, Number.MAX_SAFE_INTEGER]) {
        expectError(() => arena.array(Float64Array, length), 'ERR_CSLICE_RANGE', /ength/);
      }
      expectError(() => arena.array(Float64Array, wrong('3')), 'ERR_CSLICE_TYPE', /length/);
      for (const type of [undefined, null, Array, {}, 'Float64Array', Buffer.alloc, class {}]) {
        expectError(() => arena.array(wrong(type), 1), 'ERR_CSLICE_TYPE', /type/);
      }
      expect(stats()).to.deep.equal(before);
    });
  });

  describe('string', () => {
    it('holds the text in UTF-8 and a NUL, where C finds it', () => {
      using arena = new Arena();
      for (const text of ['', 'a', 'grüße, 世界 🌍', 'x'.repeat(100_000)]) {
        const bytes = arena.string(text);
        expect(bytes.byteLength).to.equal(Buffer.byteLength(text) + 1);
        expect(Buffer.from(bytes).toString()).to.equal(`${text}\0`);
        expect(readString(arena.address(bytes))).to.equal(text);
      }
    });

    it('writes a lone surrogate as U+FFFD and touches nothing beside it', () => {
      using arena = new Arena();
      const before = arena.alloc(16);
      const bytes = arena.string('a\ud800b\udc00');
      const after = arena.alloc(16, { alignment: 1 });
      expect(readString(arena.address(bytes))).to.equal('a\ufffdb\ufffd');
      expect(isZero(before) && isZero(after)).to.equal(true);
    });

    it('refuses a text with a NUL, and what is not a string', () => {
      using arena = new Arena();
      expectError(() => arena.string('a\0b'), 'ERR_CSLICE_RANGE', /NUL.* 1$/);
      for (const text of [undefined, null, 5, {}, Buffer.from('x'), new String('x')]) {
        expectError(() => arena.string(wrong(text)), 'ERR_CSLICE_TYPE', /text/);
      }
    });
  });

  describe('struct', () => {
    it('encodes a value as koffi does', () => {
      using arena = new Arena();
      const bytes = arena.struct(point, { x: -5, y: 0.25 });
      expect(bytes.byteLength).to.equal(koffi.sizeof(point));
      expect(arena.address(bytes) % BigInt(koffi.alignof(point))).to.equal(0n);
      expect(koffi.decode(arena.address(bytes), point)).to.deep.equal({ x: -5, y: 0.25 });
      expect(koffi.decode(arena.address(arena.struct('int', 7)), 'int')).to.equal(7);
    });

    it('builds an array of a thousand structs that C reads as it is', () => {
      using arena = new Arena();
      const points = Array.from({ length: 1000 }, (_, x) => ({ x, y: x / 2 }));
      const bytes = arena.struct(koffi.array(point, 1000), points);
      expect(koffi.decode(arena.address(bytes), koffi.array(point, 1000))).to.deep.equal(points);
    });

    it('puts the strings of pointer members into the arena, and takes its views and slices as addresses', () => {
      using arena = new Arena();
      using slice = Slice.alloc(64);
      const points = arena.struct(koffi.array(point, 2), [
        { x: 1, y: 2 },
        { x: 3, y: 4 },
      ]);
      const bytes = arena.struct(named, { name: 'grüße', points, count: 2 });
      const decoded = koffi.decode(arena.address(bytes), named);
      expect(decoded.name).to.equal('grüße');
      expect(decoded.points).to.equal(arena.address(points));
      expect(koffi.decode(arena.address(bytes), named).count).to.equal(2);
      const other = arena.struct(named, { name: slice.address, points: slice, count: 0 });
      expect(koffi.decode(arena.address(other), named).points).to.equal(slice.address);
      expect(arena.struct(named, { name: null, points: null })).to.deep.equal(new Uint8Array(koffi.sizeof(named)));
    });

    it('keeps the bytes of a struct whose strings need further slabs', () => {
      using arena = new Arena({ slabBytes: 64 });
      const list = koffi.array('char *', 50);
      const texts = Array.from({ length: 50 }, (_, i) => `text number ${i} ${'x'.repeat(i)}`);
      const bytes = arena.struct(list, texts);
      expect(koffi.decode(arena.address(bytes), list)).to.deep.equal(texts);
    });

    it('refuses a value that does not fit, a type that is none, and views of other memory for pointers', () => {
      using arena = new Arena();
      using other = new Arena();
      using slice = Slice.alloc(8);
      expectError(() => arena.struct(point, { x: 2 ** 31 }), 'ERR_CSLICE_RANGE');
      expectError(() => arena.struct(point, { x: 'one' }), 'ERR_CSLICE_TYPE');
      expectError(() => arena.struct(point, null), 'ERR_CSLICE_TYPE');
      expectError(() => arena.struct('no_such_type', {}), 'ERR_CSLICE_TYPE');
      expectError(() => arena.struct(wrong(5), {}), 'ERR_CSLICE_TYPE');
      expectError(() => arena.struct('void', {}), 'ERR_CSLICE_TYPE');
      for (const foreign of [new Uint8Array(8), Buffer.alloc(8), slice.bytes, other.alloc(8), {}, new ArrayBuffer(8)]) {
        expectError(() => arena.struct(named, { points: foreign }), 'ERR_CSLICE_TYPE');
      }
      expectError(() => arena.struct(named, { name: 'a\0b' }), 'ERR_CSLICE_RANGE');
      slice.release();
      expectError(() => arena.struct(named, { points: slice }), 'ERR_CSLICE_RELEASED');
      expect(isZero(arena.alloc(64))).to.equal(true);
    });

    it('fails as the released arena that it is when a getter of the value releases it, and reaches no memory', () => {
      const arena = new Arena();
      const value = {
        get x() {
          arena.release();
          return 5;
        },
      };
      expect(() => arena.struct(point, value)).to.throw();
      expect(arena.released).to.equal(true);
    });
  });

  describe('address', () => {
    it('is where the first byte of a view is, and of any view into one', () => {
      using arena = new Arena();
      const bytes = arena.alloc(64);
      const address = arena.address(bytes);
      bytes[5] = 77;
      expect(koffi.decode(address + 5n, 'uint8_t')).to.equal(77);
      expect(arena.address(bytes.subarray(5))).to.equal(address + 5n);
      expect(arena.address(new DataView(bytes.buffer, bytes.byteOffset + 8, 4))).to.equal(address + 8n);
      expect(arena.address(Buffer.from(bytes.buffer, bytes.byteOffset, 8))).to.equal(address);
    });

    it('refuses the views of slices, pools, other arenas and JavaScript, and what is no view', () => {
      using arena = new Arena();
      using other = new Arena();
      using child = arena.arena();
      using slice = Slice.alloc(64);
      using pool = new Pool({ byteLength: 64 });
      using rented = pool.rent();
      arena.alloc(8);
      const foreign: unknown[] = [
        slice.bytes,
        slice.toBuffer(),
        rented.bytes,
        other.alloc(8),
        child.alloc(8),
        new Uint8Array(8),
        Buffer.from('text'),
        new Float64Array(0),
        new Uint8Array(new SharedArrayBuffer(8)),
        arena.alloc(8).buffer,
        slice,
        undefined,
        null,
        8,
        8n,
        'text',
        {},
        Object.create(Uint8Array.prototype),
      ];
      for (const view of foreign) expectError(() => arena.address(wrong(view)), 'ERR_CSLICE_TYPE', /view/);
    });

    it('reckons with where a view is, whatever the view itself says', () => {
      using arena = new Arena();
      const bytes = arena.alloc(64);
      const address = arena.address(bytes);
      for (const lie of [1e9, -8, 0.5, '8', 8n]) {
        const liar = bytes.subarray(0);
        Object.defineProperty(liar, 'byteOffset', { value: lie });
        expect(arena.address(liar), String(lie)).to.equal(address);
      }
      const stranger = new Uint8Array(8);
      Object.defineProperty(stranger, 'buffer', { value: bytes.buffer });
      expectError(() => arena.address(stranger), 'ERR_CSLICE_TYPE', /view/);
    });

    it('tells the views of an arena that has been released from all others by the code', () => {
      const arena = new Arena();
      const bytes = arena.alloc(8);
      arena.release();
      expectError(() => arena.address(bytes), 'ERR_CSLICE_RELEASED');
      using other = new Arena();
      expectError(() => other.address(bytes), 'ERR_CSLICE_TYPE');
    });
  });

  describe('release', () => {
    it('kills every view of small and large allocations at once, and gives all memory back', () => {
      const before = stats();
      const arena = new Arena({ slabBytes: 1024 });
      const views: ArrayBufferView[] = [];
      for (let i = 0; i < 100; i++) views.push(arena.alloc(i * 10), arena.string(`text ${i}`));
      views.push(arena.array(Float64Array, 9), arena.array(DataView, 9), arena.struct(point, { x: 1 }));
      views.push(Buffer.from(views[1]?.buffer as ArrayBuffer));
      arena.release();
      for (const view of views) {
        expect(view.buffer.byteLength).to.equal(0);
        if (!(view instanceof DataView)) expect(view.byteLength).to.equal(0);
      }
      const after = stats();
      expect([after.liveBlocks, after.liveBytes]).to.deep.equal([before.liveBlocks, before.liveBytes]);
      expect(after.releasedByScope - before.releasedByScope).to.equal(after.allocatedBlocks - before.allocatedBlocks);
    });

    it('does nothing the second time, and happens at the end of a `using` scope', () => {
      const before = stats();
      let bytes: Uint8Array;
      {
        using arena = new Arena();
        bytes = arena.alloc(8);
        arena.release();
        arena.release();
      }
      expect(bytes.byteLength).to.equal(0);
      expect(stats().releasedByScope - before.releasedByScope).to.equal(1);
    });

    it('makes every further use throw ERR_CSLICE_RELEASED', () => {
      for (const filled of [false, true]) {
        const arena = new Arena();
        const bytes = filled ? arena.alloc(8) : new Uint8Array(8);
        expect(arena.released).to.equal(false);
        arena.release();
        expect(arena.released).to.equal(true);
        const before = stats();
        const uses: (() => unknown)[] = [
          () => arena.alloc(8),
          () => arena.alloc(0),
          () => arena.alloc(8, { alignment: 64 }),
          () => arena.alloc(1 << 20),
          () => arena.array(Int32Array, 1),
          () => arena.array(Int32Array, 0),
          () => arena.string(''),
          () => arena.struct(point, { x: 1 }),
          () => arena.address(bytes),
          () => arena.arena(),
        ];
        for (const use of uses) expectError(use, 'ERR_CSLICE_RELEASED', /arena/);
        expect(stats()).to.deep.equal(before);
      }
    });
  });

  describe('the constructor', () => {
    it('refuses slabs that are too small, too large or no number', () => {
      for (const slabBytes of [0, 63, -1, 64.5, Number.NaN, Infinity, 2 ** 30 + 1, 2 ** 40]) {
        expectError(() => new Arena({ slabBytes }), 'ERR_CSLICE_RANGE', /slabBytes/);
      }
      for (const slabBytes of [null, '64', 64n]) {
        expectError(() => new Arena({ slabBytes: wrong(slabBytes) }), 'ERR_CSLICE_TYPE', /slabBytes/);
      }
      for (const options of [null, 5, 'x']) {
        expectError(() => new Arena(wrong(options)), 'ERR_CSLICE_TYPE', /options/);
      }
    });
  });

  describe('arena', () => {
    it('is released with its parent, at any depth', () => {
      const before = stats();
      const outer = new Arena();
      const inner = outer.arena({ slabBytes: 128 });
      const innermost = inner.arena();
      const views = [outer.alloc(8), inner.alloc(8), innermost.alloc(8)];
      outer.release();
      expect([outer, inner, innermost].map((arena) => arena.released)).to.deep.equal([true, true, true]);
      expect(views.map((view) => view.byteLength)).to.deep.equal([0, 0, 0]);
      expect(stats().liveBlocks).to.equal(before.liveBlocks);
    });

    it('can be released before its parent, whose views live on', () => {
      using outer = new Arena();
      const inner = outer.arena();
      const [kept, gone] = [outer.alloc(8), inner.alloc(8)];
      inner.release();
      expect([kept.byteLength, gone.byteLength]).to.deep.equal([8, 0]);
      expectError(() => inner.alloc(1), 'ERR_CSLICE_RELEASED');
      expect(outer.alloc(8).byteLength).to.equal(8);
    });

    it('refuses wrong options, and is not left behind then', () => {
      using outer = new Arena();
      expectError(() => outer.arena({ slabBytes: 1 }), 'ERR_CSLICE_RANGE');
    });

    it('leaves nothing in its parent once it has been released: a parent may serve any number of children', async () => {
      using outer = new Arena();
      const released = (() => {
        const inner = outer.arena();
        inner.alloc(8);
        inner.release();
        return new WeakRef(inner);
      })();
      await collectUntil(() => released.deref() === undefined, 'the released child is garbage');
    });
  });

  describe('dropped', () => {
    it('is collected when neither it nor a view of it is reachable', async () => {
      const before = stats();
      (() => {
        const arena = new Arena({ slabBytes: 1024 });
        for (let i = 0; i < 50; i++) arena.alloc(i * 20);
        arena.arena().alloc(10);
      })();
      await collectUntil(() => stats().liveBlocks === before.liveBlocks, 'the arena has been collected');
    });

    it('keeps the blocks of which a view is reachable, and gives up the others', async () => {
      const before = stats();
      const view = (() => {
        const arena = new Arena({ slabBytes: 1024 });
        const kept = arena.alloc(100).fill(9).subarray(3);
        for (let i = 0; i < 50; i++) arena.alloc(200);
        return kept;
      })();
      await collectUntil(() => stats().liveBlocks === before.liveBlocks + 1, 'all blocks but one are gone');
      await collectManyTimes();
      expect(stats().liveBlocks).to.equal(before.liveBlocks + 1);
      expect(view.every((byte) => byte === 9)).to.equal(true);
    });

    it('is kept while it is reachable, although no view is', async () => {
      const before = stats();
      const arena = new Arena();
      const address = (() => arena.address(arena.alloc(16).fill(5)))();
      await collectManyTimes();
      expect(stats().liveBlocks).to.equal(before.liveBlocks + 1);
      expect(koffi.decode(address, 'uint8_t')).to.equal(5);
      arena.release();
    });
  });

  describe('when memory is exhausted', () => {
    it('throws, leaves nothing behind, keeps its views and works on', () => {
      using arena = new Arena({ slabBytes: 256 });
      const kept = arena.alloc(8).fill(3);
      const actions: (() => unknown)[] = [
        () => arena.alloc(1000),
        () => arena.alloc(1000, { alignment: 4096 }),
        () => arena.array(Float64Array, 100),
        () => arena.string('x'.repeat(1000)),
        () => arena.struct(koffi.array(point, 100), []),
      ];
      for (const action of actions) {
        const { failures, codes } = failEach(action);
        expect(failures).to.be.at.least(2);
        expect(codes).to.deep.equal(['ERR_CSLICE_NOMEM']);
      }
      expect(kept.every((byte) => byte === 3)).to.equal(true);
      expect(isZero(arena.alloc(64))).to.equal(true);
    });

    it('throws ERR_CSLICE_LIMIT past the configured limit', () => {
      using arena = new Arena();
      configure({ limitBytes: stats().liveBytes + 100_000 });
      try {
        arena.alloc(8);
        expectError(() => arena.alloc(200_000), 'ERR_CSLICE_LIMIT');
        expect(arena.alloc(8).byteLength).to.equal(8);
      } finally {
        configure({ limitBytes: 0 });
      }
    });
  });
});
