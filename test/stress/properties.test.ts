import { expect } from 'chai';
import { runForJson } from '../helpers/run.ts';

const operations = Number(process.env.CSLICE_OPERATIONS ?? 5000);

describe('any sequence of operations', function () {
  this.timeout(60_000);

  it('leaves views, references, destructors and counts as a model of them says, after every step', () => {
    const result = runForJson<{ operations: number }>('properties/walk.ts', { args: [String(operations)] });
    expect(result.operations).to.be.at.least(operations);
  });
});
