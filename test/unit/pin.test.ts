import { expect } from 'chai';
import { copyBytes, stats as counts, type Lease, pin, Slice } from '../../lib/index.ts';
import { direct } from '../../lib/native/host.ts';
import { watched } from '../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../helpers/collect.ts';
import { compileThreads } from '../helpers/compile-threads.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { byTransferList } from '../helpers/movers.ts';
import { nearTheEnd } from '../helpers/overflow.ts';
import { inContext } from '../helpers/realm.ts';
import { type Library, openThreads } from '../helpers/threads.ts';

/** ArrayBuffer has these from Node 22 on; a pinned buffer has them everywhere, and they throw. */
interface Transferable {
  transfer(): ArrayBuffer;
  transferToFixedLength(): ArrayBuffer;
  resize(byteLength: number): void;
}

/** From Node 24 on a pin locks the buffer by a key of V8's, and unlocks it; Node's own mark cannot be taken back. */
const unlocks = Number(process.versions.node.split('.')[0]) >= 24;

const asTransferable = (buffer: ArrayBufferLike): Transferable => buffer as unknown as Transferable;

/** Everything that has bytes of JavaScript's own, all of them 7. */
const sources: Record<string, () => ArrayBuffer | ArrayBufferView> = {
  'a small typed array, whose bytes are on the heap': () => new Uint8Array(16).fill(7),
  'a large typed array': () => new Uint8Array(100_000).fill(7),
  'a part of a small typed array': () => new Uint8Array(32).fill(7, 8, 24).subarray(8, 24),
  'a Float64Array': () => new Float64Array(new Uint8Array(64).fill(7).buffer),
  'a small BigInt64Array': () => new BigInt64Array(4).fill(0x0707070707070707n),
  'a Buffer of the pool': () => Buffer.from(new Uint8Array(20).fill(7)),
  'a Buffer with memory of its own': () => Buffer.alloc(20, 7),
  'an ArrayBuffer': () => new Uint8Array(16).fill(7).buffer,
  'a DataView': () => new DataView(new Uint8Array(16).fill(7).buffer, 4, 8),
  'a view of a SharedArrayBuffer': () => new Uint8Array(new SharedArrayBuffer(16)).fill(7),
  'a view of a growable SharedArrayBuffer': () =>
    new Uint8Array(new (wrong(SharedArrayBuffer))(16, { maxByteLength: 64 }) as ArrayBuffer).fill(7),
  "a slice's view": () => Slice.fromBytes(new Uint8Array(16).fill(7)).bytes,
  'a typed array of another realm': () => inContext('new Uint8Array(16).fill(7)'),
};

function bytesOf(source: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (!ArrayBuffer.isView(source)) return new Uint8Array(source);
  return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
}

/** Leaves garbage around everything that lives and collects it, so that what can move does. */
async function churn(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    const garbage = Array.from({ length: 5000 }, () => new Uint8Array(16).fill(0xee));
    expect(garbage.length).to.equal(5000);
    await collectManyTimes();
  }
}

function refusedOr<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

describe('pin', () => {
  let library: Library;
  let pinsBefore = 0;

  before(() => {
    library = openThreads(compileThreads());
  });

  beforeEach(() => {
    pinsBefore = counts().livePins;
  });

  for (const [kind, make] of Object.entries(sources)) {
    it(`gives ${kind} an address at which C and JavaScript see each other's writes through collections`, async () => {
      const source = make();
      const { length } = bytesOf(source);
      using held = pin(source);
      expect(held.byteLength).to.equal(length);
      expect(copyBytes(held.address, length)).to.deep.equal(new Uint8Array(length).fill(7));
      await churn();
      library.poke(held.address, 200);
      library.poke(held.address + BigInt(length - 1), 201);
      expect([bytesOf(source)[0], bytesOf(source).at(-1)]).to.deep.equal([200, 201]);
      bytesOf(source)[1] = 202;
      expect(library.peek(held.address + 1n)).to.equal(202);
    });

    it(`gives ${kind} the same address every time, and counts each pin`, () => {
      const source = make();
      const [first, second] = [pin(source), pin(source)];
      expect(second.address).to.equal(first.address);
      expect(counts().livePins - pinsBefore).to.equal(2);
      first.release();
      expect([first.released, second.released, counts().livePins - pinsBefore]).to.deep.equal([true, false, 1]);
      second.release();
      expect(counts().livePins).to.equal(pinsBefore);
    });
  }

  it('keeps the memory although both the source and the pin are forgotten', async () => {
    const leave = (source: Uint8Array) => ({ address: pin(source).address, weak: new WeakRef(source.buffer) });
    const left = [leave(new Uint8Array(64).fill(8)), leave(new Uint8Array(9000).fill(8))];
    await churn();
    for (const { address, weak } of left) {
      expect(weak.deref() === undefined).to.equal(false);
      expect(copyBytes(address, 64)).to.deep.equal(new Uint8Array(64).fill(8));
    }
    expect(counts().livePins - pinsBefore).to.equal(2);
  });

  it('no longer keeps the source after its release, even while the pin itself is reachable', async () => {
    let collected = 0;
    const registry = new FinalizationRegistry<undefined>(() => collected++);
    const held = (() => {
      const source = new Uint8Array(9000);
      registry.register(source.buffer, undefined);
      return pin(source);
    })();
    held.release();
    await collectUntil(() => collected === 1, 'the source is gone');
    expect(held.released).to.equal(true);
  });

  it('throws for the address after the release, and still says its size', () => {
    const held = pin(new Uint8Array(8));
    held.release();
    held.release();
    held[Symbol.dispose]();
    expect([held.released, held.byteLength]).to.deep.equal([true, 8]);
    expectError(() => held.address, 'ERR_CSLICE_RELEASED', /lease has ended/);
  });

  it('refuses the memory of WebAssembly, which may move when it grows, and leaves it free to grow', function () {
    if (!direct) return this.skip();
    const memory = new (wrong(globalThis).WebAssembly.Memory)({ initial: 1, maximum: 10 });
    expectError(() => pin(new Uint8Array(memory.buffer, 0, 8)), 'ERR_CSLICE_TYPE', /WebAssembly/);
    memory.grow(1);
    expect(memory.buffer.byteLength).to.equal(2 * 65536);
  });

  it('of nothing has no address, and can be released', () => {
    for (const source of [new Uint8Array(0), new ArrayBuffer(0), new DataView(new ArrayBuffer(8), 8)]) {
      using held = pin(source);
      expect(held.byteLength).to.equal(0);
    }
    expect(pin(new Uint8Array(0)).address).to.equal(0n);
  });

  it('makes transfer() throw with the reason, and leaves the bytes where they are', () => {
    const source = new Uint8Array(16).fill(3);
    using held = pin(source);
    for (const method of ['transfer', 'transferToFixedLength', 'resize'] as const) {
      expectError(() => asTransferable(source.buffer)[method](8), 'ERR_CSLICE_TYPE', new RegExp(`${method}\\(\\)`));
    }
    expect(source.length).to.equal(16);
    expect(copyBytes(held.address, 16)).to.deep.equal(source);
  });

  for (const [name, move] of Object.entries(byTransferList)) {
    it(`never lets ${name} with a transfer list move the source while it is pinned, and later only where the lock can be taken back`, () => {
      const source = new Uint8Array(16).fill(3);
      const held = pin(source);
      for (const state of unlocks ? ['pinned'] : ['pinned', 'released']) {
        const moved = refusedOr(() => move(source.buffer));
        expect(source.length, state).to.equal(16);
        if (moved !== undefined) {
          new Uint8Array(moved)[0] = 99;
          expect(source[0], 'the clone is a copy').to.equal(3);
        }
        if (state === 'pinned') expect(copyBytes(held.address, 16)).to.deep.equal(source);
        held.release();
      }
      if (unlocks) expect([move(source.buffer)?.byteLength, source.length]).to.deep.equal([16, 0]);
    });
  }

  it('lets a plain structuredClone copy the source', () => {
    const source = new Uint8Array(16).fill(3);
    using _held = pin(source);
    const clone = structuredClone(source);
    clone[0] = 99;
    expect([source[0], source.length]).to.deep.equal([3, 16]);
    expect(Object.getPrototypeOf(clone.buffer)).to.equal(ArrayBuffer.prototype);
  });

  it('gives transfer() back after the last release, and not before', () => {
    const source = new Uint8Array(16).fill(3);
    const pins = [pin(source), pin(source.subarray(4)), pin(source.buffer)];
    for (const held of pins) {
      expectError(() => asTransferable(source.buffer).transfer(), 'ERR_CSLICE_TYPE');
      held.release();
      held.release();
    }
    expect(Object.getPrototypeOf(source.buffer)).to.equal(ArrayBuffer.prototype);
    const transfer: unknown = asTransferable(source.buffer).transfer;
    expect(transfer).to.equal(asTransferable(ArrayBuffer.prototype).transfer); // undefined before Node 22
    if (transfer === undefined) return;
    const moved = asTransferable(source.buffer).transfer();
    expect([source.length, ...new Uint8Array(moved)]).to.deep.equal([0, ...new Uint8Array(16).fill(3)]);
  });

  it('gives a subclass of ArrayBuffer its own prototype back', () => {
    class Named extends ArrayBuffer {
      name(): string {
        return 'named';
      }
    }
    const buffer = new Named(8);
    pin(buffer).release();
    expect(buffer).to.be.instanceOf(Named);
    expect(buffer.name()).to.equal('named');
  });

  it('guards a buffer whatever its prototype and its realm', () => {
    const buffers: Record<string, ArrayBuffer> = {
      'another realm': inContext('new ArrayBuffer(16)'),
      'a typed array of another realm': inContext('new Uint8Array(16)').buffer,
      'no prototype': Object.setPrototypeOf(new ArrayBuffer(16), null),
    };
    for (const [kind, buffer] of Object.entries(buffers)) {
      const prototype = Object.getPrototypeOf(buffer);
      const held = pin(buffer);
      expectError(() => asTransferable(buffer).transfer(), 'ERR_CSLICE_TYPE');
      for (const move of Object.values(byTransferList)) refusedOr(() => move(buffer));
      expect(new Uint8Array(buffer).length, kind).to.equal(16);
      held.release();
      expect(Object.getPrototypeOf(buffer), kind).to.equal(prototype);
    }
  });

  it('leaves the Buffer pool in working order', () => {
    const pooled = Buffer.from('in the pool');
    using held = pin(pooled);
    const others = Array.from({ length: 2000 }, (_, i) => Buffer.from(`buffer ${i}`));
    expect(others.every((other, i) => other.toString() === `buffer ${i}`)).to.equal(true);
    expect(Buffer.from(copyBytes(held.address, pooled.length)).toString()).to.equal('in the pool');
  });

  describe('of a view of a slice', () => {
    it('is a lease: the block lives until both the slice and the pin are released', () => {
      for (const order of ['slice first', 'pin first']) {
        const { slice, ended } = watched(16);
        slice.bytes.fill(6);
        const held = pin(slice.bytes.subarray(4));
        expect([held.address, held.byteLength]).to.deep.equal([slice.address + 4n, 12]);
        const [first, second] = order === 'slice first' ? [slice, held] : [held, slice];
        first?.release();
        expect(ended.length, order).to.equal(0);
        if (order === 'slice first') {
          expect(copyBytes(held.address, 12)).to.deep.equal(new Uint8Array(12).fill(6));
        }
        second?.release();
        expect(ended.length, order).to.equal(1);
      }
    });

    it('keeps the block when the slice, its views and the pin are all forgotten', async () => {
      const ended = (() => {
        const { slice, ended } = watched(16);
        pin(slice.toBuffer());
        return ended;
      })();
      await collectManyTimes();
      expect(ended.length).to.equal(0);
    });

    it('leaves the view as it was', () => {
      using slice = Slice.alloc(16);
      const { buffer } = slice;
      const prototype = Object.getPrototypeOf(buffer);
      pin(buffer).release();
      expect(Object.getPrototypeOf(buffer)).to.equal(prototype);
      expect(slice.buffer).to.equal(buffer);
    });

    it('keeps the owner of borrowed memory', async () => {
      const held = (() => {
        const { slice: owner, ended } = watched(16);
        return { pin: pin(Slice.borrow(owner.address, 16, owner).bytes), ended };
      })();
      await collectManyTimes();
      expect(held.ended.length).to.equal(0);
      held.pin.release();
      await collectUntil(() => held.ended.length === 1, 'the owner is gone');
    });

    it('is refused once the slice is released', () => {
      const slice = Slice.alloc(16);
      const views = [slice.buffer, slice.bytes, slice.bytes.subarray(4), slice.view(DataView)];
      slice.release();
      for (const view of views) expectError(() => pin(view), 'ERR_CSLICE_TYPE', /detached/);
    });

    it('works on a Buffer of toBuffer() after the release, and holds the block', async () => {
      const { slice, ended } = watched(16);
      const { address } = slice;
      const held = (() => pin(slice.toBuffer().subarray(4)))();
      slice.release();
      await collectManyTimes();
      expect([ended.length, held.address, held.byteLength]).to.deep.equal([0, address + 4n, 12]);
      held.release();
      await collectUntil(() => ended.length === 1, 'the block has ended');
    });
  });

  describe('refuses', () => {
    it('what is not a buffer', () => {
      const values = [undefined, null, 1, 1n, 'text', {}, [], [1, 2], () => {}, Symbol('s'), new Map(), Slice.alloc(8)];
      const shams = [
        { buffer: new ArrayBuffer(8), byteOffset: 0, byteLength: 8 },
        Object.create(Uint8Array.prototype),
        Object.create(ArrayBuffer.prototype),
        new Proxy(new Uint8Array(8), {}),
        new Proxy(new ArrayBuffer(8), {}),
      ];
      for (const value of [...values, ...shams]) {
        expectError(() => pin(wrong(value)), 'ERR_CSLICE_TYPE', /source must be an ArrayBuffer/);
      }
    });

    it('detached buffers and views of them', () => {
      const source = new Uint8Array(8);
      const views = [source, source.subarray(4), new DataView(source.buffer), source.buffer];
      structuredClone(source.buffer, { transfer: [source.buffer] });
      for (const view of views) expectError(() => pin(view), 'ERR_CSLICE_TYPE', /detached/);
    });

    it('resizable buffers of every realm, whose memory can go', () => {
      const make = '(() => { const b = new ArrayBuffer(8, { maxByteLength: 64 }); return b; })()';
      for (const buffer of [new (wrong(ArrayBuffer))(8, { maxByteLength: 64 }), inContext(make)]) {
        for (const view of [buffer, new Uint8Array(buffer), new Uint8Array(buffer, 0, 4), new DataView(buffer)]) {
          expectError(() => pin(view), 'ERR_CSLICE_TYPE', /resizable/);
        }
      }
    });

    it('buffers that are not extensible, and leaves them as they are', () => {
      for (const close of [Object.freeze, Object.seal, Object.preventExtensions]) {
        const buffer = close(new ArrayBuffer(8));
        expectError(() => pin(buffer as ArrayBuffer), 'ERR_CSLICE_TYPE', /extensible/);
        expect(Object.getPrototypeOf(buffer)).to.equal(ArrayBuffer.prototype);
      }
    });

    it('everything without leaving a pin behind', () => {
      const sources = [undefined, Object.freeze(new ArrayBuffer(8)), new (wrong(ArrayBuffer))(8, { maxByteLength: 8 })];
      for (const source of sources) expectError(() => pin(wrong(source)), 'ERR_CSLICE_TYPE');
      expect(counts().livePins).to.equal(pinsBefore);
    });
  });

  describe('near the end of the stack', () => {
    // How much room a frame leaves depends on whether V8 has compiled the function that makes them.
    const depths = [...Array.from({ length: 40 }, (_, i) => 1 + i), 80, 160, 320, 640];

    it('either returns a lease or keeps nothing', () => {
      using slice = Slice.alloc(16);
      const sources = [slice.bytes, new Uint8Array(1000)];
      for (const source of sources) {
        const made: Lease[] = [];
        for (const frames of depths) nearTheEnd(frames, () => made.push(pin(source)));
        expect(counts().livePins).to.equal(pinsBefore + made.length);
        expect(made).to.have.length.above(0);
        for (const lease of made) lease.release();
      }
    });

    it('a release is whole, or leaves the memory to the collector', () => {
      using slice = Slice.alloc(16);
      let lease = pin(slice.bytes);
      const release = (): void => lease.release();
      release(); // compiles it, for which the stack would be too full later
      const results = depths.map((frames) => {
        lease = pin(slice.bytes);
        nearTheEnd(frames, release);
        expect(counts().livePins).to.equal(pinsBefore + (lease.released ? 0 : 1));
        const { released } = lease;
        lease.release();
        return released;
      });
      expect(results).to.include(true);
    });
  });

  it('reads the size and the offset from the view itself, not from properties that shadow them', () => {
    const source = new Uint8Array(16).fill(1).subarray(4, 8);
    Object.defineProperties(source, {
      byteLength: { value: 1000 },
      byteOffset: { value: 0 },
      buffer: { value: new ArrayBuffer(1000) },
    });
    using held = pin(source);
    expect(held.byteLength).to.equal(4);
    library.poke(held.address, 9);
    expect(source[0]).to.equal(9);
  });
});
