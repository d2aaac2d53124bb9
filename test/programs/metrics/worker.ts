// A worker thread's own registry: what it reports as JSON, by itself and where it was asked to.
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { Registry } from 'prom-client';
import { registerPrometheus } from '../../../lib/metrics.ts';

async function reported(everyThread: boolean): Promise<number> {
  const register = new Registry();
  registerPrometheus({ register, everyThread });
  return (await register.getMetricsAsJSON()).length;
}

if (isMainThread) {
  const worker = new Worker(new URL('../worker.mjs', import.meta.url), { workerData: { program: import.meta.url } });
  worker.once('message', (counts) => console.log(JSON.stringify(counts)));
} else {
  parentPort?.postMessage([await reported(false), await reported(true)]);
}
