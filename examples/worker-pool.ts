// Processes one large block of C memory in several worker threads at once. Every worker gets a range of it as a
// SharedArrayBuffer: no byte is copied or sent. Then one worker does the same work alone, and the results must agree.
//
// It imports the built package, so that must be built first, as the npm script does:
//
//   npm run example:worker-pool -- [--mebibytes 256] [--workers 4]

import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { Slice, stats } from 'cslice';

const { values: options } = parseArgs({
  options: {
    mebibytes: { type: 'string', default: '256' },
    workers: { type: 'string', default: String(Math.max(2, availableParallelism())) },
  },
});

function count(name: 'mebibytes' | 'workers'): number {
  const value = Number(options[name]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be an integer from 1`);
  return value;
}

const byteLength = count('mebibytes') * 2 ** 20;
const workers = count('workers');
const elementSize = Float64Array.BYTES_PER_ELEMENT;
const factor = 4;

/** Whole numbers, so that every sum is exact in whatever order it is made. */
const period = 1000;

function fill(numbers: Float64Array): void {
  for (let i = 0; i < numbers.length; i++) numbers[i] = i % period;
}

function check(numbers: Float64Array): void {
  for (let i = 0; i < numbers.length; i++) {
    if (numbers[i] !== (i % period) * factor) throw new Error(`number ${i} is ${numbers[i]}`);
  }
}

/** The buffer outlives the subslice: it has a reference of its own. */
function share(block: Slice, start: number, end: number): SharedArrayBuffer {
  using range = block.subslice(start, end);
  return range.toSharedBuffer();
}

async function startWorker(): Promise<Worker> {
  // The worker is plain JavaScript, and needs no TypeScript loader.
  const worker = new Worker(new URL('worker-pool/worker.mjs', import.meta.url), { execArgv: [] });
  await once(worker, 'message');
  return worker;
}

async function scaleInWorker(worker: Worker, buffer: SharedArrayBuffer): Promise<number> {
  worker.postMessage({ buffer, factor });
  const [sum] = await once(worker, 'message');
  return sum;
}

/** Has every worker of the pool scale its part of the block. Returns the sum of the results. */
async function scaleAll(block: Slice, pool: readonly Worker[]): Promise<number> {
  const elements = block.byteLength / elementSize;
  const boundary = (i: number): number => Math.floor((elements * i) / pool.length) * elementSize;
  const sums = pool.map((worker, i) => scaleInWorker(worker, share(block, boundary(i), boundary(i + 1))));
  return (await Promise.all(sums)).reduce((total, sum) => total + sum, 0);
}

/** Fills the block, has the pool scale it, and checks every number that it wrote. Returns the sum. */
async function scaleAndCheck(block: Slice, pool: readonly Worker[]): Promise<number> {
  const numbers = block.view(Float64Array);
  fill(numbers);
  const start = performance.now();
  const sum = await scaleAll(block, pool);
  const seconds = ((performance.now() - start) / 1000).toFixed(3);
  check(numbers);
  console.log(`workers: ${pool.length}, sum: ${sum}, every number is right; ${seconds} s`);
  return sum;
}

/** Shared buffers end by collection. A program need not wait for that: this one counts what is left. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  for (let i = 0; i < 100 && stats().liveBlocks > 0; i++) {
    collect();
    await wait(10);
  }
}

async function run(pool: readonly Worker[]): Promise<void> {
  using block = Slice.alloc(byteLength, { zero: false });
  console.log(`one block of ${byteLength / elementSize} doubles, ${byteLength} bytes`);
  const together = await scaleAndCheck(block, pool);
  const alone = await scaleAndCheck(block, pool.slice(0, 1));
  if (together !== alone) throw new Error(`the sums differ: ${together} and ${alone}`);
  const { liveBlocks, peakBytes } = stats();
  console.log(`the sums agree; ${liveBlocks} block, ${peakBytes} bytes at the peak: nothing was copied`);
}

const pool = await Promise.all(Array.from({ length: workers }, startWorker));
try {
  await run(pool);
} finally {
  await Promise.all(pool.map((worker) => worker.terminate()));
}
await collectGarbage();
const { liveBlocks } = stats();
if (liveBlocks !== 0) throw new Error(`${liveBlocks} blocks are left`);
console.log('nothing is left');
