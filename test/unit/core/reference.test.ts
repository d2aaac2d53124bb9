import { open } from 'node:fs/promises';
import { expect } from 'chai';
import { releaseKept } from '../../../lib/core/free-list.ts';
import { Slice, stats } from '../../../lib/index.ts';
import { direct, host } from '../../../lib/native/host.ts';
import { testFailAllocation } from '../../../lib/native/symbols.ts';
import { free, malloc, watched } from '../../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../../helpers/collect.ts';
import { expectError } from '../../helpers/expect-error.ts';
import { temporary } from '../../helpers/fixture.ts';

interface Filled {
  byteLength: number;
}

/** Everything that looks at a block of 64 bytes, and how to read a byte through it. */
const kinds: Record<string, { make: (slice: Slice) => Filled; peek: (view: never) => number | undefined }> = {
  'slice.buffer': { make: (slice) => slice.buffer, peek: (view: ArrayBuffer) => new Uint8Array(view)[0] },
  'slice.bytes': { make: (slice) => slice.bytes, peek: (view: Uint8Array) => view[0] },
  'a subarray of slice.bytes': { make: (slice) => slice.bytes.subarray(8, 16), peek: (view: Uint8Array) => view[0] },
  'slice.view(Uint8Array)': { make: (slice) => slice.view(Uint8Array), peek: (view: Uint8Array) => view[0] },
  'a part by slice.view()': { make: (slice) => slice.view(Int8Array, 9, 3), peek: (view: Int8Array) => view[0] },
  'slice.view(DataView)': { make: (slice) => slice.view(DataView), peek: (view: DataView) => view.getUint8(0) },
  'slice.toBuffer()': { make: (slice) => slice.toBuffer(), peek: (view: Buffer) => view[0] },
  'a subarray of slice.toBuffer()': { make: (slice) => slice.toBuffer().subarray(5), peek: (view: Buffer) => view[0] },
  'Buffer.from(slice.buffer)': { make: (slice) => Buffer.from(slice.buffer), peek: (view: Buffer) => view[0] },
  'a Buffer of a part': { make: (slice) => Buffer.from(slice.buffer, 8, 8), peek: (view: Buffer) => view[0] },
  'new Uint8ClampedArray(slice.buffer)': {
    make: (slice) => new Uint8ClampedArray(slice.buffer, 4),
    peek: (view: Uint8ClampedArray) => view[0],
  },
  'new DataView(slice.buffer)': {
    make: (slice) => new DataView(slice.buffer, 4),
    peek: (view: DataView) => view.getUint8(0),
  },
};

describe('a view', () => {
  for (const [kind, { make, peek }] of Object.entries(kinds)) {
    it(`as ${kind} keeps the block alive when the handle is gone, until it goes too`, async () => {
      const leaveView = () => {
        const { slice, ended } = watched(64);
        slice.bytes.fill(5);
        return { view: make(slice) as Filled | undefined, ended };
      };
      const held = leaveView();
      await collectManyTimes();
      expect(held.ended).to.deep.equal([]);
      expect(held.view?.byteLength).to.be.above(0);
      expect(peek(held.view as never)).to.equal(5);
      held.view = undefined;
      await collectUntil(() => held.ended.length > 0, 'the block has ended');
      expect(held.ended.length).to.equal(1);
    });

    if (kind.includes('toBuffer')) continue; // has a reference of its own

    it(`as ${kind} has length 0 after the release`, () => {
      const { slice, ended } = watched(64);
      const view = make(slice);
      slice.release();
      expect(ended.length).to.equal(1);
      if (view instanceof DataView) expect(() => view.byteLength).to.throw(TypeError);
      else expect(view.byteLength).to.equal(0);
    });
  }

  it('that is left over after the release keeps nothing alive', async () => {
    const leaveView = () => {
      const { slice } = watched(64);
      const { bytes } = slice;
      const owner = new WeakRef(slice);
      slice.release();
      return { bytes, owner };
    };
    const { bytes, owner } = leaveView();
    await collectUntil(() => owner.deref() === undefined, 'the released slice has been collected');
    expect(bytes.length).to.equal(0);
  });

  it('sees what is written through any other view at once', () => {
    using slice = Slice.alloc(8);
    slice.bytes[0] = 1;
    slice.toBuffer()[1] = 2;
    slice.view(DataView).setUint16(2, 0x0304);
    slice.view(Uint32Array, 4)[0] = 0x08070605;
    expect([...new Uint8Array(slice.buffer)]).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8]);
  });
});

describe('the buffer of a slice', () => {
  it('is copied by a plain structuredClone, to an ordinary ArrayBuffer', () => {
    const slice = Slice.fromBytes(Uint8Array.of(1, 2, 3));
    const clone = structuredClone(slice.buffer);
    const views = structuredClone({ bytes: slice.bytes, part: slice.bytes.subarray(1) });
    slice.bytes[0] = 99;
    slice.release();
    expect(new Uint8Array(clone)).to.deep.equal(Uint8Array.of(1, 2, 3));
    expect(Object.getPrototypeOf(clone)).to.equal(ArrayBuffer.prototype);
    expect(views.bytes).to.deep.equal(Uint8Array.of(1, 2, 3));
    expect(views.part).to.deep.equal(Uint8Array.of(2, 3));
  });

  it('is copied by slice(), to an ordinary ArrayBuffer', () => {
    const slice = Slice.fromBytes(Uint8Array.of(1, 2, 3));
    const part = slice.buffer.slice(1);
    slice.release();
    expect(new Uint8Array(part)).to.deep.equal(Uint8Array.of(2, 3));
  });

  it('is released as well when it has been frozen', () => {
    const { slice, ended } = watched(16);
    const { buffer, bytes } = slice;
    Object.freeze(buffer);
    Object.preventExtensions(bytes);
    slice.release();
    expect([buffer.byteLength, bytes.length, ended.length]).to.deep.equal([0, 0, 1]);
  });

  it('keeps the block alive when it has been frozen', async () => {
    const leaveFrozen = () => {
      const { slice, ended } = watched(16);
      return { buffer: Object.freeze(slice.buffer) as ArrayBuffer | undefined, ended };
    };
    const held = leaveFrozen();
    await collectManyTimes();
    expect([held.ended.length, held.buffer?.byteLength]).to.deep.equal([0, 16]);
    held.buffer = undefined;
    await collectUntil(() => held.ended.length === 1, 'the block has ended');
  });

  it('over memory that served before shows as many bytes as were asked for, zeroed, wherever the old ones went', async () => {
    for (let round = 0; round < 6; round++) {
      const moved: ArrayBuffer[] = [];
      for (let byteLength = 0; byteLength <= 1024; byteLength += 1 + (byteLength % 7)) {
        const slice = Slice.alloc(byteLength);
        expect([slice.buffer.byteLength, slice.bytes.length]).to.deep.equal([byteLength, byteLength]);
        expect(slice.bytes.every((byte) => byte === 0)).to.equal(true);
        slice.bytes.fill(round + 1);
        if (byteLength % 3 === 0) moved.push(structuredClone(slice.buffer, { transfer: [slice.buffer] }));
        else if (byteLength % 3 === 1) slice.release();
      }
      if (round % 2 === 0) await collectManyTimes();
      for (const buffer of moved) expect(new Uint8Array(buffer).every((byte) => byte === round + 1)).to.equal(true);
    }
  });

  it('shows nothing of what keeps the block alive', () => {
    using slice = Slice.alloc(8);
    expect(Reflect.ownKeys(slice.buffer)).to.deep.equal([]);
    expect(Object.keys(slice)).to.deep.equal(['cslice']);
  });

  it('takes the block along when it is moved: the slice is over, and the block ends once, with the moved buffer', async () => {
    const leaveMoved = () => {
      const { slice, ended } = watched(16);
      slice.bytes.fill(6);
      const { buffer } = slice;
      const moved = structuredClone(buffer, { transfer: [buffer] });
      expect([slice.released, buffer.byteLength, moved.byteLength]).to.deep.equal([true, 0, 16]);
      expectError(() => slice.bytes, 'ERR_CSLICE_RELEASED');
      expectError(() => slice.copy(), 'ERR_CSLICE_RELEASED');
      const before = stats();
      slice.release();
      expect(stats()).to.deep.equal(before);
      return { moved: moved as ArrayBuffer | undefined, ended };
    };
    const held = leaveMoved();
    await collectManyTimes();
    expect(held.ended.length).to.equal(0);
    expect(new Uint8Array(held.moved as ArrayBuffer)).to.deep.equal(new Uint8Array(16).fill(6));
    held.moved = undefined;
    await collectUntil(() => held.ended.length === 1, 'the block has ended');
  });

  it('of 0 bytes is over too once it has been moved', () => {
    const slice = Slice.alloc(0);
    const { buffer } = slice;
    structuredClone(buffer, { transfer: [buffer] });
    expect(slice.released).to.equal(true);
    expectError(() => slice.bytes, 'ERR_CSLICE_RELEASED');
  });
});

describe('a buffer that somebody else has locked', () => {
  const lock = (buffer: ArrayBuffer): void => host.lock(buffer, Symbol('not of cslice'));

  before(function () {
    if (!direct) this.skip(); // only V8 can lock one
  });

  it('is left to the collector by a release, which warns', async () => {
    const held = await (async () => {
      const { slice, ended } = watched(32);
      slice.bytes.fill(3);
      const bytes = slice.bytes as Uint8Array | undefined;
      lock(slice.buffer);
      const warning = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve));
      slice.release();
      const { name, code, message } = await warning;
      expect([name, code]).to.deep.equal(['CSliceWarning', 'CSLICE_VIEW_LOCKED']);
      expect(message).to.match(
        /slice of 32 bytes was locked by someone else .* so its views stay\. Its memory goes when/,
      );
      return { bytes, ended };
    })();
    expect([held.bytes, held.ended.length]).to.deep.equal([new Uint8Array(32).fill(3), 0]);
    held.bytes = undefined;
    await collectUntil(() => held.ended.length === 1, 'the block has ended');
  });

  it('is not resized, and its slice goes on', () => {
    const slice = Slice.fromBytes(Uint8Array.of(1, 2, 3));
    lock(slice.buffer);
    const error = expectError(() => slice.resize(100), 'ERR_CSLICE_NO_VIEW', /locked by someone else, or is pinned/);
    expect(error.cause).to.be.instanceOf(TypeError);
    expect([slice.byteLength, slice.bytes]).to.deep.equal([3, Uint8Array.of(1, 2, 3)]);
  });
});

describe('a view by a class of the user', () => {
  it('says so where the class has ended the memory', () => {
    const slice = Slice.alloc(8);
    class Ending extends Uint8Array<ArrayBuffer> {
      constructor(buffer: ArrayBuffer, byteOffset: number, length: number) {
        slice.release();
        super(buffer, byteOffset, length);
      }
    }
    const error = expectError(() => slice.view(Ending), 'ERR_CSLICE_RELEASED', /while .*Ending.* made a view of it$/);
    expect(error.cause).to.be.instanceOf(TypeError);
  });

  it('throws what the class throws', () => {
    using slice = Slice.alloc(8);
    const thrown = new Error('from the class');
    class Throwing extends Uint8Array<ArrayBuffer> {
      constructor(buffer: ArrayBuffer, byteOffset: number, length: number) {
        super(buffer, byteOffset, length);
        throw thrown;
      }
    }
    expect(() => slice.view(Throwing))
      .to.throw(Error)
      .that.equals(thrown);
  });
});

describe('a slice whose block stays with a Buffer at a resize', () => {
  const resized = (byteLength = 16) => {
    const slice = Slice.fromBytes(Uint8Array.of(1, 2, 3));
    const buffer = slice.toBuffer();
    slice.resize(byteLength);
    return { slice, buffer };
  };

  it('has a block of its own, which can be resized, used again and disowned', () => {
    Slice.alloc(24).release(); // opens the free list
    releaseKept();
    const { slice } = resized();
    slice.resize(24);
    slice.release();
    testFailAllocation(1);
    try {
      Slice.alloc(24).release(); // from the free list
    } finally {
      testFailAllocation(0);
    }
    free(resized().slice.disown());
  });

  it('has the Buffer no longer among its holders', () => {
    const { slice, buffer } = resized();
    using lease = slice.lease();
    expect(slice.holders().map(({ holder }) => holder)).to.deep.equal(['slice', 'C']);
    expect([lease.released, buffer.length]).to.deep.equal([false, 3]);
    lease.release();
    slice.release();
  });

  it('keeps its old block where memory is exhausted', () => {
    using slice = Slice.fromBytes(Uint8Array.of(1, 2, 3));
    const buffer = slice.toBuffer();
    const { address } = slice;
    testFailAllocation(1);
    try {
      expectError(() => slice.resize(5000), 'ERR_CSLICE_NOMEM');
    } finally {
      testFailAllocation(0);
    }
    expect([slice.address, slice.byteLength, slice.bytes]).to.deep.equal([address, 3, Uint8Array.of(1, 2, 3)]);
    expect(buffer).to.deep.equal(Buffer.of(1, 2, 3));
  });

  if (direct) {
    // Other runtimes share no memory with a thread.
    it('is refused one where another thread may rely on the address', () => {
      using slice = Slice.fromBytes(Uint8Array.of(1, 2, 3));
      const shared = slice.toSharedBuffer();
      const buffer = slice.toBuffer();
      expectError(() => slice.resize(5000), 'ERR_CSLICE_STATE');
      expect([shared.byteLength, buffer.length, slice.byteLength]).to.deep.equal([3, 3, 3]);
    });
  }
});

describe('a borrowed slice', () => {
  it('is detached at its release though Node may be using its memory, which is not its own', async () => {
    const address = malloc(16);
    await using file = await open(temporary('borrowed'), 'w');
    const slice = Slice.borrow(address, 16);
    const { bytes } = slice;
    const written = file.write(bytes);
    const before = stats();
    slice.release();
    expect(bytes.length).to.equal(0);
    expect(stats()).to.deep.equal(before);
    await written;
    free(address);
  });
});
