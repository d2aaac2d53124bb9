import { expect } from 'chai';
import { Slice } from '../../../lib/index.ts';
import { expectError } from '../../helpers/expect-error.ts';

describe('a slice that generic code is given', () => {
  it('is copied by what takes arrays and iterables', () => {
    using slice = Slice.fromBytes(Uint8Array.of(1, 2, 255));
    const copies = [new Uint8Array(slice), Uint8Array.from(slice), Buffer.from(slice as never), [...slice]];
    slice.bytes.fill(0);
    for (const copy of copies) expect(Array.from(copy)).to.deep.equal([1, 2, 255]);
    expect(slice.valueOf()).to.equal(slice.bytes);
  });

  it('is told as what it is by JSON', () => {
    const slice = Slice.alloc(3);
    expect(JSON.stringify({ slice })).to.equal('{"slice":{"byteLength":3,"released":false}}');
    slice.release();
    expect(JSON.stringify(slice)).to.equal('{"byteLength":3,"released":true}');
    expectError(() => new Uint8Array(slice), 'ERR_CSLICE_RELEASED');
  });

  it('is refused by what would clone it, with what to do instead', () => {
    using slice = Slice.alloc(3);
    expect(() => structuredClone(slice)).to.throw(
      /a Slice: send slice\.toSharedBuffer\(\), slice\.buffer in a transfer/,
    );
  });
});
