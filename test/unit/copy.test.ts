import { constants } from 'node:buffer';
import { expect } from 'chai';
import { type Bytes, copy, copyBytes, Slice } from '../../lib/index.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { fixture } from '../helpers/fixture.ts';

function iota(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => i + 1);
}

/** Every kind of thing that holds bytes, of 8 bytes, and how to look at what it holds. */
const kinds: Record<string, (bytes: Uint8Array<ArrayBuffer>) => { bytes: Bytes; peek: () => Uint8Array }> = {
  'a slice': (bytes) => {
    const slice = Slice.fromBytes(bytes);
    return { bytes: slice, peek: () => slice.copy() };
  },
  "a slice's bytes": (bytes) => {
    const slice = Slice.fromBytes(bytes);
    return { bytes: slice.bytes, peek: () => slice.copy() };
  },
  "a slice's buffer": (bytes) => {
    const slice = Slice.fromBytes(bytes);
    return { bytes: slice.buffer, peek: () => slice.copy() };
  },
  'a Uint8Array': (bytes) => {
    const own = bytes.slice();
    return { bytes: own, peek: () => own };
  },
  'an ArrayBuffer': (bytes) => {
    const own = bytes.slice();
    return { bytes: own.buffer, peek: () => own };
  },
  'a Float64Array': (bytes) => {
    const own = bytes.slice();
    return { bytes: new Float64Array(own.buffer), peek: () => own };
  },
  'a DataView on a part': (bytes) => {
    const own = Uint8Array.of(99, ...bytes, 99);
    return { bytes: new DataView(own.buffer, 1, 8), peek: () => own.slice(1, 9) };
  },
  'a Buffer': (bytes) => {
    const own = Buffer.from(bytes);
    return { bytes: own, peek: () => new Uint8Array(own) };
  },
};

describe('copy', () => {
  for (const [to, makeTo] of Object.entries(kinds)) {
    it(`copies all of anything that holds bytes to ${to}`, () => {
      for (const [from, makeFrom] of Object.entries(kinds)) {
        const destination = makeTo(new Uint8Array(8));
        const source = makeFrom(iota(8));
        copy(destination.bytes, source.bytes);
        expect(destination.peek(), from).to.deep.equal(iota(8));
        expect(source.peek(), from).to.deep.equal(iota(8));
      }
    });

    it(`copies a part of anything that holds bytes to ${to}, down to nothing, and nothing past it`, () => {
      for (const [from, makeFrom] of Object.entries(kinds)) {
        for (const length of [5, 1, 0]) {
          const destination = makeTo(new Uint8Array(8).fill(77));
          copy(destination.bytes, makeFrom(iota(8)).bytes, length);
          const expected = Uint8Array.of(...iota(length), ...new Array(8 - length).fill(77));
          expect(destination.peek(), from).to.deep.equal(expected);
        }
      }
    });

    it(`refuses to copy to ${to} more than either side has, or a length that is none, and copies nothing then`, () => {
      for (const [from, makeFrom] of Object.entries(kinds)) {
        const destination = makeTo(new Uint8Array(8));
        const source = makeFrom(iota(8));
        for (const length of [9, -1, 1.5, Number.NaN, Infinity, 2 ** 53]) {
          expectError(() => copy(destination.bytes, source.bytes, length), 'ERR_CSLICE_RANGE', /byteLength.*0 to 8/);
        }
        for (const length of ['8', 8n, {}, true]) {
          expectError(() => copy(destination.bytes, source.bytes, wrong(length)), 'ERR_CSLICE_TYPE', /byteLength/);
        }
        expect(destination.peek(), from).to.deep.equal(new Uint8Array(8));
      }
    });
  }

  it('does not take null for a length that was left out', () => {
    using slice = Slice.alloc(8);
    expectError(() => copy(slice, iota(8), wrong(null)), 'ERR_CSLICE_TYPE', /byteLength/);
  });

  it('refuses to copy all of a source that is longer than the destination', () => {
    using short = Slice.alloc(7);
    using long = Slice.fromBytes(iota(8));
    expectError(() => copy(short, long), 'ERR_CSLICE_RANGE', /byteLength.*7.*got 8/);
    expectError(() => copy(short, iota(8)), 'ERR_CSLICE_RANGE');
    expectError(() => copy(new Uint8Array(7), long), 'ERR_CSLICE_RANGE');
    expect(short.copy()).to.deep.equal(new Uint8Array(7));
    copy(short, long, 7);
    expect(short.copy()).to.deep.equal(iota(7));
  });

  it('leaves the rest of a longer destination as it is', () => {
    using slice = Slice.fromBytes(new Uint8Array(8).fill(9));
    copy(slice, iota(3));
    expect(slice.copy()).to.deep.equal(Uint8Array.of(1, 2, 3, 9, 9, 9, 9, 9));
  });

  it('copies between ranges that overlap, in both directions', () => {
    using block = Slice.fromBytes(iota(8));
    using tail = Slice.borrow(block.address + 2n, 6, block);
    copy(tail, block, 6);
    expect(block.copy()).to.deep.equal(Uint8Array.of(1, 2, 1, 2, 3, 4, 5, 6));
    copy(block, tail, 6);
    expect(block.copy()).to.deep.equal(Uint8Array.of(1, 2, 3, 4, 5, 6, 5, 6));
    copy(block.bytes.subarray(1), block.bytes, 7);
    expect(block.copy()).to.deep.equal(Uint8Array.of(1, 1, 2, 3, 4, 5, 6, 5));
    copy(block, block);
    expect(block.copy()).to.deep.equal(Uint8Array.of(1, 1, 2, 3, 4, 5, 6, 5));
  });

  it('copies nothing between empty sides', () => {
    using empty = Slice.alloc(0);
    copy(empty, empty);
    copy(empty, new Uint8Array());
    copy(new ArrayBuffer(0), empty);
  });

  it('copies megabytes without allocating', () => {
    using from = Slice.alloc(8 << 20, { zero: false });
    using to = Slice.alloc(8 << 20, { zero: false });
    from.bytes.fill(3);
    const before = process.memoryUsage().arrayBuffers;
    copy(to, from);
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1 << 20);
    expect([to.bytes[0], to.bytes.at(-1)]).to.deep.equal([3, 3]);
  });

  it('refuses a released slice on either side', () => {
    const released = Slice.alloc(8);
    released.release();
    using live = Slice.alloc(8);
    for (const other of [live, released, new Uint8Array(8)]) {
      expectError(() => copy(released, other), 'ERR_CSLICE_RELEASED');
      expectError(() => copy(other, released), 'ERR_CSLICE_RELEASED');
      expectError(() => copy(other, released, 0), 'ERR_CSLICE_RELEASED');
    }
  });

  it('refuses what does not hold bytes, naming the side', () => {
    using slice = Slice.alloc(8);
    for (const value of [undefined, null, 5, 'text', {}, [1], 4096n]) {
      expectError(() => copy(wrong(value), slice), 'ERR_CSLICE_TYPE', /destination/);
      expectError(() => copy(slice, wrong(value)), 'ERR_CSLICE_TYPE', /source/);
    }
  });

  it('refuses the stale views of a released slice on either side', () => {
    const slice = Slice.alloc(8);
    const { bytes, buffer } = slice;
    slice.release();
    for (const stale of [bytes, buffer]) {
      expectError(() => copy(stale, iota(8)), 'ERR_CSLICE_TYPE', /destination.*detached/);
      expectError(() => copy(iota(8), stale), 'ERR_CSLICE_TYPE', /source.*detached/);
      expectError(() => copy(iota(8), stale, 0), 'ERR_CSLICE_TYPE', /source.*detached/);
    }
  });
});

describe('copyBytes', () => {
  it('copies out bytes that C keeps, as the GetData() of the article', () => {
    const address: bigint = fixture().func('void *fixture_data()')();
    const bytes = copyBytes(address, 8);
    expect(bytes).to.deep.equal(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    bytes[0] = 99;
    expect(copyBytes(address, 3)).to.deep.equal(Uint8Array.of(1, 2, 3));
  });

  it('makes an array of JavaScript, which outlives the memory', () => {
    const slice = Slice.fromBytes(iota(1000));
    const bytes = copyBytes(slice.address, 1000);
    slice.release();
    expect(bytes).to.deep.equal(iota(1000));
    expect(Object.getPrototypeOf(bytes.buffer)).to.equal(ArrayBuffer.prototype);
  });

  it('reads nothing for a length of 0', () => {
    expect(copyBytes(1n, 0)).to.deep.equal(new Uint8Array());
  });

  it('refuses a null or negative address and a length that no array can have', () => {
    for (const address of [0n, -1n, 1n << 64n]) {
      expectError(() => copyBytes(address, 8), 'ERR_CSLICE_RANGE', new RegExp(`address.*${address}`));
    }
    for (const address of [undefined, null, 4096, '4096', {}]) {
      expectError(() => copyBytes(wrong(address), 8), 'ERR_CSLICE_TYPE', /address/);
    }
    for (const length of [-1, 0.5, Number.NaN, Infinity, 2 ** 53, constants.MAX_LENGTH + 1]) {
      expectError(() => copyBytes(4096n, length), 'ERR_CSLICE_RANGE', /byteLength/);
    }
    for (const length of [undefined, null, '8', 8n]) {
      expectError(() => copyBytes(4096n, wrong(length)), 'ERR_CSLICE_TYPE', /byteLength/);
    }
  });
});
