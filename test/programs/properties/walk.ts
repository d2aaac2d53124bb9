/** Walks through worlds of slices at random until so many operations have been done. The last line says what came of it. */
import fc from 'fast-check';
import { configure } from '../../../lib/index.ts';
import { untilIdle } from '../../helpers/collect.ts';
import { openNative } from './native.ts';
import { type Operation, World } from './world.ts';

const operations = Number(process.argv[2] ?? 5000);
const seed = Number(process.env.CSLICE_SEED ?? Date.now() % 2 ** 31);
const native = openNative();
const longest = 120;

const steps = 1 << 16;
/** Even: the extremes that fast-check prefers would choose the same few operations. */
const part = fc.noBias(fc.nat(steps - 1)).map((step) => step / steps);
const operation: fc.Arbitrary<Operation> = fc.tuple(part, part, part, part);
const walk = fc.array(operation, { minLength: longest / 2, maxLength: longest, size: 'max' });

let done = 0;

// Operations of the loader that are under way would make released blocks wait for a collection.
await untilIdle();
let worlds = 0;

async function walkThrough(path: readonly Operation[]): Promise<void> {
  // Under a limit, dead handles are found in the other way: by sweeps rather than by the registry.
  configure({ limitBytes: worlds++ % 2 === 0 ? 0 : 1 << 30 });
  const world = new World(native);
  for (const step of path) {
    await world.step(step);
    done++;
  }
  await world.end();
}

for (let round = 0; done < operations; round++) {
  const numRuns = Math.ceil((operations - done) / longest);
  // A failure is not shrunk unless asked: one that waits for a collection takes its whole time at every attempt.
  const endOnFailure = process.env.CSLICE_SHRINK === undefined;
  await fc.assert(fc.asyncProperty(walk, walkThrough), { seed: seed + round, numRuns, endOnFailure });
}
console.log(JSON.stringify({ operations: done, worlds, seed }));
