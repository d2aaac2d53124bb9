import { createContext, runInContext } from 'node:vm';
import { expect } from 'chai';
import koffi from 'koffi';
import * as cslice from '../../../lib/index.ts';
import { watched } from '../../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../../helpers/collect.ts';
import { expectError } from '../../helpers/expect-error.ts';
import { inContext } from '../../helpers/realm.ts';

const { callAsync, copy, pin, Slice } = cslice;

describe('a realm of node:vm', () => {
  it('gives typed arrays, DataViews and buffers that are as good as our own', async () => {
    const memset = koffi.load(null).func('void *memset(void *memory, int byte, size_t size)');
    for (const expression of [
      'new Uint8Array([1, 2, 3, 4])',
      'new Uint8Array([0, 1, 2, 3, 4]).subarray(1)',
      'new DataView(new Uint8Array([1, 2, 3, 4]).buffer)',
      'new Uint8Array([1, 2, 3, 4]).buffer',
      'new Uint32Array([0x04030201])',
    ]) {
      const foreign = inContext(expression);
      const bytes = ArrayBuffer.isView(foreign)
        ? new Uint8Array(foreign.buffer, foreign.byteOffset, foreign.byteLength)
        : new Uint8Array(foreign);
      using slice = Slice.fromBytes(foreign);
      expect(slice.copy(), expression).to.deep.equal(Uint8Array.of(1, 2, 3, 4));
      slice.bytes.reverse();
      copy(foreign, slice);
      expect([...bytes], expression).to.deep.equal([4, 3, 2, 1]);
      {
        using held = pin(foreign);
        expect(cslice.copyBytes(held.address, 4), expression).to.deep.equal(Uint8Array.of(4, 3, 2, 1));
      }
      await callAsync(memset, foreign, 9, 4);
      expect([...bytes], expression).to.deep.equal([9, 9, 9, 9]);
    }
  });

  it('has its detached and resizable buffers refused like our own', () => {
    const detached = inContext('new Uint8Array(8)');
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    expectError(() => Slice.fromBytes(detached), 'ERR_CSLICE_TYPE', /detached/);
    expectError(() => pin(detached), 'ERR_CSLICE_TYPE', /detached/);
    expectError(() => pin(inContext('new ArrayBuffer(8, { maxByteLength: 16 })')), 'ERR_CSLICE_TYPE', /resizable/);
  });

  it('has its classes accepted by view(), and what they make dies at the release', () => {
    const slice = Slice.alloc(32);
    const views = ['Uint8Array', 'Float64Array', 'DataView'].map((name) =>
      slice.view<ArrayBufferView>(inContext(name)),
    );
    expect(views.map((view) => view.byteLength)).to.deep.equal([32, 32, 32]);
    expect(views[0]).not.to.be.instanceOf(Uint8Array);
    slice.release();
    expect(views[0]?.byteLength).to.equal(0);
    expect(() => views[2]?.byteLength).to.throw();
  });

  it('may use slices: its errors, its views and its releases are the same', () => {
    const { slice, ended } = watched(16);
    const context = createContext({ slice, cslice });
    const result = runInContext(
      `const own = cslice.Slice.fromString('in a realm');
       slice.bytes.fill(5);
       const view = new Uint8Array(slice.buffer, 8);
       const results = [own.text(), view[0], slice.bytes.length];
       slice.release();
       try { slice.bytes } catch (error) { results.push(error.code) }
       try { cslice.Slice.fromBytes({}) } catch (error) { results.push(error.code) }
       own.release();
       results.push(view.length);
       results`,
      context,
    );
    expect([...result]).to.deep.equal(['in a realm', 5, 16, 'ERR_CSLICE_RELEASED', 'ERR_CSLICE_TYPE', 0]);
    expect(ended.length).to.equal(1);
  });

  it('keeps a block by a view of its own, which ends when the realm has been collected', async () => {
    const held = (() => {
      const { slice, ended } = watched(16);
      slice.bytes.fill(3);
      const context = createContext({ buffer: slice.buffer });
      runInContext('var view = new Uint8Array(buffer, 4); buffer = undefined', context);
      return { context: context as object | undefined, ended };
    })();
    await collectManyTimes();
    expect(held.ended.length).to.equal(0);
    expect(runInContext('view[0]', held.context as object)).to.equal(3);
    held.context = undefined;
    await collectUntil(() => held.ended.length === 1, 'the block has ended');
  });

  it('moves a buffer as we do: the slice is over, and the block ends with the buffer there', async () => {
    const held = (() => {
      const { slice, ended } = watched(16);
      slice.bytes.fill(3);
      const context = createContext({ buffer: slice.buffer, structuredClone });
      runInContext('var moved = structuredClone(buffer, { transfer: [buffer] }); buffer = undefined', context);
      expect(slice.released).to.equal(true);
      return { context: context as object | undefined, ended };
    })();
    await collectManyTimes();
    expect(held.ended.length).to.equal(0);
    expect(runInContext('new Uint8Array(moved)[15]', held.context as object)).to.equal(3);
    held.context = undefined;
    await collectUntil(() => held.ended.length === 1, 'the block has ended');
  });

  it('shares memory by its own SharedArrayBuffer', () => {
    const buffer = inContext('new SharedArrayBuffer(8)') as SharedArrayBuffer;
    using slice = Slice.attach(buffer);
    slice.bytes[3] = 4;
    expect(new Uint8Array(buffer)[3]).to.equal(4);
  });
});
