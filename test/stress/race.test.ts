import { expect } from 'chai';
import { stats } from '../../lib/index.ts';
import { settle } from '../helpers/collect.ts';
import { compileThreads } from '../helpers/compile-threads.ts';
import { raceCalls, raceThreads } from '../helpers/race.ts';
import { seeded } from '../helpers/random.ts';
import { openThreads } from '../helpers/threads.ts';

const seed = Number(process.env.CSLICE_SEED ?? Date.now() % 2 ** 32);

describe(`a race with a release (CSLICE_SEED=${seed})`, function () {
  this.timeout(120_000);

  it('never frees the memory of a C function in the background: it sees its bytes until it returns', async () => {
    const library = openThreads(compileThreads());
    const [before, stat] = [library.counts(), stats()];
    const raced = await raceCalls(library, 1000, seeded(seed));
    await settle(() => library.counts());
    const after = library.counts();
    expect(raced).to.include({ rounds: 1000, wrong: 0 });
    expect(raced.uses).to.be.above(1000);
    expect([after.freed - before.freed, after.freedInUse - before.freedInUse]).to.deep.equal([1000, 0]);
    expect(stats().liveBlocks).to.equal(stat.liveBlocks);
  });

  it('never frees the memory of a thread that attached the block: it sees its bytes until it releases them', async () => {
    const before = stats();
    const entry = new URL('../../lib/index.ts', import.meta.url).href;
    const raced = await raceThreads(entry, 3, 1500, seeded(seed));
    expect(raced.errors).to.deep.equal([]);
    expect(raced).to.include({ rounds: 1500, wrong: 0 });
    expect(raced.uses).to.be.above(10_000);
    const after = stats();
    expect([after.liveBlocks, after.liveBytes]).to.deep.equal([before.liveBlocks, before.liveBytes]);
  });
});
