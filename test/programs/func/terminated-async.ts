/** A worker that is terminated while C works on a handle and a slice. Prints what had been freed before C was done, and after. */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import { func } from '../../../lib/index.ts';

const path = (isMainThread ? process.argv[2] : workerData.path) as string;
const lib = koffi.load(path);

if (isMainThread) {
  const worker = new Worker(new URL('../worker.mjs', import.meta.url), {
    workerData: { program: import.meta.url, path },
  });
  await once(worker, 'message');
  await worker.terminate();
  const names = Buffer.alloc(64);
  const count = lib.func('size_t obj_freed(_Out_ char *names, size_t size)')(names, 64) as number;
  const wrong = lib.func('int obj_wrong_names()')() as number;
  console.log(JSON.stringify([names.toString('latin1', 0, count), wrong]));
} else {
  const open = func(lib, 'object *obj_new(object *parent, int name)', { returns: 'handle', free: 'obj_free' });
  const nameLater = func(lib, 'int obj_name_twice(const object *object, int milliseconds)');
  const handle = open(null, 'a'.charCodeAt(0));
  void nameLater.async(handle, 300);
  handle.release();
  parentPort?.postMessage('started');
}
