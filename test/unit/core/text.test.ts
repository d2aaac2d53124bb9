import { expect } from 'chai';
import { decodeUtf8, newBytes, textAt } from '../../../lib/core/text.ts';
import { Slice } from '../../../lib/index.ts';
import { expectError } from '../../helpers/expect-error.ts';

describe('a text in bytes', () => {
  const bytes = Uint8Array.from(Buffer.from('\0one\0täo'));

  it('goes from its start to the first NUL', () => {
    expect([0, 1, 2, 4].map((start) => decodeUtf8(bytes, start, bytes.length))).to.deep.equal(['', 'one', 'ne', '']);
  });

  it('goes to its end where there is no NUL, or only one behind it', () => {
    expect([5, 6, bytes.length].map((start) => decodeUtf8(bytes, start, bytes.length))).to.deep.equal([
      'täo',
      'äo',
      '',
    ]);
    expect([1, 2, 3, 4, 5].map((end) => decodeUtf8(bytes, 1, end))).to.deep.equal(['', 'o', 'on', 'one', 'one']);
  });
});

describe('a text at an address', () => {
  it('has characters of 1, 2 or 4 bytes', () => {
    using slice = Slice.alloc(32);
    slice.bytes.set([0x68, 0x69]);
    slice.view(Uint16Array, 8, 2).set([0x68, 0x69]);
    slice.view(Uint32Array, 16, 2).set([0x68, 0x1f30d]);
    expect(textAt(1, slice.address)).to.equal('hi');
    expect(textAt(2, slice.address + 8n)).to.equal('hi');
    expect(textAt(4, Number(slice.address) + 16)).to.equal('h🌍');
  });
});

describe('memory of V8', () => {
  it('is refused where there is not so much', () => {
    expect(newBytes(3)).to.deep.equal(new Uint8Array(3));
    const error = expectError(() => newBytes(2 ** 52), 'ERR_CSLICE_NOMEM', /^V8 has no 4503599627370496 bytes$/);
    expect(error.cause).to.be.instanceOf(RangeError);
  });
});
