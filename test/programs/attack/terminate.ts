/** Program: workers that are terminated at random moments. A unit is one worker; what it had must be gone afterwards. */
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { seeded } from '../../helpers/random.ts';
import { serve } from './harness.ts';
import { openNative } from './native.ts';
import { subject } from './subject.ts';
import { everythingWorks } from './works.ts';
import { Broken } from './world.ts';

const worker = fileURLToPath(new URL('../worker.mjs', import.meta.url));
const program = new URL('./wanderer.ts', import.meta.url).href;
let native: ReturnType<typeof openNative> | undefined;

async function startAndTerminate(seed: number, milliseconds: number): Promise<void> {
  const thread = new Worker(worker, { workerData: { program, seed }, execArgv: [] });
  const failed = new Promise<unknown>((resolve) => thread.once('error', resolve));
  const started = new Promise<void>((resolve) => thread.once('message', () => resolve()));
  const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
  await Promise.race([started.then(() => wait(milliseconds)), failed, ended]);
  await thread.terminate();
  const error = await Promise.race([failed, wait(1)]);
  if (error !== undefined) throw error;
}

await serve(async (unit, marker) => {
  const { seed, library } = marker.task;
  native ??= openNative(library);
  const random = seeded(seed ^ Math.imul(unit + 1, 0x9e3779b1));
  const before = subject.stats();
  await startAndTerminate(random(2 ** 31), random(120));
  for (let tries = 0; subject.stats().liveBlocks > before.liveBlocks && tries < 100; tries++) await wait(20);
  const { liveBlocks, liveBytes } = subject.stats();
  const [blocks, bytes] = [liveBlocks - before.liveBlocks, liveBytes - before.liveBytes];
  if (blocks !== 0 || bytes !== 0) throw new Broken(`a terminated worker left ${blocks} blocks and ${bytes} bytes`);
  subject.configure({ limitBytes: 0 }); // one for all threads, and the worker may have set it
  everythingWorks(native);
  return 1;
});
