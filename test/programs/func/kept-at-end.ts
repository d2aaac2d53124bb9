/**
 * Memory that keeps a handle, which keeps memory, in a worker that is terminated. Prints in which order they were freed:
 * when the worker had ended, and, where the memory was moved to this thread, after that. `linked`: a handle that keeps a
 * newer one instead, which keeps one that is newer still.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import { func, type Handle, Slice } from '../../../lib/index.ts';
import { collectUntil } from '../../helpers/collect.ts';

const kept: unknown[] = [];

async function main(path: string, how: string): Promise<void> {
  const lib = koffi.load(path);
  const names = Buffer.alloc(64);
  const freed = (): string =>
    names.toString('latin1', 0, lib.func('size_t obj_freed(_Out_ char *, size_t)')(names, 64));
  const worker = new Worker(new URL('../worker.mjs', import.meta.url), {
    workerData: { program: import.meta.url, path, how },
  });
  const [message] = (await once(worker, 'message')) as [ArrayBuffer | string];
  await worker.terminate();
  const order = [freed()];
  if (typeof message !== 'string') {
    order.push(String.fromCharCode(new Uint8Array(message)[8] as number));
    structuredClone(message, { transfer: [message] });
    let later = '';
    await collectUntil(() => {
      later += freed();
      return later !== '';
    }, 'the moved memory has gone');
    order.push(later);
  }
  console.log(JSON.stringify(order));
}

function inWorker(path: string, how: string): void {
  const lib = koffi.load(path);
  const last = func(lib, 'object *obj_new(object *parent, int name)', { returns: 'bytes', size: 16, free: 'obj_free' });
  const memory = last(null, 's'.charCodeAt(0));
  const open = func(lib, 'object *obj_new(void *parent, int name)', {
    returns: 'handle',
    free: 'obj_free',
    keeps: ['parent'],
  });
  const parent = open(memory, 'p'.charCodeAt(0));
  if (how === 'linked') {
    const link = func(lib, 'int obj_link(object *object, object *other)', { keeps: ['other'], by: 'object' });
    const [n, o] = ['n', 'o'].map((name) => open(null, name.charCodeAt(0))) as [Handle<'object'>, Handle<'object'>];
    link(n, o);
    link(parent, n);
    kept.push(memory, parent, n, o);
    parentPort?.postMessage('ready');
    for (;;);
  }
  const make = func(lib, 'object *obj_new(object *parent, int name)', {
    returns: 'bytes',
    size: 16,
    free: 'obj_free',
    keeps: ['parent'],
  });
  const child = make(parent, 'c'.charCodeAt(0));
  kept.push(memory, parent, child);
  if (how === 'moved') parentPort?.postMessage(child.buffer, [child.buffer]);
  else {
    parent.release();
    memory.release();
    parentPort?.postMessage('ready');
  }
  for (;;) Slice.alloc(8).release();
}

if (isMainThread) await main(...(process.argv.slice(2) as [string, string]));
else inWorker(workerData.path, workerData.how);
