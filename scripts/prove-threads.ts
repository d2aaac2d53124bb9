// Proves that threads may end at any moment and race for a block: nothing crashes, nothing is lost, nobody sees freed memory.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { stats } from '../lib/index.ts';
import { type Raced, raceCalls, raceThreads } from '../test/helpers/race.ts';
import { type Random, seeded } from '../test/helpers/random.ts';
import { openThreads } from '../test/helpers/threads.ts';

setFlagsFromString('--expose-gc');

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
  },
});

function count(name: keyof typeof values): number {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  console.error(`--${name} takes a whole number from 0 on, not ${values[name]}`);
  process.exit(2);
}

const [workers, rounds, seed] = [count('workers'), count('rounds'), count('seed')];
const entry = join(root, 'dist/index.js');
if (!existsSync(entry)) {
  console.error('Build the package first: npm run build');
  process.exit(2);
}

let failures = 0;

function report(name: string, passed: number, total: number, figures: string): void {
  console.log(`${name}: ${passed} of ${total} passed, ${figures}`);
  if (passed !== total) failures++;
}

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

async function terminations(): Promise<void> {
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
  report(
    'terminated workers',
    clean ? survived : 0,
    workers,
    `${liveBlocks} blocks and ${liveBytes} bytes left; ${ends}; ${lostDestructors} JavaScript destructors lost and counted`,
  );
}

function reportRace(name: string, raced: Raced, freed: number | undefined): void {
  const { liveBlocks, liveBytes } = stats();
  const clean = raced.wrong === 0 && raced.errors.length === 0 && liveBlocks === 0 && liveBytes === 0;
  const complete = freed === undefined || freed === raced.rounds;
  for (const error of new Set(raced.errors)) console.error(error);
  const left = `${liveBlocks} blocks and ${liveBytes} bytes left`;
  const figures = `${raced.uses} uses, ${raced.wrong} of them saw other bytes than the block's, ${left}`;
  report(name, clean && complete ? raced.rounds : 0, rounds, figures);
}

const collect: () => void = runInNewContext('gc');

/** The blocks that were dropped end by collection. */
async function collectDropped(): Promise<void> {
  for (let i = 0; i < 200 && stats().liveBlocks > 0; i++) {
    collect();
    await wait(5);
  }
}

async function races(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'cslice-prove-'));
  try {
    const path = join(directory, 'threads.so');
    const source = join(root, 'test/fixtures/threads.c');
    execFileSync('cc', ['-O1', '-shared', '-fPIC', '-pthread', '-o', path, source]);
    const library = openThreads(path);
    const called = await raceCalls(library, rounds, seeded(seed + 1));
    await collectDropped();
    const { freed, freedInUse } = library.counts();
    called.wrong += freedInUse;
    reportRace('releases raced with C in the background', called, freed);
    const shared = await raceThreads(pathToFileURL(entry).href, 3, rounds, seeded(seed + 2));
    await collectDropped();
    reportRace('releases raced with other threads', shared, undefined);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

console.log(`seed ${seed} (--seed ${seed} for the same numbers)`);
await terminations();
await races();
process.exitCode = failures === 0 ? 0 : 1;
