// Threads may end at any moment and race for a block: nothing crashes, nothing is lost, nobody sees freed memory.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { stats } from '../../lib/index.ts';
import { type Raced, raceCalls, raceThreads } from '../../test/helpers/race.ts';
import { type Random, seeded } from '../../test/helpers/random.ts';
import { openThreads } from '../../test/helpers/threads.ts';
import type { Proof } from './shared/proof.ts';
import { buildPackage, type Tally } from './shared/report.ts';

const root = join(import.meta.dirname, '../..');
const entry = join(root, 'dist/index.js');

async function startAndTerminate(random: Random): Promise<boolean> {
  const worker = new Worker(join(root, 'test/programs/threads/wild.mjs'), {
    workerData: { entry: pathToFileURL(entry).href, seed: random(2 ** 32) },
    execArgv: [], // without the TypeScript loader of this script
  });
  const failed = new Promise<unknown>((resolve) => worker.on('error', resolve));
  const died = new Promise<number>((resolve) => worker.on('exit', resolve));
  const working = new Promise<unknown>((resolve) => worker.on('message', resolve));
  // Half of them while they start or soon after, the others at work.
  if (random(2) === 0) await Promise.race([wait(random(150)), died]);
  else await Promise.race([working.then(() => wait(random(40))), died]);
  await worker.terminate();
  const error = await Promise.race([failed, turn(undefined)]);
  if (error !== undefined) console.error(error);
  return error === undefined;
}

/** Everything that ended blocks since the start, and what has not ended. */
function accounted(): number {
  const s = stats();
  return (
    s.liveBlocks + s.releasedByScope + s.releasedByCollection + s.releasedByThreadEnd + s.releasedByC + s.disownedBlocks
  );
}

async function terminations(workers: number, seed: number): Promise<Tally> {
  const random = seeded(seed);
  let [started, survived] = [0, 0];
  const lane = async (): Promise<void> => {
    while (started < workers) {
      started++;
      if (await startAndTerminate(random)) survived++;
    }
  };
  await Promise.all(Array.from({ length: 2 * availableParallelism() }, lane));
  await collectDropped(); // the shared buffers that the threads have sent here
  const { liveBlocks, liveBytes, allocatedBlocks, releasedByThreadEnd, lostDestructors } = stats();
  const clean = liveBlocks === 0 && liveBytes === 0 && accounted() === allocatedBlocks && releasedByThreadEnd > 0;
  const ends = `${releasedByThreadEnd} of ${allocatedBlocks} blocks ended with their thread`;
  const left = `${liveBlocks} blocks and ${liveBytes} bytes left`;
  const lost = `${lostDestructors} JavaScript destructors lost and counted`;
  return { passed: clean ? survived : 0, total: workers, figures: `${left}; ${ends}; ${lost}` };
}

function tallyOf(raced: Raced, rounds: number, freed?: number): Tally {
  const { liveBlocks, liveBytes } = stats();
  const clean = raced.wrong === 0 && raced.errors.length === 0 && liveBlocks === 0 && liveBytes === 0;
  const complete = freed === undefined || freed === raced.rounds;
  const left = `${liveBlocks} blocks and ${liveBytes} bytes left`;
  const figures = `${raced.uses} uses, ${raced.wrong} of them saw other bytes than the block's, ${left}`;
  return { passed: clean && complete ? raced.rounds : 0, total: rounds, figures, lines: [...new Set(raced.errors)] };
}

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** The blocks that were dropped end by collection. */
async function collectDropped(): Promise<void> {
  for (let i = 0; i < 200 && stats().liveBlocks > 0; i++) {
    collect();
    await wait(5);
  }
}

/** Releases in this thread while C works on the block in the background. */
async function calls(rounds: number, seed: number): Promise<Tally> {
  const directory = mkdtempSync(join(tmpdir(), 'cslice-prove-'));
  try {
    const path = join(directory, 'threads.so');
    const source = join(root, 'test/fixtures/threads.c');
    execFileSync('cc', ['-O1', '-shared', '-fPIC', '-pthread', '-o', path, source]);
    const library = openThreads(path);
    const raced = await raceCalls(library, rounds, seeded(seed));
    await collectDropped();
    const { freed, freedInUse } = library.counts();
    raced.wrong += freedInUse;
    return tallyOf(raced, rounds, freed);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Releases in several threads that share blocks. */
async function users(rounds: number, seed: number): Promise<Tally> {
  const raced = await raceThreads(pathToFileURL(entry).href, 3, rounds, seeded(seed));
  await collectDropped();
  return tallyOf(raced, rounds);
}

export const proof: Proof = {
  about: 'threads end at any moment and race for a block: no crash, nothing lost, nobody sees freed memory',
  options: {
    workers: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '10000' },
    seed: { type: 'string' },
  },
  async prove(report, args) {
    const [workers, rounds] = [args.count('workers') ?? 1000, args.count('rounds') ?? 10_000];
    const seed = args.count('seed') ?? Date.now() % 2 ** 32;
    await buildPackage();
    console.log(`seed ${seed} (--seed ${seed} for the same numbers)`);
    await report.proof('threads: terminated workers', () => terminations(workers, seed));
    await report.proof('threads: releases raced with C in the background', () => calls(rounds, seed + 1));
    await report.proof('threads: releases raced with other threads', () => users(rounds, seed + 2));
  },
};
