/** The same work in several worker threads at once. */
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Measurement, report, turn } from './measure.ts';

const budget = Number(process.env.CSLICE_BENCH_MS ?? 500);

interface Message {
  operations: number;
  milliseconds: number;
  /** Processor time of the whole process meanwhile, in nanoseconds. */
  processor: number;
}

/** Waits until every thread is ready, so that none of them measures while another one still starts. */
function meet(gate: Int32Array, threads: number): void {
  if (Atomics.add(gate, 0, 1) + 1 === threads) Atomics.notify(gate, 0);
  for (let here = Atomics.load(gate, 0); here < threads; here = Atomics.load(gate, 0)) Atomics.wait(gate, 0, here, 10);
}

async function work(operation: () => void, { gate, threads }: { gate: Int32Array; threads: number }): Promise<Message> {
  const milliseconds = budget * Math.max(1, threads / availableParallelism()); // each thread compiles its own code
  const batch = async (until: number): Promise<number> => {
    let operations = 0;
    for (; performance.now() < until; operations += 1000) {
      for (let i = 0; i < 1000; i++) operation();
      await turn();
    }
    return operations;
  };
  await batch(performance.now() + milliseconds / 2);
  meet(gate, threads);
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  const operations = await batch(start + milliseconds);
  const { user, system } = process.cpuUsage(cpu);
  return { operations, milliseconds: performance.now() - start, processor: (user + system) * 1000 };
}

async function conduct(file: string, threads: number): Promise<Measurement> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const messages = await Promise.all(
    Array.from(
      { length: threads },
      () =>
        new Promise<Message>((resolve, reject) => {
          const worker = new Worker(file, { workerData: { gate, threads }, argv: process.argv.slice(2) });
          worker.once('message', resolve).once('error', reject);
        }),
    ),
  );
  const perMillisecond = messages.reduce((rate, message) => rate + message.operations / message.milliseconds, 0);
  const processors = Math.min(threads, availableParallelism());
  const sum = (of: keyof Message): number => messages.reduce((total, message) => total + message[of], 0);
  const cpu = sum('processor') / threads / sum('operations');
  return { value: (processors * 1e6) / perMillisecond, details: { cpu, threads, processors } };
}

/** Nanoseconds of one processor for one operation. To be called from the file that the workers run, too. */
export async function perOperationOfThreads(file: string, threads: number, operation: () => void): Promise<void> {
  if (isMainThread) report(await conduct(file, threads));
  else parentPort?.postMessage(await work(operation, workerData));
}
