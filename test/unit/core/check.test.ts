import { constants } from 'node:buffer';
import { expect } from 'chai';
import {
  advance,
  bytesOf,
  bytesOfOther,
  checkAddress,
  checkIndex,
  checkLength,
  checkRegion,
  checkText,
  elementSizeOf,
  elementsOf,
  remainder,
  toInteger,
} from '../../../lib/core/check.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';

const highest = (1n << 64n) - 1n;
const beyondExact = 2n ** 53n;

describe('checks of arguments', () => {
  it('take every length that a view can have, and no other', () => {
    for (const length of [0, 1, constants.MAX_LENGTH]) expect(checkLength('length', length)).to.equal(length);
    for (const length of [-1, 0.5, Number.NaN, constants.MAX_LENGTH + 1, Infinity]) {
      expectError(
        () => checkLength('length', length),
        'ERR_CSLICE_RANGE',
        /length must be an integer from 0 to \d+, got/,
      );
    }
    expectError(() => checkLength('length', '8'), 'ERR_CSLICE_TYPE', /length must be a number, got "8"/);
  });

  it('take an index between its limits, or what stands for none', () => {
    expect([
      checkIndex('at', undefined, 7, 0, 9),
      checkIndex('at', 0, 7, 0, 9),
      checkIndex('at', 9, 7, 0, 9),
    ]).to.deep.equal([7, 0, 9]);
    for (const at of [-1, 10, 1.5]) expectError(() => checkIndex('at', at, 7, 0, 9), 'ERR_CSLICE_RANGE', /from 0 to 9/);
    expectError(() => checkIndex('at', null, 7, 0, 9), 'ERR_CSLICE_TYPE', /at must be a number, got null/);
  });

  it('take every address but NULL, and regions up to the end of memory', () => {
    expect([checkAddress('to', 1n), checkAddress('to', highest)]).to.deep.equal([1n, highest]);
    for (const address of [0n, -1n, highest + 1n]) {
      expectError(
        () => checkAddress('to', address),
        'ERR_CSLICE_RANGE',
        /to must be an address from 0x1 to 0xf{16}, got/,
      );
    }
    expectError(() => checkAddress('to', 1), 'ERR_CSLICE_TYPE', /to must be a bigint, got 1/);
    checkRegion(highest - 8n, 8);
    expectError(
      () => checkRegion(highest - 8n, 9),
      'ERR_CSLICE_RANGE',
      /byteLength 9 from address 0xf+7 passes the end/,
    );
  });

  it('measure a text as a C string', () => {
    expect([checkText(''), checkText('äb')]).to.deep.equal([1, 4]);
    expectError(() => checkText('a\0'), 'ERR_CSLICE_RANGE', /found one at 1/);
    expectError(() => checkText('\0'), 'ERR_CSLICE_RANGE', /found one at 0/);
    expectError(() => checkText(5), 'ERR_CSLICE_TYPE', /text must be a string, got 5/);
  });

  it('name what a buffer could have been', () => {
    expectError(() => bytesOf('source', 5), 'ERR_CSLICE_TYPE', /source must be an ArrayBuffer or a view of one, got 5/);
    expectError(
      () => bytesOfOther('source', {}),
      'ERR_CSLICE_TYPE',
      /source must be a Slice, an ArrayBuffer or a view/,
    );
    const detached = new Uint8Array(8);
    structuredClone(detached, { transfer: [detached.buffer] });
    expectError(() => bytesOf('source', detached), 'ERR_CSLICE_TYPE', /source must not be detached/);
    expectError(() => bytesOf('source', detached.buffer), 'ERR_CSLICE_TYPE', /source must not be detached/);
    expect(bytesOf('source', new Uint8Array(0)).byteLength).to.equal(0);
  });

  it('see the bytes of every buffer and view, whatever its own properties say', () => {
    const { buffer } = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
    const shared = new SharedArrayBuffer(3);
    const lying = Object.defineProperty(new Uint8Array(buffer, 2, 3), 'byteLength', { value: 8 });
    const found = [buffer, shared, lying, new DataView(buffer, 1, 2), new Uint16Array(buffer, 4, 2)].map((source) => {
      const bytes = bytesOf('source', source);
      return [bytes.byteOffset, bytes.byteLength, bytes.buffer === buffer || bytes.buffer === shared];
    });
    expect(found).to.deep.equal([
      [0, 8, true],
      [0, 3, true],
      [2, 3, true],
      [1, 2, true],
      [4, 4, true],
    ]);
  });

  it('copy a list once, and refuse what is none', () => {
    const list = [1, 2];
    const copy = elementsOf('list', list);
    expect(copy).to.deep.equal(list);
    expect(copy === list).to.equal(false);
    expectError(() => elementsOf('list', wrong({ length: 1 })), 'ERR_CSLICE_TYPE', /list must be an array, got/);
  });

  it('know the size of the elements of a class of views', () => {
    const classes = [Uint8Array, Int16Array, Float32Array, BigInt64Array, DataView];
    expect(classes.map((type) => elementSizeOf('type', type))).to.deep.equal([1, 2, 4, 8, 1]);
    for (const type of [Object, Map, () => {}, Object.assign(() => {}, { BYTES_PER_ELEMENT: 3 }), 'Uint8Array', null]) {
      expectError(
        () => elementSizeOf('type', type),
        'ERR_CSLICE_TYPE',
        /type must be a typed array class or DataView, got/,
      );
    }
  });
});

describe('addresses', () => {
  it('are numbers as long as those are exact', () => {
    expect([toInteger(beyondExact - 1n), toInteger(beyondExact)]).to.deep.equal([
      Number(beyondExact - 1n),
      beyondExact,
    ]);
  });

  it('advance and are divided exactly in both forms', () => {
    expect([advance(4096, 8), advance(beyondExact, 9)]).to.deep.equal([4104, beyondExact + 9n]);
    expect([remainder(4099, 16), remainder(beyondExact + 5n, 16)]).to.deep.equal([3, 5]);
  });
});
