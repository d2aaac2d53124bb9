/**
 * What a case calls to measure itself and to hand its result to the runner.
 *
 * mitata's measure() rather than tinybench: the operations here take from 50 ns on, and tinybench reads the clock
 * around each one, which costs as much as they do. mitata reads it around a batch. Two of its defaults are changed:
 *  - a sample is a batch that ends with a turn of the event loop, since finalizers wait for one; in its plain loop,
 *    which never yields, peers that depend on them would only pile memory up
 *  - no sample is trimmed and the mean is reported, since the median of batches hides the collections between them
 */
import { do_not_optimize, measure } from 'mitata';

/** What a case prints, as one line of JSON. `value` is in the unit of the comparison it belongs to. */
export interface Measurement {
  value: number;
  details?: Record<string, number>;
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const budgetMilliseconds = Number(process.env.CSLICE_BENCH_MS ?? 500);

async function meanOf(sample: () => Promise<void>): Promise<{ mean: number; details: Record<string, number> }> {
  const cpu = process.cpuUsage();
  const stats = await measure(sample, {
    min_cpu_time: budgetMilliseconds * 1e6,
    min_samples: 3,
    samples_threshold: Number.POSITIVE_INFINITY,
    gc: globalThis.gc as () => void,
  });
  const { user, system } = process.cpuUsage(cpu);
  const samples = stats.ticks;
  // Of all threads, so with what collectors do in the background. Other processes hardly disturb it.
  const details = { cpu: ((user + system) * 1000) / samples, min: stats.min, median: stats.p50, max: stats.max };
  return { mean: stats.avg, details: { ...details, samples } };
}

function scaled({ mean, details }: Awaited<ReturnType<typeof meanOf>>, count: number): Measurement {
  const scale = (value: number): number => value / count;
  const { samples = 0, ...times } = details;
  const scaledTimes = Object.fromEntries(Object.entries(times).map(([name, value]) => [name, scale(value)]));
  return { value: scale(mean), details: { ...scaledTimes, operations: samples * count } };
}

/** A turn costs some 10 µs where the machine is busy, which must not show in what ends with one. */
const shortestBatch = 3;

/** Nanoseconds for one `operation`, its share of garbage collection and finalizers included. */
export async function perOperation(operation: () => void): Promise<Measurement> {
  let count = 1;
  const batch = async (): Promise<void> => {
    for (let i = 0; i < count; i++) operation();
    await turn();
  };
  const time = async (): Promise<number> => {
    const start = performance.now();
    await batch();
    return performance.now() - start;
  };
  // The doubling warms up, too. The fastest of three decides: a pause in one of them would end it too early.
  while (Math.min(await time(), await time(), await time()) < shortestBatch) count *= 2;
  for (const start = performance.now(); performance.now() - start < budgetMilliseconds / 4; ) await batch();
  return scaled(await meanOf(batch), count);
}

/**
 * Nanoseconds for one block from its making to the end of its destructor, when it is dropped rather than released.
 * `destroyed` tells how many destructors have run since the start.
 */
export async function perDropped(count: number, make: () => void, destroyed: () => number): Promise<Measurement> {
  let made = destroyed();
  const batch = async (): Promise<void> => {
    for (let i = 0; i < count; i++) {
      make();
      if (i % 1000 === 999) await turn();
    }
    do_not_optimize(undefined); // it holds what it was given last
    made += count;
    await allDestroyed(made, destroyed);
  };
  await batch();
  return scaled(await meanOf(batch), count);
}

async function allDestroyed(expected: number, destroyed: () => number): Promise<void> {
  for (const start = performance.now(); destroyed() < expected; ) {
    globalThis.gc?.();
    // Finalizers come as tasks of their own, some turns later. Another collection meanwhile would only add to the bill.
    for (let i = 0; i < 10 && destroyed() < expected; i++) await turn();
    if (performance.now() - start > 30_000) throw new Error(`only ${destroyed()} of ${expected} destructors have run`);
  }
}

/** What `sample` returns, the median of some. Everything it dropped is collected in between. */
export async function medianOf(count: number, sample: () => number): Promise<Measurement> {
  const values: number[] = [];
  for (let i = 0; i < count; i++) {
    values.push(sample());
    globalThis.gc?.();
    await turn();
  }
  return { value: values.sort((a, b) => a - b)[count >> 1] as number };
}

export function report(measurement: Measurement): void {
  process.stdout.write(`${JSON.stringify(measurement)}\n`);
}

/** The n-th argument of the case, a number. */
export function numberArgument(index = 0): number {
  const value = Number(process.argv[2 + index]);
  if (!Number.isFinite(value)) throw new Error(`argument ${index} must be a number, got ${process.argv[2 + index]}`);
  return value;
}
