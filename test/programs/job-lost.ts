/**
 * What tells the end of a job is lost, once. Then a view is first seen while an operation is under way, and a later callback
 * starts another one with it and releases. Prints how many blocks were freed at once. The argument says how it is lost:
 * a debugger stops the script, the program has replaced `Promise`, or `then`.
 */
import fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

const how = process.argv[2];
const { Promise: Native } = globalThis;
if (how === 'promise') {
  // biome-ignore lint/suspicious/noThenProperty: that is what is replaced
  const late = { resolve: () => ({ then: (done: () => void) => void setImmediate(done) }) };
  globalThis.Promise = late as unknown as PromiseConstructor;
}
const { Slice, stats } = await import('../../lib/index.ts');
globalThis.Promise = Native;

/** Stops the microtasks of the main thread while they run for ever. */
async function stopMicrotasks(): Promise<void> {
  const running = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(
    `const { Session } = require('node:inspector');
    const { workerData } = require('node:worker_threads');
    const session = new Session();
    session.connectToMainThread();
    Atomics.wait(workerData, 0, 0);
    session.post('Runtime.terminateExecution', () => {});`,
    { eval: true, workerData: running },
  );
  await delay(0);
  setImmediate(() => {
    Native.resolve().then(() => {
      Atomics.store(running, 0, 1);
      Atomics.notify(running, 0);
      for (;;);
    });
    void Slice.alloc(2000).bytes; // whose job ends by a microtask that is dropped
  });
  await new Native((resolve) => worker.once('exit', resolve));
}

if (how === 'terminated') await stopMicrotasks();
if (how === 'patched') {
  const { then } = Native.prototype;
  let calls = 0;
  const losing = function (this: Promise<unknown>, ...args: unknown[]): unknown {
    return calls++ === 0 ? this : Reflect.apply(then, this, args);
  };
  // biome-ignore lint/suspicious/noThenProperty: that is what is patched
  Native.prototype.then = losing as typeof then;
}
const slice = Slice.alloc(1 << 20);
const fd = fs.openSync(process.execPath, 'r');
setTimeout(() => {
  fs.stat('/', () => {
    const before = stats().liveBlocks;
    fs.read(fd, bytes, 0, bytes.length, 0, () => process.exit());
    slice.release();
    console.log(JSON.stringify({ freed: before - stats().liveBlocks }));
  });
  const { bytes } = slice;
}, 5);
