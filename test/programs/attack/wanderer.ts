/** A worker of terminate.ts: walks for ever, without koffi, which may not be terminated while it starts. */
import { setImmediate as turn } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { operate } from './operations.ts';
import { userTricks, World } from './world.ts';

process.on('warning', () => {});
parentPort?.postMessage('at work');
for (let seed = workerData.seed as number; ; seed++) {
  const world = new World({ seed, operate, native: undefined, without: new Set(userTricks), interrupted: true });
  for (let step = 0; step < 400; step++) {
    world.stepUnchecked();
    if (step % 50 === 0) await turn();
  }
  world.survey();
  await world.finish();
}
