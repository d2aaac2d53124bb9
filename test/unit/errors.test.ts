import { inspect } from 'node:util';
import { expect } from 'chai';
import { rangeError, show, typeError } from '../../lib/errors.ts';
import { CCallError, CSliceError } from '../../lib/index.ts';

describe('CSliceError', () => {
  it('is an Error with a stable code, a message and a stack that points to the caller', () => {
    const error = new CSliceError('ERR_CSLICE_STREAM', 'the message');
    expect(error).to.be.instanceOf(Error);
    expect([error.name, error.code, error.message]).to.deep.equal(['CSliceError', 'ERR_CSLICE_STREAM', 'the message']);
    expect(error.stack).to.match(/^CSliceError: the message\n.*errors\.test\.ts/s);
    expect(String(error)).to.equal('CSliceError: the message');
  });

  it('carries a cause', () => {
    const cause = new Error('why');
    expect(new CSliceError('ERR_CSLICE_LIBRARY', 'what', { cause }).cause).to.equal(cause);
    expect('cause' in new CSliceError('ERR_CSLICE_LIBRARY', 'what')).to.equal(false);
  });

  it('has one maker for values out of range and one for wrong types', () => {
    expect(rangeError('a').code).to.equal('ERR_CSLICE_RANGE');
    expect(typeError('b').code).to.equal('ERR_CSLICE_TYPE');
  });

  it('is a RangeError for values out of range and a TypeError for wrong types, by whatever name it is asked for', () => {
    expect(rangeError('a')).to.be.instanceOf(RangeError).and.instanceOf(CSliceError);
    expect(typeError('b')).to.be.instanceOf(TypeError).and.instanceOf(CSliceError);
    expect(rangeError('a')).not.to.be.instanceOf(CCallError);
    expect(new CCallError('f', 'why', 1, 2))
      .to.be.instanceOf(CSliceError)
      .and.not.instanceOf(RangeError);
    for (const other of [new RangeError('c'), new Error('d'), {}, null, 5])
      expect(other instanceof CSliceError).to.equal(false);
    expect(inspect(rangeError('a'))).to.match(/^CSliceError: a\n.*code: 'ERR_CSLICE_RANGE'/s);
  });
});

describe('show', () => {
  it('renders any value shortly, so that a message can name it', () => {
    const hidden = new Proxy(
      {},
      {
        get() {
          throw new Error('not for you');
        },
      },
    );
    const cases: [unknown, string][] = [
      [undefined, 'undefined'],
      [null, 'null'],
      [true, 'true'],
      [-0.5, '-0.5'],
      [Number.NaN, 'NaN'],
      [12n, '12n'],
      ['a "text"', '"a \\"text\\""'],
      [Symbol('s'), 'Symbol(s)'],
      [() => 1, 'function (anonymous)'],
      [Uint8Array, 'function Uint8Array'],
      [{}, 'an instance of Object'],
      [[1, 2], 'an instance of Array'],
      [new Map(), 'an instance of Map'],
      [Object.create(null), 'an object'],
      [hidden, 'an object'],
    ];
    for (const [value, text] of cases) expect(show(value)).to.equal(text);
    expect(show('x'.repeat(10_000)).length).to.be.below(60);
  });
});
