import { constants } from 'node:buffer';
import { expect } from 'chai';
import { readString, Slice } from '../../lib/index.ts';
import { c } from '../helpers/c-library.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';

describe('readString', () => {
  it('reads the UTF-8 text at an address up to its NUL', () => {
    using slice = Slice.fromString('grüße, 世界 🌍');
    expect(readString(slice.address)).to.equal('grüße, 世界 🌍');
    expect(readString(slice.address + 2n)).to.equal('üße, 世界 🌍');
  });

  it('reads an empty text', () => {
    using slice = Slice.fromString('');
    expect(readString(slice.address)).to.equal('');
  });

  it('reads long texts whole', () => {
    const text = 'ab€'.repeat(100_000);
    using slice = Slice.fromString(text);
    expect(readString(slice.address)).to.equal(text);
  });

  it('refuses a text that is longer than a string can be, as slice.text() does', function () {
    this.timeout(60_000);
    if (constants.MAX_STRING_LENGTH > 2 ** 30) this.skip(); // too much memory for a test
    using slice = Slice.alloc(constants.MAX_STRING_LENGTH + 2);
    slice.bytes.fill(0x78, 0, -1);
    expectError(() => readString(slice.address), 'ERR_CSLICE_RANGE', /longer than a string can be/);
    expectError(() => slice.text(), 'ERR_CSLICE_RANGE', /longer than a string can be/);
    expect(slice.text(constants.MAX_STRING_LENGTH - 1)).to.equal('xx');
  });

  it('reads a string that C made and keeps', () => {
    const getenv = c.func('void *getenv(const char *name)');
    expect(readString(getenv('PATH'))).to.equal(process.env.PATH);
  });

  it('makes a copy, which outlives the memory', () => {
    const slice = Slice.fromString('copied');
    const text = readString(slice.address);
    slice.bytes.fill(0x78);
    slice.release();
    expect(text).to.equal('copied');
  });

  it('refuses a null, negative or too high address and whatever is not a bigint', () => {
    for (const address of [0n, -1n, 1n << 64n]) {
      expectError(() => readString(address), 'ERR_CSLICE_RANGE', new RegExp(`address.*${address}`));
    }
    for (const address of [undefined, null, 4096, 'text', {}, new Uint8Array(4)]) {
      expectError(() => readString(wrong(address)), 'ERR_CSLICE_TYPE', /address/);
    }
  });
});
