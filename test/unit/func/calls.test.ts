/** Calls in the background where koffi has room for two, by a stand-in for koffi. */
import { expect } from 'chai';
import { Preparation } from '../../../lib/func/arguments.ts';
import { callInBackground } from '../../../lib/func/calls.ts';
import { wrong } from '../../helpers/expect-error.ts';

type Settle = (error: unknown, result: unknown) => void;

const underWay: { argument: unknown; settle: Settle }[] = [];

function start(argument: unknown, settle: Settle): void {
  if (underWay.length === 2) throw new Error('Too many asynchronous calls are running (max = 2)');
  if (argument === 'bad') throw new TypeError('Unexpected value');
  underWay.push({ argument, settle });
}

function call(argument: unknown): Promise<unknown> {
  const callee = { name: 'stand_in', fn: start, start };
  return callInBackground(wrong(callee), new Preparation(true, true), [argument], (result) => result).catch(
    ({ code, message }) => `${code} ${message}`,
  );
}

/** C is done with the oldest call. */
function end(): void {
  const { argument, settle } = underWay.shift() as (typeof underWay)[number];
  settle(null, argument);
}

describe('calls in the background that koffi has no room for', () => {
  it('start in their order as others end, and one that koffi refuses holds up none behind it', async () => {
    const calls = ['a', 'b', 'bad', 'c', 'bad', 'd', 'bad'].map(call);
    expect(underWay.map(({ argument }) => argument)).to.deep.equal(['a', 'b']);
    end();
    expect(underWay.map(({ argument }) => argument)).to.deep.equal(['b', 'c']);
    end();
    expect(underWay.map(({ argument }) => argument)).to.deep.equal(['c', 'd']);
    end();
    end();
    const refused = 'ERR_CSLICE_TYPE The asynchronous call of stand_in failed: Unexpected value';
    expect(await Promise.all(calls)).to.deep.equal(['a', 'b', refused, 'c', refused, 'd', refused]);
  });

  it('start behind the last one that ends, although koffi refuses the first of them', async () => {
    const calls = ['a', 'b', 'bad', 'bad', 'c'].map(call);
    const [first, second] = underWay.splice(0) as [(typeof underWay)[number], (typeof underWay)[number]];
    first.settle(null, 'a');
    second.settle(null, 'b');
    expect(underWay.map(({ argument }) => argument)).to.deep.equal(['c']);
    end();
    expect((await Promise.all(calls)).filter((result) => !String(result).startsWith('ERR'))).to.deep.equal([
      'a',
      'b',
      'c',
    ]);
  });

  it('are refused where none of this package is under way', async () => {
    underWay.push({ argument: 'other', settle: () => {} }, { argument: 'other', settle: () => {} });
    expect(await call('a')).to.match(/^ERR_CSLICE_EXHAUSTED .*Too many asynchronous calls/);
    underWay.splice(0);
  });
});
