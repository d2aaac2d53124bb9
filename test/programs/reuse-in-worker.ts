/** A worker that releases a thousand small slices and keeps ten; what that adds to the counts of the process. */
import { once } from 'node:events';
import { isMainThread, Worker } from 'node:worker_threads';
import { Slice, stats } from '../../lib/index.ts';

if (isMainThread) {
  const before = stats();
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: { program: import.meta.url } });
  await once(worker, 'exit');
  const after = stats();
  const names = ['liveBlocks', 'liveBytes', 'allocatedBlocks', 'releasedByScope', 'releasedByThreadEnd'] as const;
  const changes = names.map((name) => [name, after[name] - before[name]] as const);
  console.log(JSON.stringify(Object.fromEntries(changes.filter(([, change]) => change !== 0))));
} else {
  for (let i = 0; i < 1000; i++) Slice.alloc(64).release();
  (globalThis as { kept?: Slice[] }).kept = Array.from({ length: 10 }, () => Slice.alloc(64));
}
