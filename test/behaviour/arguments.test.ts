import { expect } from 'chai';
import { runForJson } from '../helpers/run.ts';
import { instances } from '../programs/arguments/calls.ts';
import { exportedClasses } from '../programs/arguments/public-api.ts';

interface Surface {
  readonly missing: readonly string[];
  readonly stale: readonly string[];
}

interface Checked {
  readonly tried: number;
  readonly wrong: readonly string[];
}

/** Runs a check of programs/arguments/check.ts, which makes at least `least` calls. */
function expectRight(check: string, least: number): void {
  const { tried, wrong } = runForJson<Checked>('arguments/check.ts', { args: [check] });
  expect(wrong, wrong.join('\n')).to.deep.equal([]);
  expect(tried).to.be.at.least(least);
}

describe('every public function, class and method', function () {
  this.timeout(120_000);

  it('has a line in programs/arguments/calls.ts, and nothing else has one', () => {
    const { missing, stale } = runForJson<Surface>('arguments/check.ts', { args: ['surface'] });
    expect({ missing, stale }).to.deep.equal({ missing: [], stale: [] });
    expect(exportedClasses().filter((name) => !(name in instances))).to.deep.equal([]);
  });

  it('works with the arguments of that line', () => expectRight('valid', 60));

  it('throws a CSliceError for every wrong value in every place, and leaves no block', () =>
    expectRight('arguments', 2000));

  it('throws an error for a wrong `this`', () => expectRight('this', 300));

  it('throws ERR_CSLICE_RELEASED after the release, unless it says otherwise', () => expectRight('released', 40));

  it('throws ERR_CSLICE_RELEASED after the bytes were moved, unless it says otherwise', () => expectRight('moved', 20));

  it('does no harm after the buffer of the slice was marked as untransferable', () => expectRight('marked', 20));
});
