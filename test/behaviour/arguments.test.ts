import { expect } from 'chai';
import { runForJson } from '../helpers/run.ts';
import { instances } from '../programs/arguments/rows.ts';
import { exportedClasses } from '../programs/arguments/surface.ts';

interface Surface {
  readonly missing: readonly string[];
  readonly stale: readonly string[];
}

interface Tried {
  readonly tried: number;
  readonly wrong: readonly string[];
}

function expectAllRight(mode: string, least: number): void {
  const { tried, wrong } = runForJson<Tried>('arguments/probe.ts', { args: [mode] });
  expect(wrong).to.deep.equal([]);
  expect(tried).to.be.at.least(least);
}

describe('the public surface', function () {
  this.timeout(120_000);

  it('has a row in this matrix for every function, class and method, and no row for what is gone', () => {
    const { missing, stale } = runForJson<Surface>('arguments/probe.ts', { args: ['surface'] });
    expect({ missing, stale }).to.deep.equal({ missing: [], stale: [] });
    expect(exportedClasses().filter((name) => !(name in instances))).to.deep.equal([]);
  });

  it('works with the valid arguments that the matrix starts from', () => expectAllRight('valid', 60));

  it('throws a CSliceError for every wrong value at every place, and loses no block', () =>
    expectAllRight('arguments', 2000));

  it('refuses a wrong this with a TypeError', () => expectAllRight('strangers', 300));

  it('throws ERR_CSLICE_RELEASED after the release, but for what tells that', () => expectAllRight('released', 40));

  it('throws ERR_CSLICE_RELEASED after somebody has moved the bytes away, but for what tells that', () =>
    expectAllRight('moved', 20));

  it('survives that somebody has marked the buffer of a slice as untransferable', () => expectAllRight('marked', 20));
});
