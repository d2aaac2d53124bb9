/** Each thread records its own: what a worker and the main thread report, as JSON. */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { configure, liveBlocks, Slice } from '../../../lib/index.ts';

if (isMainThread) {
  configure({ track: true });
  using slice = Slice.alloc(111);
  const shared = slice.toSharedBuffer();
  const worker = new Worker(new URL('../worker.mjs', import.meta.url), { workerData: { program: import.meta.url } });
  worker.postMessage(shared);
  const [theirs] = await once(worker, 'message');
  slice.release();
  const [block] = liveBlocks();
  const ours = [block?.byteLength, block?.holders.map(({ holder }) => holder)];
  await worker.terminate();
  console.log(JSON.stringify({ theirs, ours, length: shared.byteLength }));
} else {
  const port = parentPort as NonNullable<typeof parentPort>;
  port.once('message', (shared: SharedArrayBuffer) => {
    configure({ track: true });
    const kept = Slice.alloc(222);
    (globalThis as { kept?: unknown[] }).kept = [kept, shared];
    port.postMessage(liveBlocks().map(({ byteLength }) => byteLength));
    setInterval(() => {}, 1000);
  });
}
