/** Program: random walks in which user code runs in the middle of operations. A unit is a world of its own seed. */
import { runtime } from '../../helpers/engine.ts';
import { serve } from './harness.ts';
import { hook } from './hooks.ts';
import { openNative } from './native.ts';
import { operate } from './operations.ts';
import { World } from './world.ts';

const longest = 300;
let native: ReturnType<typeof openNative> | undefined;

/** A world's own seed, so that one can be replayed alone. */
function seedOf(seed: number, unit: number): number {
  return (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(unit + 1, 0x85ebca6b)) >>> 0;
}

await serve(async (unit, marker) => {
  const { seed, library } = marker.task;
  native ??= openNative(library);
  const without = new Set(marker.task.without);
  if (runtime === 'bun') for (const name of ['forget', 'forgetView', 'adoptAndForget']) without.add(name); // its collector may keep them
  const world = new World({ seed: seedOf(seed, unit), operate, native, without });
  const isHooked = runtime === 'node' && world.does('hooks') && world.random(3) === 0;
  const unhook = isHooked ? hook(world, world.random(2 ** 31)) : undefined;
  const length = 50 + world.random(longest - 50);
  for (let step = 0; step < length; step++) {
    marker.note(`step ${step}, seed of the world ${seedOf(seed, unit)}; last:\n${world.trace.slice(-120)}`);
    await world.step();
  }
  unhook?.();
  await world.finish();
  return length;
});
