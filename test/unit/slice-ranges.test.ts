import { expect } from 'chai';
import { configure, Slice, stats } from '../../lib/index.ts';
import { testFailAllocation } from '../../lib/native/symbols.ts';
import { free, malloc, watched } from '../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../helpers/collect.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { failEach } from '../helpers/fail-each.ts';

const megabyte = 1 << 20;

function iota(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i + from);
}

describe('slice.subslice', () => {
  it('sees the same bytes from start to before end, all of them by default', () => {
    using slice = Slice.fromBytes(iota(32));
    for (const [start, end, from, to] of [
      [undefined, undefined, 0, 32],
      [4, undefined, 4, 32],
      [undefined, 8, 0, 8],
      [4, 8, 4, 8],
      [32, 32, 32, 32],
      [0, 0, 0, 0],
    ] as const) {
      using part = slice.subslice(start, end);
      expect(part.byteLength).to.equal(to - from);
      expect(part.address).to.equal(slice.address + BigInt(from));
      expect(part.copy()).to.deep.equal(iota(32).slice(from, to));
      part.bytes.fill(255);
      expect(slice.copy(from, to)).to.deep.equal(new Uint8Array(to - from).fill(255));
      slice.bytes.set(iota(32));
    }
  });

  it('can reach no byte outside its range', () => {
    using slice = Slice.fromBytes(iota(32));
    using part = slice.subslice(8, 16);
    expect(part.buffer.byteLength).to.equal(8);
    expect(part.view(Uint8Array).byteLength).to.equal(8);
    expectError(() => part.read('int64_t', 1), 'ERR_CSLICE_RANGE');
    expectError(() => part.write('int', 5, 0), 'ERR_CSLICE_RANGE');
    expectError(() => part.copy(0, 9), 'ERR_CSLICE_RANGE');
    expectError(() => part.subslice(0, 9), 'ERR_CSLICE_RANGE');
    expectError(() => part.view(Int32Array, 0, 3), 'ERR_CSLICE_RANGE');
    using text = Slice.fromString('abcdef').subslice(1, 3);
    expect(text.text()).to.equal('bc');
  });

  it('nests, each with offsets of its own', () => {
    using slice = Slice.fromBytes(iota(32));
    using outer = slice.subslice(4, 28);
    using inner = outer.subslice(4, 8);
    expect(inner.copy()).to.deep.equal(iota(4, 8));
    expect(inner.address).to.equal(slice.address + 8n);
  });

  it('has a life of its own: either may be released first', () => {
    for (const first of ['whole', 'part']) {
      const { slice, ended } = watched(32);
      slice.bytes.set(iota(32));
      const part = slice.subslice(4, 8);
      const [early, late] = first === 'whole' ? [slice, part] : [part, slice];
      const [earlyBytes, lateBytes] = [early.bytes, late.bytes];
      early.release();
      expect(earlyBytes.byteLength).to.equal(0);
      expect(lateBytes.byteLength).to.equal(late.byteLength);
      expect(late.copy(0, 1)).to.deep.equal(Uint8Array.of(late === part ? 4 : 0));
      expect(ended).to.deep.equal([]);
      late.release();
      expect(ended.length).to.equal(1);
    }
  });

  it('frees the whole block once, with its own address and size, however many there were', () => {
    const { slice, ended } = watched(64);
    const { address } = slice;
    const parts = Array.from({ length: 50 }, (_, i) => slice.subslice(i));
    const inner = parts.map((part) => part.subslice(1));
    slice.release();
    for (const part of [...parts, ...inner]) part.release();
    expect(ended).to.deep.equal([[address, 64]]);
  });

  it('is not a further block, and costs no memory', () => {
    using slice = Slice.alloc(megabyte);
    const before = stats();
    using part = slice.subslice(10);
    expect(part.byteLength).to.equal(megabyte - 10);
    expect(stats()).to.deep.equal(before);
  });

  it('that is dropped ends by collection, and one that is reachable keeps the block', async () => {
    const { slice, ended } = watched(32);
    (() => {
      for (let i = 0; i < 20; i++) slice.subslice(i);
    })();
    const part = slice.subslice(8);
    slice.release();
    await collectManyTimes();
    expect(ended).to.deep.equal([]);
    expect(part.byteLength).to.equal(24);
    const other = watched(32);
    (() => other.slice.subslice(2))();
    other.slice.release();
    await collectUntil(() => other.ended.length === 1, 'the dropped subslice is gone');
    part.release();
    await collectUntil(() => ended.length === 1, 'the subslices that were dropped are gone, too');
  });

  it('of a borrowed slice keeps its owner reachable, and frees nothing', async () => {
    const address = malloc(32);
    const { part, owner } = (() => {
      const owner = { name: 'owner' };
      const slice = Slice.borrow(address, 32, owner);
      const part = slice.subslice(4);
      slice.release();
      return { part, owner: new WeakRef(owner) };
    })();
    await collectManyTimes();
    expect(owner.deref()).not.to.equal(undefined);
    expect(part.address).to.equal(address + 4n);
    part.release();
    await collectUntil(() => owner.deref() === undefined, 'the owner is garbage');
    free(address);
  });

  it('refuses a range outside, one that ends before it starts, and what is not a number', () => {
    using slice = Slice.alloc(8);
    for (const [start, end] of [[-1], [9], [0.5], [Number.NaN], [0, 9], [5, 4], [0, -1], [0, Infinity]]) {
      expectError(() => slice.subslice(start, end), 'ERR_CSLICE_RANGE', /start|end/);
    }
    for (const value of [null, '0', 0n, {}]) {
      expectError(() => slice.subslice(wrong(value)), 'ERR_CSLICE_TYPE', /start/);
      expectError(() => slice.subslice(0, wrong(value)), 'ERR_CSLICE_TYPE', /end/);
    }
    slice.release();
    expectError(() => slice.subslice(), 'ERR_CSLICE_RELEASED');
  });

  it('cannot be disowned where it is a part: C could not free the middle of a block', () => {
    for (const [start, end] of [
      [8, 32],
      [0, 16],
    ]) {
      const slice = Slice.alloc(32);
      const part = slice.subslice(start, end);
      slice.release();
      expectError(() => part.disown(), 'ERR_CSLICE_STATE');
      expect(part.released).to.equal(false);
      part.release();
    }
  });

  it('cannot be resized where it is a part: what is beside it is not its own', () => {
    for (const [start, end] of [
      [8, 32],
      [0, 16],
      [8, 16],
      [32, 32],
    ] as const) {
      const slice = Slice.fromBytes(iota(32));
      const part = slice.subslice(start, end);
      slice.release();
      expectError(() => part.resize(24), 'ERR_CSLICE_STATE');
      expect(part.copy()).to.deep.equal(iota(32).slice(start, end));
      part.release();
    }
  });
});

describe('Slice.concat', () => {
  it('makes one block of the bytes of all parts, in order', () => {
    using slice = Slice.fromBytes(iota(4));
    using part = slice.subslice(1, 3);
    const view = iota(8).subarray(2, 5);
    const parts = [slice, part, view, view.buffer as ArrayBuffer, new DataView(view.buffer, 1, 2), Buffer.from('x')];
    using whole = Slice.concat(parts);
    expect([...whole.copy()]).to.deep.equal([0, 1, 2, 3, 1, 2, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 7, 1, 2, 0x78]);
    slice.bytes[0] = 99;
    expect(whole.bytes[0]).to.equal(0);
  });

  it('takes the same part any number of times, empty parts, and no parts', () => {
    using slice = Slice.fromBytes(iota(3));
    using twice = Slice.concat([slice, new Uint8Array(), slice]);
    expect([...twice.copy()]).to.deep.equal([0, 1, 2, 0, 1, 2]);
    using none = Slice.concat([]);
    expect(none.byteLength).to.equal(0);
    using again = Slice.concat([twice, none]);
    expect(again.byteLength).to.equal(6);
  });

  it('refuses what is not an array, and parts that are released, detached or not bytes, and leaves nothing', () => {
    const before = stats();
    const released = Slice.alloc(8);
    const { bytes } = released;
    released.release();
    expectError(() => Slice.concat([Uint8Array.of(1), released]), 'ERR_CSLICE_RELEASED');
    expectError(() => Slice.concat([bytes]), 'ERR_CSLICE_TYPE', /detached/);
    for (const part of [undefined, null, 5, 'text', {}, [1]]) {
      expectError(() => Slice.concat([Uint8Array.of(1), wrong(part)]), 'ERR_CSLICE_TYPE', /part/);
    }
    for (const parts of [undefined, null, 5, 'text', {}, Uint8Array.of(1), new Set()]) {
      expectError(() => Slice.concat(wrong(parts)), 'ERR_CSLICE_TYPE', /parts/);
    }
    expectError(() => Slice.concat(new Array(3)), 'ERR_CSLICE_TYPE');
    expect(stats().liveBlocks).to.equal(before.liveBlocks);
  });

  it('throws and leaves nothing when memory is exhausted', () => {
    const parts = [iota(100), iota(50)];
    const { failures, codes } = failEach(
      () => Slice.concat(parts),
      (slice) => slice.release(),
    );
    expect(failures).to.be.at.least(2);
    expect(codes).to.deep.equal(['ERR_CSLICE_NOMEM']);
  });
});

describe('slice.resize', () => {
  it('keeps the bytes as far as they fit, and zeroes the new ones', () => {
    using slice = Slice.fromBytes(iota(100, 1));
    let expected = iota(100, 1);
    for (const byteLength of [200, 100_000, 50, 0, 16, 3 * megabyte, 60, 61]) {
      slice.resize(byteLength);
      const grown = new Uint8Array(byteLength);
      grown.set(expected.subarray(0, byteLength));
      expected = grown;
      expect(slice.byteLength).to.equal(byteLength);
      expect(slice.bytes.byteLength).to.equal(byteLength);
      expect(Buffer.compare(slice.copy(), expected)).to.equal(0);
    }
  });

  it('zeroes what was cut off before and is gained again', () => {
    using slice = Slice.fromBytes(new Uint8Array(1000).fill(255));
    slice.resize(1);
    slice.resize(1000);
    expect(slice.copy()).to.deep.equal(Uint8Array.from({ length: 1000 }, (_, i) => (i === 0 ? 255 : 0)));
  });

  it('kills every view, and gives new ones over the new bytes', () => {
    using slice = Slice.alloc(64);
    const views = [slice.bytes, slice.view(Int32Array, 8, 2), slice.bytes.subarray(3)];
    const dataView = slice.view(DataView);
    slice.write('int', 0, 7);
    slice.resize(64);
    for (const view of views) expect(view.byteLength).to.equal(0);
    expect(() => dataView.getInt8(0)).to.throw(TypeError);
    expect(slice.read('int')).to.equal(7);
    slice.write('int', 60, 9);
    expect(slice.bytes[60]).to.equal(9);
    expect(slice.bytes).to.equal(slice.bytes);
  });

  it('keeps the alignment, also through moves', () => {
    for (const alignment of [16, 64, 4096]) {
      using slice = Slice.alloc(10, { alignment });
      slice.bytes.fill(3);
      for (const byteLength of [100, 10_000, 5, 300_000, 10]) {
        slice.resize(byteLength);
        expect(slice.address % BigInt(alignment), `${byteLength} to ${alignment}`).to.equal(0n);
        expect(slice.copy(0, 5)).to.deep.equal(new Uint8Array(5).fill(3));
      }
    }
  });

  it('is counted, and is not a further block', () => {
    const before = stats();
    const slice = Slice.alloc(1000);
    slice.resize(5000);
    expect(stats().liveBytes - before.liveBytes).to.equal(5000);
    slice.resize(10);
    expect(stats().liveBytes - before.liveBytes).to.equal(10);
    expect(stats().allocatedBlocks - before.allocatedBlocks).to.equal(1);
    slice.release();
    expect([stats().liveBlocks, stats().liveBytes]).to.deep.equal([before.liveBlocks, before.liveBytes]);
  });

  it('leaves the memory to free(): a resized slice can be disowned', () => {
    const slice = Slice.alloc(10);
    slice.resize(1000);
    const { address } = slice;
    expect(slice.disown()).to.equal(address);
    free(address);
  });

  it('refuses while others hold the block, and works when they are gone', () => {
    const holds: Record<string, (slice: Slice) => () => void> = {
      lease: (slice) => {
        const lease = slice.lease();
        return () => lease.release();
      },
      subslice: (slice) => {
        const part = slice.subslice(1, 2);
        return () => part.release();
      },
      attached: (slice) => {
        const attached = Slice.attach(slice.toSharedBuffer());
        return () => attached.release();
      },
    };
    for (const [name, hold] of Object.entries(holds)) {
      using slice = Slice.fromBytes(iota(16));
      const { address } = slice;
      const end = hold(slice);
      for (const byteLength of [0, 8, 16, 1000]) {
        expectError(() => slice.resize(byteLength), 'ERR_CSLICE_STATE', undefined);
      }
      expect([slice.byteLength, slice.address], name).to.deep.equal([16, address]);
      expect(slice.copy()).to.deep.equal(iota(16));
      end();
      if (name === 'attached') continue; // the offer stands as long as the slice
      slice.resize(20);
      expect(slice.byteLength).to.equal(20);
    }
  });

  it('refuses memory that alloc did not make, and leaves it as it is', () => {
    const { slice, ended } = watched(16);
    slice.bytes.fill(1);
    expectError(() => slice.resize(32), 'ERR_CSLICE_STATE');
    expect(slice.copy()).to.deep.equal(new Uint8Array(16).fill(1));
    slice.release();
    expect(ended.length).to.equal(1);
    const address = malloc(32);
    using borrowed = Slice.borrow(address, 32);
    expectError(() => borrowed.resize(16), 'ERR_CSLICE_TYPE', /borrowed/);
    expect(borrowed.byteLength).to.equal(32);
    free(address);
  });

  it('refuses a length that is out of range, not a number, and a released slice', () => {
    const slice = Slice.alloc(8);
    const { bytes } = slice;
    for (const length of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) {
      expectError(() => slice.resize(length), 'ERR_CSLICE_RANGE', /byteLength/);
    }
    for (const length of [undefined, null, '8', 8n, {}]) {
      expectError(() => slice.resize(wrong(length)), 'ERR_CSLICE_TYPE', /byteLength/);
    }
    expect(bytes.byteLength).to.equal(8);
    slice.release();
    expectError(() => slice.resize(8), 'ERR_CSLICE_RELEASED');
  });

  it('leaves a Buffer of toBuffer() the bytes that it has', () => {
    using slice = Slice.fromBytes(iota(100));
    const buffer = slice.toBuffer();
    slice.resize(10_000);
    slice.bytes.fill(9);
    expect(buffer.equals(iota(100))).to.equal(true);
    expect(slice.bytes).to.deep.equal(new Uint8Array(10_000).fill(9));
  });

  it('leaves the slice and its bytes as they were when memory is exhausted', async () => {
    for (const alignment of [16, 4096]) {
      using slice = Slice.alloc(16, { alignment });
      slice.bytes.set(iota(16));
      const { address } = slice;
      const before = stats();
      for (const byteLength of [8, 10_000]) {
        testFailAllocation(1);
        try {
          expectError(() => slice.resize(byteLength), 'ERR_CSLICE_NOMEM');
        } finally {
          testFailAllocation(0);
        }
        expect([slice.byteLength, slice.address]).to.deep.equal([16, address]);
        expect(slice.copy()).to.deep.equal(iota(16));
        expect(stats()).to.deep.equal(before);
      }
    }
  });

  it('throws ERR_CSLICE_LIMIT past the configured limit, for what it gains alone', () => {
    using slice = Slice.alloc(1000);
    slice.bytes.fill(1);
    configure({ limitBytes: stats().liveBytes + 500 });
    try {
      expectError(() => slice.resize(1501), 'ERR_CSLICE_LIMIT');
      expect(slice.byteLength).to.equal(1000);
      slice.resize(1500);
      slice.resize(10);
      slice.resize(1500);
      expect(slice.copy(0, 10)).to.deep.equal(new Uint8Array(10).fill(1));
    } finally {
      configure({ limitBytes: 0 });
    }
  });

  it('never frees bytes under an ArrayBuffer to which they have been moved', async function () {
    const transfer = wrong(ArrayBuffer.prototype).transfer;
    if (transfer === undefined) return this.skip(); // before Node 22
    const slice = Slice.fromBytes(iota(64));
    const moved: ArrayBuffer = transfer.call(slice.buffer);
    expectError(() => slice.resize(megabyte), 'ERR_CSLICE_RELEASED');
    slice.release();
    await collectManyTimes();
    expect(new Uint8Array(moved)).to.deep.equal(iota(64));
  });
});
