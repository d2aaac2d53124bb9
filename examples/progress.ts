// A C library (progress/sieve.c) fills a block from a thread of its own; JavaScript reads how far it is, and the
// results, from the same bytes. Once JavaScript keeps its handle to the end, once it drops it half way. In a clone of the
// repository:
//
//   npm run example:progress -- [--numbers 5000000] [--pkg-config]

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { callAsync, Slice, stats } from 'cslice';
import koffi from 'koffi';

const root = join(import.meta.dirname, '..');
const segments = 8;

/** Installs cslice under build/, and builds sieve.c against what was installed. Returns the path of the library. */
function build(pkgConfig: boolean): string {
  const prefix = join(root, 'build/examples/prefix');
  const directory = join(root, 'build/examples', pkgConfig ? 'progress-pkg-config' : 'progress');
  const cmake = (...args: string[]): unknown => execFileSync('cmake', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  cmake('--install', join(root, 'build/release'), '--prefix', prefix);
  const options = [`-DCMAKE_PREFIX_PATH=${prefix}`, `-DSIEVE_PKG_CONFIG=${pkgConfig ? 'ON' : 'OFF'}`];
  cmake('-S', join(root, 'examples/progress'), '-B', directory, ...options);
  cmake('--build', directory);
  return join(directory, process.platform === 'darwin' ? 'libsieve.dylib' : 'libsieve.so');
}

const { values: options } = parseArgs({
  options: { numbers: { type: 'string', default: '5000000' }, 'pkg-config': { type: 'boolean', default: false } },
});
const numbers = Number(options.numbers);

// cslice is imported above, so its library is in the process by now, and the loader gives sieve that same copy.
const sieve = koffi.load(build(options['pkg-config']));
const sieveBlock: (numbers: number) => bigint | null = sieve.func('void *sieve_block(uint32_t numbers)');
const sieveStart: (block: bigint, segments: number) => bigint | null = sieve.func(
  'void *sieve_start(void *block, uint32_t segments)',
);
const sieveAllow: (job: bigint, segments: number) => void = sieve.func(
  'void sieve_allow(void *job, uint32_t segments)',
);
const sieveJoin = sieve.func('int32_t sieve_join(void *job)');

/** sieve_head of sieve.c: done, segments, primes, and one that is not used. */
const headLength = 4;
const headBytes = headLength * Int32Array.BYTES_PER_ELEMENT;

function start(slice: Slice): bigint {
  const job = sieveStart(slice.block, segments);
  if (job === null) throw new Error('sieve_start failed');
  return job;
}

/** Lets C work up to `wanted` segments, and watches the block until they are there. */
async function advance(job: bigint, head: Int32Array, wanted: number): Promise<void> {
  sieveAllow(job, wanted);
  while (Atomics.load(head, 0) < wanted) await delay(1);
  const percent = String((100 * wanted) / segments).padStart(3);
  console.log(`  ${percent} %  ${wanted} of ${segments} segments, ${Atomics.load(head, 2)} primes so far`);
}

function report(): void {
  const { liveBlocks, releasedByScope, releasedByC } = stats();
  console.log(`  live blocks ${liveBlocks}, ended by JavaScript ${releasedByScope}, ended by C ${releasedByC}`);
}

/** JavaScript makes the block, and C takes a reference of its own for as long as it works. */
async function keep(): Promise<void> {
  console.log('JavaScript makes a block and keeps it');
  using slice = Slice.alloc(headBytes + numbers);
  const head = slice.view(Int32Array, 0, headLength);
  const job = start(slice);
  for (let wanted = 2; wanted <= segments; wanted += 2) await advance(job, head, wanted);
  const primes = await callAsync(sieveJoin, job);
  const counted = slice.bytes.subarray(headBytes).reduce((sum, isPrime) => sum + isPrime, 0);
  if (counted !== primes) throw new Error(`C found ${primes} primes, and its table has ${counted}`);
  console.log(`  C found ${primes} primes below ${numbers}, and so does JavaScript in the same bytes`);
}

/** C makes the block; JavaScript takes it over and lets go of it half way. */
async function drop(): Promise<void> {
  console.log('C makes a block, and JavaScript drops it half way');
  const block = sieveBlock(numbers);
  if (block === null) throw new Error('sieve_block found no memory');
  const slice = Slice.fromBlock(block);
  const head = slice.view(Int32Array, 0, headLength);
  const job = start(slice);
  for (let wanted = 2; wanted <= segments / 2; wanted += 2) await advance(job, head, wanted);
  slice.release();
  console.log(`  released: the view has length ${head.length}, and C goes on with its own reference`);
  report();
  sieveAllow(job, segments);
  const primes = await callAsync(sieveJoin, job); // C has given its reference back by then, which was the last
  console.log(`  C found ${primes} primes below ${numbers}`);
}

await keep();
report();
await drop();
report();
if (stats().liveBlocks !== 0) throw new Error('blocks are left');
console.log('nothing is left');
