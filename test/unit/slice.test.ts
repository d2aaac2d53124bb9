import { constants } from 'node:buffer';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { Slice, stats } from '../../lib/index.ts';
import { free, malloc, watched } from '../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../helpers/collect.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { typedArrays } from '../helpers/typed-arrays.ts';
import { nextWarning } from '../helpers/warnings.ts';

const pageSize = 4096;
const megabyte = 1 << 20;

/** Lengths that no block can have. */
const lengthsOutOfRange = [
  -1,
  -0.5,
  0.5,
  1.5,
  Number.NaN,
  Infinity,
  -Infinity,
  2 ** 53,
  1e300,
  constants.MAX_LENGTH + 1,
];
const noNumbers: unknown[] = [undefined, null, '8', 8n, true, {}, [8], Symbol('8'), () => 8, { valueOf: () => 8 }];

function iota(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => i);
}

describe('Slice', () => {
  describe('the constructor', () => {
    it('cannot be called: a slice without a block does not exist', () => {
      expectError(() => new (wrong(Slice))(), 'ERR_CSLICE_TYPE', /Slice\.alloc/);
      expectError(() => new (wrong(Slice))({ slot: 0 }, 8, 8), 'ERR_CSLICE_TYPE');
    });
  });

  describe('alloc', () => {
    it('gives as many writable bytes as asked for, all zero', () => {
      using slice = Slice.alloc(1000);
      expect(slice.byteLength).to.equal(1000);
      expect(slice.bytes).to.deep.equal(new Uint8Array(1000));
      slice.bytes.fill(7);
      expect(slice.copy()).to.deep.equal(new Uint8Array(1000).fill(7));
    });

    it('gives zeros even where a released block has left its bytes', () => {
      for (const options of [undefined, {}, { zero: true }, { alignment: 64 }]) {
        for (let i = 0; i < 20; i++) {
          using slice = Slice.alloc(200, options);
          expect(slice.bytes.every((byte) => byte === 0)).to.equal(true);
          slice.bytes.fill(255);
        }
      }
    });

    it('aligns to 16 by default, and to any power of two on demand', () => {
      for (const length of [1, 3, 8, 17, 1000, megabyte]) {
        using slice = Slice.alloc(length);
        expect(slice.address % 16n).to.equal(0n);
      }
      for (const alignment of [1, 2, 4, 8, 16, 32, 64, 256, pageSize, 2 * megabyte]) {
        for (const zero of [true, false]) {
          using slice = Slice.alloc(100, { alignment, zero });
          expect(slice.address % BigInt(Math.max(16, alignment))).to.equal(0n);
          if (zero) expect(slice.bytes.every((byte) => byte === 0)).to.equal(true);
        }
      }
    });

    it('gives every block an address of its own, one of length 0 too', () => {
      const slices = Array.from({ length: 50 }, (_, i) => Slice.alloc(i % 2));
      expect(new Set(slices.map((slice) => slice.address)).size).to.equal(50);
      expect(slices.every((slice) => slice.address > 0n)).to.equal(true);
      for (const slice of slices) slice.release();
    });

    it('gives blocks of any size up to hundreds of megabytes without touching their pages', () => {
      using slice = Slice.alloc(512 * megabyte);
      expect(slice.bytes.length).to.equal(512 * megabyte);
      slice.bytes[512 * megabyte - 1] = 9;
      expect(slice.copy(512 * megabyte - 2)).to.deep.equal(Uint8Array.of(0, 9));
    });

    it('refuses a length that is negative, fractional, NaN, or more than the runtime can view', () => {
      const before = stats();
      for (const length of lengthsOutOfRange) {
        expectError(() => Slice.alloc(length), 'ERR_CSLICE_RANGE', /byteLength.*got/);
        expectError(() => Slice.alloc(length, { zero: false }), 'ERR_CSLICE_RANGE');
      }
      expect(stats()).to.deep.equal(before);
    });

    it('refuses a length that is not a number, naming it', () => {
      for (const length of noNumbers) expectError(() => Slice.alloc(wrong(length)), 'ERR_CSLICE_TYPE', /byteLength/);
      expectError(() => Slice.alloc(wrong('8')), 'ERR_CSLICE_TYPE', /"8"/);
      expectError(() => Slice.alloc(wrong(8n)), 'ERR_CSLICE_TYPE', /8n/);
    });

    it('refuses an alignment that is not a power of two, naming it', () => {
      const before = stats();
      for (const alignment of [0, -1, -16, 3, 24, 100, 0.5, 1.5, Number.NaN, Infinity, 2 ** 53, 2 ** 60]) {
        expectError(() => Slice.alloc(8, { alignment }), 'ERR_CSLICE_RANGE', new RegExp(`alignment.*${alignment}`));
      }
      for (const alignment of [null, '16', 16n, {}]) {
        expectError(() => Slice.alloc(8, { alignment: wrong(alignment) }), 'ERR_CSLICE_TYPE', /alignment/);
      }
      expect(stats()).to.deep.equal(before);
    });

    it('refuses a zero option that is not a boolean', () => {
      for (const zero of [null, 0, 1, 'false']) {
        expectError(() => Slice.alloc(8, { zero: wrong(zero) }), 'ERR_CSLICE_TYPE', /zero/);
      }
    });

    it('refuses options that are null', () => {
      expectError(() => Slice.alloc(8, wrong(null)), 'ERR_CSLICE_TYPE', /options/);
    });
  });

  describe('fromBytes', () => {
    it('copies in the bytes of an ArrayBuffer and of any view of one', () => {
      const source = iota(64);
      const sources: [ArrayBuffer | ArrayBufferView, Uint8Array][] = [
        [source.buffer, source],
        [source, source],
        [source.subarray(3, 9), iota(9).slice(3)],
        [new DataView(source.buffer, 8, 8), iota(16).slice(8)],
        [Buffer.from('grüße'), new Uint8Array(Buffer.from('grüße'))],
        ...typedArrays.map((type): [ArrayBufferView, Uint8Array] => {
          const view = new type(source.buffer, 8, 4);
          return [view, source.slice(8, 8 + view.byteLength)];
        }),
      ];
      for (const [given, bytes] of sources) {
        using slice = Slice.fromBytes(given);
        expect(slice.byteLength).to.equal(given.byteLength);
        expect(slice.copy()).to.deep.equal(bytes);
      }
    });

    it('takes a SharedArrayBuffer and a buffer of another realm as well', () => {
      const shared = new Uint8Array(new SharedArrayBuffer(4));
      shared.set([1, 2, 3, 4]);
      for (const source of [shared, shared.buffer, runInNewContext('Uint8Array.of(1, 2, 3, 4).buffer')]) {
        using slice = Slice.fromBytes(wrong(source));
        expect(slice.copy()).to.deep.equal(Uint8Array.of(1, 2, 3, 4));
      }
    });

    it('makes a copy: neither side sees what the other writes later', () => {
      const source = iota(4);
      using slice = Slice.fromBytes(source);
      source[0] = 99;
      slice.bytes[1] = 77;
      expect(slice.copy()).to.deep.equal(Uint8Array.of(0, 77, 2, 3));
      expect(source).to.deep.equal(Uint8Array.of(99, 1, 2, 3));
    });

    it('copies another slice through its bytes', () => {
      using first = Slice.fromBytes(iota(10));
      using second = Slice.fromBytes(first.bytes.subarray(2, 5));
      expect(second.copy()).to.deep.equal(Uint8Array.of(2, 3, 4));
      expect(second.address).not.to.equal(first.address);
    });

    it('makes an empty block for an empty source', () => {
      for (const source of [new Uint8Array(), new ArrayBuffer(0), new DataView(new ArrayBuffer(8), 8)]) {
        using slice = Slice.fromBytes(source);
        expect(slice.byteLength).to.equal(0);
      }
    });

    it('refuses a detached source: the bytes of a released slice, for one', () => {
      const released = Slice.alloc(8);
      const { bytes, buffer } = released;
      const dataView = released.view(DataView);
      released.release();
      const transferred = new Uint8Array(8);
      structuredClone(transferred.buffer, { transfer: [transferred.buffer] });
      for (const source of [bytes, buffer, dataView, transferred, transferred.buffer]) {
        expectError(() => Slice.fromBytes(source), 'ERR_CSLICE_TYPE', /source.*detached/);
      }
    });

    it('refuses whatever is not a buffer', () => {
      for (const source of [undefined, null, 5, 'text', [1, 2], {}, { byteLength: 4 }, () => 1]) {
        expectError(() => Slice.fromBytes(wrong(source)), 'ERR_CSLICE_TYPE', /source/);
      }
    });

    it('refuses an object that only looks like a Uint8Array', () => {
      expectError(() => Slice.fromBytes(Object.create(Uint8Array.prototype)), 'ERR_CSLICE_TYPE', /source/);
    });

    it('copies no more than the source has, whatever a subclass says its length is', () => {
      class Boaster extends Uint8Array {
        override get byteLength(): number {
          return 64;
        }
      }
      using slice = Slice.fromBytes(new Boaster(4).fill(5));
      expect(slice.byteLength).to.equal(4);
    });
  });

  describe('fromString', () => {
    it('holds the text in UTF-8 and a NUL after it', () => {
      using slice = Slice.fromString('grüße, 世界 🌍');
      const utf8 = Buffer.from('grüße, 世界 🌍\0');
      expect(slice.byteLength).to.equal(utf8.length);
      expect(Buffer.compare(slice.toBuffer(), utf8)).to.equal(0);
      expect(slice.text()).to.equal('grüße, 世界 🌍');
    });

    it('makes a block of one NUL for an empty text', () => {
      using slice = Slice.fromString('');
      expect(slice.copy()).to.deep.equal(Uint8Array.of(0));
    });

    it('writes a lone surrogate as U+FFFD, as everything in Node does', () => {
      using slice = Slice.fromString('a\ud800b');
      expect(slice.text()).to.equal('a\ufffdb');
    });

    it('refuses a text with a NUL anywhere, saying where', async () => {
      const before = stats();
      expectError(() => Slice.fromString('\0'), 'ERR_CSLICE_RANGE', /NUL.* 0$/);
      expectError(() => Slice.fromString('ab\0cd'), 'ERR_CSLICE_RANGE', /NUL.* 2$/);
      expectError(() => Slice.fromString('abcd\0'), 'ERR_CSLICE_RANGE', /NUL.* 4$/);
      expect(stats()).to.deep.equal(before);
    });

    it('refuses what is not a string', () => {
      for (const text of [undefined, null, 5, {}, Buffer.from('x'), ['x'], new String('x')]) {
        expectError(() => Slice.fromString(wrong(text)), 'ERR_CSLICE_TYPE', /text/);
      }
    });
  });

  describe('adopt', () => {
    it('gives C memory back once, with its address and size, at the release', () => {
      const { slice, ended } = watched(24);
      const { address } = slice;
      slice.bytes.set(iota(24));
      expect(slice.copy()).to.deep.equal(iota(24));
      expect(ended).to.deep.equal([]);
      slice.release();
      slice.release();
      slice[Symbol.dispose]();
      expect(ended).to.deep.equal([[address, 24]]);
    });

    it('adopts memory of length 0, and gives it back too', () => {
      const { slice, ended } = watched(0);
      expect(slice.bytes.length).to.equal(0);
      slice.release();
      expect(ended.length).to.equal(1);
    });

    it('gives memory back after a collection, to the address that it had', async () => {
      const drop = () => {
        const { slice, ended } = watched(64);
        return { address: slice.address, ended };
      };
      const { address, ended } = drop();
      await collectUntil(() => ended.length > 0, 'the destructor has run');
      await collectManyTimes();
      expect(ended).to.deep.equal([[address, 64]]);
    });

    it('runs a destructor after the views are detached, so that it sees no stale byte', () => {
      const address = malloc(8);
      let seen = -1;
      const slice: Slice = Slice.adopt(address, 8, (at) => {
        seen = bytes.length;
        free(at);
      });
      const { bytes } = slice;
      slice.release();
      expect(seen).to.equal(0);
    });

    it('lets a destructor release further slices, and its own again', () => {
      const order: string[] = [];
      const inner = Slice.adopt(malloc(8), 8, (at) => {
        order.push('inner');
        free(at);
      });
      const outer: Slice = Slice.adopt(malloc(8), 8, (at) => {
        outer.release();
        inner.release();
        order.push('outer');
        free(at);
      });
      outer.release();
      expect(order).to.have.members(['inner', 'outer']);
      expect([outer.released, inner.released]).to.deep.equal([true, true]);
    });

    it('reports a destructor that throws as a process warning, counts the block, and runs all the others', async () => {
      const before = stats();
      const warned = nextWarning('CSLICE_DESTRUCTOR_THREW');
      const address = malloc(8);
      const failing = Slice.adopt(address, 8, (at) => {
        free(at);
        throw new Error('no luck with this one');
      });
      const { slice: other, ended } = watched(8);
      failing.release();
      other.release();
      expect(failing.released).to.equal(true);
      expect(ended.length).to.equal(1);
      const after = stats();
      expect(after.failedDestructors - before.failedDestructors).to.equal(1);
      expect(after.releasedByScope - before.releasedByScope).to.equal(2);
      expect(after.liveBlocks).to.equal(before.liveBlocks);
      expect(after.liveBytes).to.equal(before.liveBytes);
      const message = await warned;
      expect(message)
        .to.contain(`0x${address.toString(16)}`)
        .and.to.contain('8 bytes');
      expect(message).to.contain('no luck with this one');
    });

    it('survives a destructor that throws something else than an Error', () => {
      for (const thrown of [undefined, null, 'text', 5n, Symbol('s'), Object.create(null)]) {
        const before = stats();
        const slice = Slice.adopt(malloc(8), 8, (at) => {
          free(at);
          throw thrown;
        });
        slice.release();
        expect(stats().failedDestructors - before.failedDestructors).to.equal(1);
        expect(stats().liveBlocks).to.equal(before.liveBlocks);
      }
    });

    it('runs the destructors of all dropped blocks although one of them throws', async () => {
      let ran = 0;
      const drop = () => {
        for (let i = 0; i < 10; i++) {
          Slice.adopt(malloc(8), 8, (at) => {
            ran++;
            free(at);
            if (i % 3 === 0) throw new Error(`destructor ${i}`);
          });
        }
      };
      drop();
      await collectUntil(() => ran === 10, 'ten destructors have run');
    });

    it('refuses a null, negative or too high address and a length that no view can have', () => {
      const before = stats();
      for (const address of [0n, -1n, -4096n, 1n << 64n, 1n << 70n]) {
        expectError(() => Slice.adopt(address, 8, () => {}), 'ERR_CSLICE_RANGE', new RegExp(`address.*${address}`));
      }
      for (const address of [undefined, null, 4096, '0x1000', {}, new Uint8Array(8)]) {
        expectError(() => Slice.adopt(wrong(address), 8, () => {}), 'ERR_CSLICE_TYPE', /address/);
      }
      for (const length of lengthsOutOfRange) {
        expectError(() => Slice.adopt(4096n, length, () => {}), 'ERR_CSLICE_RANGE', /byteLength/);
      }
      for (const length of noNumbers) {
        expectError(() => Slice.adopt(4096n, wrong(length), () => {}), 'ERR_CSLICE_TYPE', /byteLength/);
      }
      expectError(() => Slice.adopt((1n << 64n) - 8n, 16, () => {}), 'ERR_CSLICE_RANGE', /end of memory/);
      expect(stats()).to.deep.equal(before);
    });

    it('refuses what is not a destructor, and leaves the memory with the caller', () => {
      const before = stats();
      const address = malloc(8);
      for (const destructor of [undefined, null, 'free', 5n, {}, { adopt: () => 0 }]) {
        expectError(() => Slice.adopt(address, 8, wrong(destructor)), 'ERR_CSLICE_TYPE', /destructor/);
      }
      expect(stats()).to.deep.equal(before);
      free(address);
    });
  });

  describe('borrow', () => {
    it('views memory that C keeps, and never frees it', () => {
      const before = stats();
      const address = malloc(16);
      const slice = Slice.borrow(address, 16);
      slice.bytes.set(iota(16));
      expect(slice.address).to.equal(address);
      slice.release();
      expect(slice.released).to.equal(true);
      expect(Slice.borrow(address, 16).copy()).to.deep.equal(iota(16));
      expect(stats()).to.deep.equal(before);
      free(address);
    });

    it('sees what C writes, and C what it writes', () => {
      using block = Slice.alloc(8);
      using borrowed = Slice.borrow(block.address, 8, block);
      borrowed.bytes[3] = 5;
      expect(block.bytes[3]).to.equal(5);
      block.bytes[4] = 6;
      expect(borrowed.bytes[4]).to.equal(6);
    });

    it('keeps its owner alive for as long as the slice is reachable', async () => {
      const make = () => {
        const { slice: owner, ended } = watched(32);
        return { slice: Slice.borrow(owner.address, 32, owner) as Slice | undefined, ended };
      };
      const held = make();
      await collectManyTimes();
      expect(held.ended.length).to.equal(0);
      expect(held.slice?.bytes.length).to.equal(32);
      held.slice = undefined;
      await collectUntil(() => held.ended.length === 1, 'the owner has been collected');
    });

    it('keeps its owner alive for as long as a view of it is reachable', async () => {
      const make = () => {
        const { slice: owner, ended } = watched(32);
        owner.bytes.fill(3);
        return { view: Slice.borrow(owner.address, 32, owner).bytes.subarray(1) as Uint8Array | undefined, ended };
      };
      const held = make();
      await collectManyTimes();
      expect(held.ended.length).to.equal(0);
      expect(held.view?.[7]).to.equal(3);
      held.view = undefined;
      await collectUntil(() => held.ended.length === 1, 'the owner has been collected');
    });

    it('no longer keeps its owner after the release, although handle and view are reachable', async () => {
      const make = () => {
        const { slice: owner, ended } = watched(32);
        const slice = Slice.borrow(owner.address, 32, owner);
        const { bytes } = slice;
        slice.release();
        return { slice, bytes, ended };
      };
      const { slice, bytes, ended } = make();
      await collectUntil(() => ended.length === 1, 'the owner has been collected');
      expect([slice.released, bytes.length]).to.deep.equal([true, 0]);
    });

    it('takes any object or function as owner, and no primitive', () => {
      for (const owner of [undefined, {}, [], () => {}, Symbol]) Slice.borrow(4096n, 0, owner).release();
      for (const owner of [null, 5, 'owner', 5n, true, Symbol('owner')]) {
        expectError(() => Slice.borrow(4096n, 0, wrong(owner)), 'ERR_CSLICE_TYPE', /owner/);
      }
    });

    it('refuses a null, negative or too high address and a length that no view can have', () => {
      for (const address of [0n, -1n, 1n << 64n]) {
        expectError(() => Slice.borrow(address, 8), 'ERR_CSLICE_RANGE', /address/);
      }
      expectError(() => Slice.borrow(wrong(4096), 8), 'ERR_CSLICE_TYPE', /address/);
      for (const length of lengthsOutOfRange) {
        expectError(() => Slice.borrow(4096n, length), 'ERR_CSLICE_RANGE', /byteLength/);
      }
      for (const length of noNumbers) {
        expectError(() => Slice.borrow(4096n, wrong(length)), 'ERR_CSLICE_TYPE', /byteLength/);
      }
      expectError(() => Slice.borrow((1n << 64n) - 1n, 1), 'ERR_CSLICE_RANGE', /end of memory/);
    });

    it('keeps an address beyond 2^53 exact', () => {
      for (const address of [(1n << 53n) + 1n, (1n << 63n) + 8n, (1n << 64n) - 1n]) {
        using slice = Slice.borrow(address, 0);
        expect(slice.address).to.equal(address);
      }
    });
  });

  describe('address', () => {
    it('is where the first byte is, as a bigint', () => {
      using slice = Slice.fromBytes(iota(4));
      expect(slice.address).to.be.a('bigint');
      using same = Slice.borrow(slice.address, 4, slice);
      expect(same.copy()).to.deep.equal(iota(4));
    });
  });

  describe('byteLength and released', () => {
    it('say what the slice is, before and after the release', () => {
      const slice = Slice.alloc(12);
      expect([slice.byteLength, slice.released]).to.deep.equal([12, false]);
      slice.release();
      expect([slice.byteLength, slice.released]).to.deep.equal([12, true]);
    });

    it('cannot be assigned', () => {
      using slice = Slice.alloc(12);
      for (const name of ['byteLength', 'released', 'address', 'buffer', 'bytes']) {
        expect(() => {
          wrong(slice)[name] = 1;
        }).to.throw(TypeError);
      }
      expect(slice.byteLength).to.equal(12);
    });
  });

  describe('buffer and bytes', () => {
    it('are the same objects every time', () => {
      using slice = Slice.alloc(16);
      expect(slice.bytes).to.equal(slice.bytes);
      expect(slice.buffer).to.equal(slice.buffer);
      expect(slice.bytes.buffer).to.equal(slice.buffer);
    });

    it('are an ArrayBuffer and a Uint8Array to every check that Node has', () => {
      using slice = Slice.alloc(16);
      expect(slice.buffer).to.be.instanceOf(ArrayBuffer);
      expect(slice.bytes).to.be.instanceOf(Uint8Array);
      expect(Object.prototype.toString.call(slice.buffer)).to.equal('[object ArrayBuffer]');
      expect(ArrayBuffer.isView(slice.bytes)).to.equal(true);
      expect([slice.buffer.byteLength, slice.bytes.length, slice.bytes.byteOffset]).to.deep.equal([16, 16, 0]);
    });

    it('have length 0 for a block of length 0', () => {
      using slice = Slice.alloc(0);
      expect([slice.buffer.byteLength, slice.bytes.length]).to.deep.equal([0, 0]);
    });
  });

  describe('view', () => {
    it('gives every typed array over all of the bytes by default', () => {
      using slice = Slice.fromBytes(iota(32));
      for (const type of typedArrays) {
        const view = slice.view(type);
        expect(view).to.be.instanceOf(type);
        expect(view.buffer).to.equal(slice.buffer);
        expect(view).to.deep.equal(new type(iota(32).buffer, 0, 32 / (type.BYTES_PER_ELEMENT ?? 1)));
      }
    });

    it('gives a DataView, with its length in bytes', () => {
      using slice = Slice.fromBytes(iota(32));
      expect(slice.view(DataView).getUint16(4)).to.equal(0x0405);
      const part = slice.view(DataView, 3, 5);
      expect([part.byteOffset, part.byteLength, part.getUint8(0)]).to.deep.equal([3, 5, 3]);
    });

    it('takes an offset in bytes and a length in elements', () => {
      using slice = Slice.alloc(64);
      slice.view(Float64Array).set([1, 2, 3, 4, 5, 6, 7, 8]);
      expect([...slice.view(Float64Array, 16, 3)]).to.deep.equal([3, 4, 5]);
      expect([...slice.view(Float64Array, 48)]).to.deep.equal([7, 8]);
      expect(slice.view(Float64Array, 64).length).to.equal(0);
      expect(slice.view(Float64Array, 0, 0).length).to.equal(0);
    });

    it('views only the whole elements that fit, by default', () => {
      using slice = Slice.alloc(15);
      expect(slice.view(Float64Array).length).to.equal(1);
      expect(slice.view(Int32Array, 4).length).to.equal(2);
      expect(slice.view(Int32Array, 12).length).to.equal(0);
    });

    it('takes the typed array classes of another realm, and subclasses', () => {
      using slice = Slice.fromBytes(iota(8));
      const Foreign = runInNewContext('Uint16Array') as Uint16ArrayConstructor;
      expect(slice.view(Foreign).length).to.equal(4);
      class Samples extends Int16Array {}
      expect(slice.view(Samples)).to.be.instanceOf(Samples).with.property('length', 4);
      class Header extends (DataView as new (buffer: ArrayBuffer, byteOffset: number, length: number) => DataView) {}
      expect(slice.view(Header).byteLength).to.equal(8);
    });

    it('refuses a misaligned offset, naming it and the element size', () => {
      using slice = Slice.alloc(64);
      for (const type of typedArrays) {
        const size = type.BYTES_PER_ELEMENT ?? 1;
        if (size === 1) continue;
        for (let offset = 1; offset < size; offset++) {
          expectError(
            () => slice.view(type, offset, 1),
            'ERR_CSLICE_RANGE',
            new RegExp(`${offset} .*multiple of ${size}`),
          );
        }
      }
    });

    it('refuses a typed view over memory that is itself misaligned, though not bytes or a DataView', () => {
      using block = Slice.alloc(64);
      using odd = Slice.borrow(block.address + 1n, 32, block);
      expectError(() => odd.view(Int32Array), 'ERR_CSLICE_RANGE', /multiple of 4/);
      expectError(() => odd.view(Int16Array, 1), 'ERR_CSLICE_RANGE', /multiple of 2/);
      expect(odd.view(Uint8Array, 1).length).to.equal(31);
      odd.view(DataView).setInt32(0, 5);
      expect(block.view(DataView).getInt32(1)).to.equal(5);
    });

    it('refuses a view that starts or ends outside', () => {
      using slice = Slice.alloc(64);
      for (const offset of [-1, 65, 1000, 1.5, Number.NaN, Infinity]) {
        expectError(() => slice.view(Uint8Array, offset), 'ERR_CSLICE_RANGE', /byteOffset/);
      }
      for (const length of [-1, 9, 1e9, 0.5, Number.NaN, Infinity, 2 ** 53]) {
        expectError(() => slice.view(Float64Array, 0, length), 'ERR_CSLICE_RANGE', /length/);
      }
      expectError(() => slice.view(Float64Array, 8, 8), 'ERR_CSLICE_RANGE', /length.*7.*got 8/);
      expectError(() => slice.view(DataView, 60, 5), 'ERR_CSLICE_RANGE', /length/);
      for (const value of [null, '4', 4n, {}]) {
        expectError(() => slice.view(Uint8Array, wrong(value)), 'ERR_CSLICE_TYPE', /byteOffset/);
        expectError(() => slice.view(Uint8Array, 0, wrong(value)), 'ERR_CSLICE_TYPE', /length/);
      }
    });

    it('refuses a type that is not a typed array class', () => {
      using slice = Slice.alloc(8);
      const types = [undefined, null, 'Uint8Array', 5, {}, Array, Object, ArrayBuffer, () => {}, new Uint8Array(1)];
      for (const type of [...types, Object.getPrototypeOf(Uint8Array)]) {
        expectError(() => slice.view(wrong(type)), 'ERR_CSLICE_TYPE', /type/);
      }
    });
  });

  describe('toBuffer', () => {
    it('gives a Node Buffer over the same bytes', () => {
      using slice = Slice.fromString('hello');
      const buffer = slice.toBuffer();
      expect(Buffer.isBuffer(buffer)).to.equal(true);
      expect(buffer.toString('latin1')).to.equal('hello\0');
      buffer.write('J');
      expect(slice.text()).to.equal('Jello');
      slice.bytes[1] = 'E'.charCodeAt(0);
      expect(buffer.toString('latin1')).to.equal('JEllo\0');
    });

    it('has a reference of its own: it outlives the release, and the block ends with it', async () => {
      const { slice, ended } = watched(16);
      slice.bytes.fill(5);
      const held = { buffer: slice.toBuffer() as Buffer | undefined };
      slice.release();
      await collectManyTimes();
      expect([ended.length, held.buffer?.equals(Buffer.alloc(16, 5))]).to.deep.equal([0, true]);
      held.buffer = undefined;
      await collectUntil(() => ended.length === 1, 'the block has ended');
    });

    it('shows a range where one is given', () => {
      using slice = Slice.fromString('hello');
      expect(slice.toBuffer(1, 3).toString()).to.equal('el');
      expectError(() => slice.toBuffer(3, 1), 'ERR_CSLICE_RANGE', /end/);
    });

    it('is empty for a block of length 0', () => {
      using slice = Slice.alloc(0);
      expect(slice.toBuffer().length).to.equal(0);
    });
  });

  describe('copy', () => {
    it('copies the bytes out, so that they outlive the release', () => {
      const slice = Slice.fromBytes(iota(8));
      const copy = slice.copy();
      slice.release();
      expect(copy).to.deep.equal(iota(8));
      expect(Object.getPrototypeOf(copy.buffer)).to.equal(ArrayBuffer.prototype);
    });

    it('takes a range, either end of which may be left out, and which may be empty', () => {
      using slice = Slice.fromBytes(iota(8));
      expect(slice.copy(3)).to.deep.equal(iota(8).slice(3));
      expect(slice.copy(undefined, 3)).to.deep.equal(iota(3));
      expect(slice.copy(2, 6)).to.deep.equal(iota(8).slice(2, 6));
      expect(slice.copy(0, 0).length).to.equal(0);
      expect(slice.copy(8).length).to.equal(0);
      expect(slice.copy(4, 4).length).to.equal(0);
      using empty = Slice.alloc(0);
      expect(empty.copy().length).to.equal(0);
    });

    it('takes an address beyond 2^53', () => {
      using slice = Slice.borrow((1n << 60n) + 1n, 16);
      expect(slice.copy(5, 5).length).to.equal(0);
    });

    it('refuses a range outside, or one that ends before it starts', () => {
      using slice = Slice.fromBytes(iota(8));
      for (const start of [-1, 9, 0.5, Number.NaN, Infinity]) {
        expectError(() => slice.copy(start), 'ERR_CSLICE_RANGE', /start/);
        expectError(() => slice.text(start), 'ERR_CSLICE_RANGE', /start/);
      }
      for (const end of [-1, 9, 2, 3.5, Number.NaN, Infinity]) {
        expectError(() => slice.copy(3, end), 'ERR_CSLICE_RANGE', /end/);
        expectError(() => slice.text(3, end), 'ERR_CSLICE_RANGE', /end/);
      }
      for (const value of [null, '1', 1n]) {
        expectError(() => slice.copy(wrong(value)), 'ERR_CSLICE_TYPE', /start/);
        expectError(() => slice.copy(0, wrong(value)), 'ERR_CSLICE_TYPE', /end/);
        expectError(() => slice.text(wrong(value)), 'ERR_CSLICE_TYPE', /start/);
        expectError(() => slice.text(0, wrong(value)), 'ERR_CSLICE_TYPE', /end/);
      }
    });
  });

  describe('text', () => {
    it('reads UTF-8 up to the first NUL', () => {
      using slice = Slice.fromBytes(Buffer.from('héllo\0wörld\0'));
      expect(slice.text()).to.equal('héllo');
      expect(slice.text(1)).to.equal('éllo');
      expect(slice.text(7)).to.equal('wörld');
      expect(slice.text(6)).to.equal('');
    });

    it('ends before `end` where that is before the NUL', () => {
      using slice = Slice.fromBytes(Buffer.from('abcdef\0'));
      expect(slice.text(0, 3)).to.equal('abc');
      expect(slice.text(2, 2)).to.equal('');
      expect(slice.text(2, 7)).to.equal('cdef');
    });

    it('reads to the end where there is no NUL', () => {
      using slice = Slice.fromBytes(Buffer.from('no end'));
      expect(slice.text()).to.equal('no end');
      using empty = Slice.alloc(0);
      expect(empty.text()).to.equal('');
    });

    it('replaces bytes that are not UTF-8', () => {
      using slice = Slice.fromBytes(Uint8Array.of(0x61, 0xff, 0xc3, 0x62));
      expect(slice.text()).to.equal('a\ufffd\ufffdb');
    });
  });

  describe('read and write', () => {
    it('read and write a C value at an offset, the last one that fits included', () => {
      using slice = Slice.alloc(16);
      slice.write('int', 12, -5);
      expect(slice.read('int', 12)).to.equal(-5);
      slice.write('int', 0, 7);
      expect(slice.read('int')).to.equal(7);
      slice.write('double', 8, 2.5);
      expect(slice.read('double', 8)).to.equal(2.5);
      expect([slice.read('int'), slice.read('int', 12)]).to.deep.equal([7, 0x40040000]);
    });

    it('need no alignment', () => {
      using slice = Slice.alloc(16);
      slice.write('double', 3, Math.PI);
      expect(slice.read('double', 3)).to.equal(Math.PI);
    });

    it('refuse an offset from which the type does not fit', () => {
      using slice = Slice.alloc(16);
      for (const offset of [-1, 9, 16, 17, 0.5, Number.NaN, Infinity, 2 ** 53]) {
        expectError(() => slice.read('double', offset), 'ERR_CSLICE_RANGE', /byteOffset/);
        expectError(() => slice.write('double', offset, 1), 'ERR_CSLICE_RANGE', /byteOffset/);
      }
      for (const offset of [null, '0', 0n]) {
        expectError(() => slice.read('double', wrong(offset)), 'ERR_CSLICE_TYPE', /byteOffset/);
        expectError(() => slice.write('double', wrong(offset), 1), 'ERR_CSLICE_TYPE', /byteOffset/);
      }
    });

    it('refuse a type that is longer than the slice', () => {
      using slice = Slice.alloc(7);
      using empty = Slice.alloc(0);
      expectError(() => slice.read('double'), 'ERR_CSLICE_RANGE', /double has 8 bytes.*7/);
      expectError(() => slice.write('double', 0, 1), 'ERR_CSLICE_RANGE');
      expectError(() => empty.read('char'), 'ERR_CSLICE_RANGE');
    });

    it('do not reach the memory when a getter of the value releases the slice', () => {
      const { slice, ended } = watched(8);
      const value = {
        length: 2,
        0: 1,
        get 1() {
          slice.release();
          return 2;
        },
      };
      expect(() => slice.write('int[2]', 0, value)).to.throw();
      expect([slice.released, ended.length]).to.deep.equal([true, 1]);
    });
  });

  describe('release', () => {
    it('detaches every view of whatever kind: their length is 0', () => {
      const slice = Slice.alloc(64);
      const { buffer, bytes } = slice;
      const views = [
        bytes,
        bytes.subarray(8, 16),
        slice.view(Float64Array),
        Buffer.from(buffer),
        new Uint16Array(buffer, 2, 3),
      ];
      const dataView = slice.view(DataView);
      slice.release();
      expect(buffer.byteLength).to.equal(0);
      for (const view of views) {
        expect([view.length, view.byteLength, view.byteOffset, view[0]]).to.deep.equal([0, 0, 0, undefined]);
        view[0] = 1;
        expect(view[0]).to.equal(undefined);
      }
      expect(() => dataView.getUint8(0)).to.throw(TypeError);
      expect(() => dataView.setUint8(0, 1)).to.throw(TypeError);
      expect(() => new Uint8Array(buffer)).to.throw(TypeError);
    });

    it('detaches the views of a borrowed slice as well', () => {
      using block = Slice.alloc(8);
      const borrowed = Slice.borrow(block.address, 8, block);
      const { bytes } = borrowed;
      borrowed.release();
      expect(bytes.length).to.equal(0);
      expect(block.bytes.length).to.equal(8);
    });

    it('does nothing the second time', () => {
      const slice = Slice.alloc(8);
      slice.release();
      const after = stats();
      using other = Slice.alloc(8); // has the released one's token now
      slice.release();
      slice[Symbol.dispose]();
      expect(other.released).to.equal(false);
      expect(stats().releasedByScope).to.equal(after.releasedByScope);
    });

    it('works without a view ever made, and on a block of length 0', () => {
      const before = stats();
      Slice.alloc(8).release();
      Slice.alloc(0).release();
      const empty = Slice.alloc(0);
      expect(empty.bytes.length).to.equal(0);
      empty.release();
      expect(empty.released).to.equal(true);
      const after = stats();
      expect(after.liveBlocks).to.equal(before.liveBlocks);
      expect(after.releasedByScope - before.releasedByScope).to.equal(3);
    });

    it('happens at the end of a `using` scope, also of one that throws', () => {
      const slices: Slice[] = [];
      expect(() => {
        using first = Slice.alloc(8);
        using second = Slice.alloc(8);
        slices.push(first, second);
        throw new Error('on the way');
      }).to.throw('on the way');
      expect(slices.map((slice) => slice.released)).to.deep.equal([true, true]);
    });

    it('gives the memory back at once: a thousand blocks of 1 MiB in turn live one at a time', async () => {
      const before = stats();
      for (let i = 0; i < 1000; i++) {
        using slice = Slice.alloc(megabyte, { zero: false });
        slice.bytes[i] = 1;
      }
      const after = stats();
      expect(after.liveBytes).to.equal(before.liveBytes);
      expect(after.allocatedBlocks - before.allocatedBlocks).to.equal(1000);
      expect(after.peakBytes).to.be.at.most(Math.max(before.peakBytes, before.liveBytes + megabyte));
    });
  });

  describe('after the release', () => {
    const uses: Record<string, (slice: Slice) => unknown> = {
      view: (slice) => slice.view(Uint8Array),
      read: (slice) => slice.read('char'),
      write: (slice) => slice.write('char', 0, 1),
    };
    const allowed = ['constructor', 'byteLength', 'released', 'release'];
    const names = Object.getOwnPropertyNames(Slice.prototype).filter((name) => !allowed.includes(name));

    const endings: Record<string, () => Slice> = {
      'released slice': () => Slice.fromBytes(iota(16)),
      'released slice whose views were in use': () => {
        const slice = Slice.fromBytes(iota(16));
        slice.view(DataView);
        slice.read('int');
        slice.bytes[0] = 1;
        return slice;
      },
      'released empty slice': () => Slice.alloc(0),
      'released borrowed slice': () => Slice.borrow(4096n, 16),
    };

    it('is listed below for every member of Slice', () => {
      const contract = ['address', 'buffer', 'bytes', 'view', 'toBuffer', 'copy', 'text', 'read', 'write', 'disown'];
      expect(names).to.include.members(contract);
    });

    for (const [ending, make] of Object.entries(endings)) {
      for (const name of names) {
        it(`${name} of a ${ending} throws ERR_CSLICE_RELEASED`, () => {
          const slice = make();
          const { byteLength } = slice;
          slice.release();
          const use =
            uses[name] ??
            ((used: Slice) => {
              const member = wrong(used)[name];
              return typeof member === 'function' ? member.call(used) : member;
            });
          expectError(() => use(slice), 'ERR_CSLICE_RELEASED', new RegExp(`${byteLength} bytes`));
          expect([slice.byteLength, slice.released]).to.deep.equal([byteLength, true]);
          slice.release();
        });
      }
    }

    it('a disowned slice is as unusable as a released one', () => {
      const slice = Slice.alloc(16);
      const { bytes } = slice;
      free(slice.disown());
      expect([slice.released, slice.byteLength, bytes.length]).to.deep.equal([true, 16, 0]);
      expectError(() => slice.address, 'ERR_CSLICE_RELEASED');
      expectError(() => slice.disown(), 'ERR_CSLICE_RELEASED');
      slice.release();
    });
  });

  describe('disown', () => {
    it('hands the memory of alloc to C, which frees it with free()', () => {
      const before = stats();
      for (const options of [undefined, { alignment: 4096 }, { zero: false }]) {
        const slice = Slice.alloc(32, options);
        slice.bytes.set(iota(32));
        const { address, bytes } = slice;
        const handed = slice.disown();
        expect(handed).to.equal(address);
        expect(bytes.length).to.equal(0);
        using borrowed = Slice.borrow(handed, 32);
        expect(borrowed.copy()).to.deep.equal(iota(32));
        borrowed.release();
        free(handed);
      }
      const after = stats();
      expect(after.disownedBlocks - before.disownedBlocks).to.equal(3);
      expect(after.liveBlocks).to.equal(before.liveBlocks);
      expect(after.liveBytes).to.equal(before.liveBytes);
      expect(after.releasedByScope).to.equal(before.releasedByScope);
    });

    it('never runs the destructor, neither then nor after a collection', async () => {
      const make = () => {
        const { slice, ended } = watched(16);
        return { address: slice.disown(), ended };
      };
      const { address, ended } = make();
      await collectManyTimes();
      expect(ended).to.deep.equal([]);
      free(address);
    });

    it('no longer keeps the destructor, which will never run', async () => {
      const make = () => {
        const destructor = () => {};
        const slice = Slice.adopt(malloc(16), 16, destructor);
        free(slice.disown());
        return new WeakRef(destructor);
      };
      const destructor = make();
      await collectUntil(() => destructor.deref() === undefined, 'the destructor has been collected');
    });

    it('refuses a borrowed slice, which has nothing to hand over, and leaves it as it is', () => {
      using slice = Slice.borrow(4096n, 8);
      expectError(() => slice.disown(), 'ERR_CSLICE_TYPE', /borrowed/);
      expect(slice.released).to.equal(false);
    });

    it('leaves nothing of the slot behind: the next slice works', () => {
      const address = Slice.alloc(8).disown();
      using next = Slice.fromBytes(iota(8));
      expect(next.copy()).to.deep.equal(iota(8));
      expect(next.address).not.to.equal(address);
      free(address);
    });
  });
});

describe('what throws when it is read', () => {
  it('a list of parts and a class of views are refused with what they threw as the cause', () => {
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    expectError(() => Slice.concat(proxy), 'ERR_CSLICE_TYPE', /parts cannot be read/);
    class Hostile extends Uint8Array<ArrayBuffer> {
      static override get BYTES_PER_ELEMENT(): 1 {
        throw new Error('no size');
      }
    }
    using slice = Slice.alloc(8);
    expectError(() => slice.view(Hostile), 'ERR_CSLICE_TYPE', /cannot be read: .*no size/);
  });
});

describe('slice.copyFrom', () => {
  it('refuses more than the slice has room for, wherever it starts', () => {
    using slice = Slice.alloc(4);
    expectError(() => slice.copyFrom(new Uint8Array(5)), 'ERR_CSLICE_RANGE', /source has 5 bytes, and the slice 4/);
    expectError(() => slice.copyFrom(new Uint8Array(3), 2), 'ERR_CSLICE_RANGE', /byteOffset/);
    using longer = Slice.alloc(5);
    expectError(() => slice.copyFrom(longer), 'ERR_CSLICE_RANGE', /source has 5 bytes, and the slice 4/);
  });

  it('copies from a slice, also from itself', () => {
    using slice = Slice.fromBytes(Uint8Array.of(1, 2, 3, 4));
    using part = slice.subslice(0, 3);
    slice.copyFrom(part, 1);
    expect([...slice.bytes]).to.deep.equal([1, 1, 2, 3]);
    part.release();
    expectError(() => slice.copyFrom(part), 'ERR_CSLICE_RELEASED');
  });
});
