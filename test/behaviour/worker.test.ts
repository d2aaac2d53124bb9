import { expect } from 'chai';
import { runTests, testFiles } from '../helpers/runner.ts';
import { knownHere } from '../runtimes/node.ts';
import { known } from '../runtimes/worker.ts';

describe('in a worker thread', function () {
  this.timeout(600_000);

  it('every unit test passes as on the main thread, except those that are listed with a reason', async () => {
    const { passed, wrong } = await runTests({
      files: testFiles('unit'),
      worker: true,
      partial: true,
      known: [...known, ...knownHere],
    });
    expect(wrong, wrong.join('\n\n')).to.deep.equal([]);
    expect(passed).to.be.above(500);
  });
});
