import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { tour } from '../helpers/tour.ts';

describe('in a worker thread', () => {
  it('every public function does what it does in the main thread', async () => {
    const worker = new Worker(new URL('../programs/worker.mjs', import.meta.url), {
      workerData: { program: new URL('../programs/tour-in-worker.ts', import.meta.url).href },
    });
    const [[results], [exitCode]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    const expected = tour();
    expect(expected).to.be.an('array').with.length.above(40);
    expect(results).to.deep.equal(expected);
    expect(exitCode).to.equal(0);
  });
});
