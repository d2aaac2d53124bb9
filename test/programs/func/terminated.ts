/** Handles in a worker that is terminated, or ends: C frees them, the newest first. Prints what was freed. */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import { func, type Handle } from '../../../lib/index.ts';

const kept: unknown[] = [];

if (isMainThread) {
  const [path, how] = process.argv.slice(2) as [string, string];
  const worker = new Worker(new URL('../worker.mjs', import.meta.url), {
    workerData: { program: import.meta.url, path, how },
  });
  await once(worker, 'message');
  if (how === 'terminate') await worker.terminate();
  else await once(worker, 'exit');
  const names = Buffer.alloc(4096);
  const count = koffi.load(path).func('size_t obj_freed(_Out_ char *names, size_t size)')(names, 4096) as number;
  console.log(JSON.stringify({ count, names: names.toString('latin1', 0, Math.min(count, 3)) }));
} else {
  const { path, how } = workerData as { path: string; how: string };
  const lib = koffi.load(path);
  const make = func(lib, 'object *obj_new(object *parent, int name)', {
    returns: 'handle',
    free: 'obj_free',
    keeps: ['parent'],
  });
  let last: Handle<'object'> | null = null;
  for (let i = 0; i < 600; i++) {
    last = make(last, 97 + (i % 26));
    kept.push(last);
  }
  parentPort?.postMessage('ready');
  if (how === 'terminate') for (;;);
}
