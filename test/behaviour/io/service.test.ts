/** A small load; `npm run prove service` puts a larger one on it. */
import { expect } from 'chai';
import { runService } from '../../helpers/io/service.ts';

describe('a service that answers with C memory', function () {
  this.timeout(120_000);

  it('sends every client its own bytes, all of them, and leaves no block', async () => {
    const { slices, died } = await runService({ requests: 2000, clients: 64, seed: 1, compare: false });
    expect(died).to.equal(undefined);
    expect(slices?.examples).to.deep.equal([]);
    expect(slices?.errors).to.deep.equal([]);
    expect(slices?.crashes).to.deep.equal([]);
    expect(slices).to.include({ foreignBytes: 0, short: 0, liveBlocks: 0, liveBytes: 0 });
    expect(slices?.aborted).to.be.greaterThan(0);
    expect(slices?.slow).to.be.greaterThan(0);
  });
});
