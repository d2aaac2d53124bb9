/** Ends worker threads that hold blocks, each in another way, and says after each what is left. */
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { callAsync, type Lease, Slice, stats } from '../../../lib/index.ts';
import { type Counts, openThreads, untilGateOpens } from '../../helpers/threads.ts';

const path = process.argv[2] as string;
const library = openThreads(path);

export interface Left {
  liveBlocks: number;
  liveBytes: number;
  /** Blocks whose end is in none of the counts. */
  unaccounted: number;
  /** Native destructors that ran, JavaScript ones that could not, and native ones that ran under C at work. */
  freed: number;
  lost: number;
  freedInUse: number;
  exitCode: number;
  error: string | undefined;
}

function difference(before: Counts, after: Counts, key: keyof Counts): number {
  return after[key] - before[key];
}

async function endOne(how: string): Promise<Left> {
  const [stat, count] = [stats(), library.counts()];
  library.gate(false);
  const worker = new Worker(new URL('../worker.mjs', import.meta.url), {
    workerData: { program: import.meta.url, how },
    argv: [path],
    stderr: true,
    ...(how === 'memory' ? { resourceLimits: { maxOldGenerationSizeMb: 64 } } : {}),
  });
  let error: string | undefined;
  worker.on('error', (thrown) => {
    error = (thrown as { code?: string }).code ?? thrown.message;
  });
  const ended = new Promise<number>((resolve) => worker.on('exit', resolve)); // once() would reject for an error
  await once(worker, 'message');
  if (how.startsWith('terminate')) {
    await wait(20);
    const terminated = worker.terminate();
    await wait(50);
    library.gate(true);
    await terminated;
  }
  const exitCode = await ended;
  for (let i = 0; i < 100 && library.counts().started !== library.counts().finished; i++) await wait(10);
  const [statAfter, countAfter] = [stats(), library.counts()];
  const sum = (s: typeof stat): number =>
    s.releasedByScope + s.releasedByCollection + s.releasedByThreadEnd + s.releasedByC + s.disownedBlocks;
  return {
    liveBlocks: statAfter.liveBlocks - stat.liveBlocks,
    liveBytes: statAfter.liveBytes - stat.liveBytes,
    unaccounted: statAfter.allocatedBlocks - stat.allocatedBlocks - (sum(statAfter) - sum(stat)),
    freed: difference(count, countAfter, 'freed'),
    lost: statAfter.lostDestructors - stat.lostDestructors,
    freedInUse: difference(count, countAfter, 'freedInUse'),
    exitCode,
    error,
  };
}

/** Ten blocks with native destructors, five with JavaScript ones, and others, in every state. */
function hold(): (Slice | Lease)[] {
  const held: (Slice | Lease)[] = [];
  for (let i = 0; i < 10; i++) held.push(library.adopt(100));
  for (let i = 0; i < 5; i++) held.push(Slice.adopt(Slice.alloc(64).disown(), 64, () => {}));
  for (let i = 0; i < 30; i++) {
    const slice = Slice.alloc(i * 100);
    slice.bytes.fill(i);
    held.push(slice, slice.lease(), slice.subslice(0, i));
    if (i % 3 === 0) slice.release();
  }
  const shared = Slice.alloc(50);
  held.push(shared, Slice.attach(shared.toSharedBuffer()));
  for (let i = 0; i < 100; i++) Slice.alloc(10); // dropped
  return held;
}

function inTheLoop(i: number): void {
  const slice = Slice.alloc((i % 100) * 64);
  if (i % 2 === 0) slice.bytes.fill(1);
  if (i % 5 === 0) slice.lease();
  if (i % 3 === 0) slice.release();
}

async function endThis(how: string): Promise<void> {
  switch (how) {
    case 'throw':
      throw new Error('thrown in the worker');
    case 'exit':
      process.exit(3);
      break;
    case 'memory':
      for (const grown: unknown[] = []; ; ) grown.push(new Array(1000).fill(1), Slice.alloc(8));
    case 'terminate loop':
      for (let i = 0; ; i++) inTheLoop(i);
    case 'terminate collection':
      for (let i = 0; ; i++) {
        inTheLoop(i);
        if (i % 10 === 0) globalThis.gc?.();
      }
    case 'terminate idle':
      await wait(60_000);
      break;
    case 'terminate call':
      for (let i = 0; i < 3; i++) void callAsync(library.fillLater, library.adopt(4096), 4096, 1, untilGateOpens);
      void callAsync(library.fillLater, new Uint8Array(4096), 4096, 1, untilGateOpens);
      await wait(60_000);
      break;
    case 'return with buffers':
      for (let i = 0; i < 10; i++) {
        const { buffer } = library.adopt(100);
        Object.assign(globalThis, { [`moved${i}`]: structuredClone(buffer, { transfer: [buffer] }) });
        using slice = library.adopt(100);
        Object.assign(globalThis, { [`shared${i}`]: slice.toSharedBuffer(), [`buffer${i}`]: slice.toBuffer() });
      }
      break;
    case 'return after calls':
      for (let i = 0; i < 3; i++) void callAsync(library.fillLater, library.adopt(4096), 4096, 1, 20);
      break;
  }
}

if (isMainThread) {
  const results: Record<string, Left> = {};
  for (const how of process.argv.slice(3)) results[how] = await endOne(how);
  console.log(JSON.stringify(results));
} else {
  const held = hold();
  Object.assign(globalThis, { held });
  if (workerData.how !== 'terminate call') parentPort?.postMessage('ready');
  const ended = endThis(workerData.how);
  if (workerData.how === 'terminate call') parentPort?.postMessage('ready');
  await ended;
}
