/** Ends threads that hold blocks, by their own end and by terminate(). */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import { destructor, Slice, stats } from '../../../lib/index.ts';

const libraryPath = process.argv[2] as string;

if (isMainThread) {
  Slice.alloc(8).release();
  const kept = Slice.fromString('kept by the main thread');
  for (const ending of ['return', 'terminate']) {
    const worker = new Worker(new URL('../worker.mjs', import.meta.url), {
      workerData: { program: import.meta.url, ending },
      argv: [libraryPath],
    });
    await once(worker, 'message');
    if (ending === 'terminate') await worker.terminate();
    else await once(worker, 'exit');
  }
  const counts = new BigUint64Array(4);
  koffi.load(libraryPath).func('void fixture_last(void *counts)')(counts);
  const { liveBlocks, releasedByThreadEnd, releasedByScope, lostDestructors } = stats();
  const destructors = Number(counts[0]);
  const text = kept.text();
  console.log(JSON.stringify({ liveBlocks, releasedByThreadEnd, releasedByScope, lostDestructors, destructors, text }));
} else {
  const library = koffi.load(libraryPath);
  const make = library.func('void *fixture_make(size_t size)');
  const held = [
    Slice.alloc(100),
    Slice.fromString('in a thread'),
    Slice.adopt(make(8), 8, destructor(library, 'fixture_free')),
    Slice.adopt(make(8), 8, () => {}),
  ];
  for (const slice of held) slice.bytes[0] = 1;
  Slice.alloc(8).release();
  if (workerData.ending === 'terminate') setInterval(() => held, 1000);
  parentPort?.postMessage('ready');
}
