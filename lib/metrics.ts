/**
 * What this package allocates, as metrics: for Prometheus by `prom-client`, and for OpenTelemetry. Neither is a dependency:
 * the caller passes it, or it is loaded when it is asked for. This is the entry point `cslice/metrics`.
 */
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { readOptions } from './core/options.ts';
import { type Stats, stats } from './diagnostics.ts';
import { show, stateError, typeError } from './errors.ts';

/** What `reason` can be, and the count that it stands for. */
const reasons = {
  scope: 'releasedByScope',
  collection: 'releasedByCollection',
  thread_end: 'releasedByThreadEnd',
  c: 'releasedByC',
  disowned: 'disownedBlocks',
} as const satisfies Record<string, keyof Stats>;

/** Metrics that are reported until `release()` or the end of a `using` scope. */
export interface Registration extends Disposable {
  /** Takes the metrics away again. Does nothing the second time. */
  release(): void;
}

class Registered implements Registration {
  #remove: (() => void) | undefined;

  constructor(remove: () => void) {
    this.#remove = remove;
  }

  release(): void {
    const remove = this.#remove;
    this.#remove = undefined;
    remove?.();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

interface Common {
  /**
   * Whether a worker thread reports too. Default false: the counts are those of the whole process, so the main thread's
   * report has them all, and a sum over threads would count them twice.
   */
  everyThread?: boolean;
}

/** Whether this thread reports. */
function reportsHere({ everyThread = false }: Common): boolean {
  if (typeof everyThread !== 'boolean') throw typeError(`everyThread must be a boolean, got ${show(everyThread)}`);
  return isMainThread || everyThread;
}

const require = createRequire(import.meta.url);

/** @throws {CSliceError} `ERR_CSLICE_STATE` where the package cannot be loaded */
function load(name: string, option: string): unknown {
  try {
    return require(name);
  } catch (cause) {
    throw stateError(`${name} cannot be loaded: install it, or pass it as ${option}`, { cause });
  }
}

function hasFunctions(value: unknown, names: readonly string[]): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

// ---- prom-client

/** A registry of `prom-client`. */
export interface PrometheusRegistry {
  getSingleMetric(name: string): unknown;
  removeSingleMetric(name: string): void;
}

/** The module `prom-client`. */
export interface PrometheusClient {
  readonly Gauge: new (configuration: never) => object;
  readonly Counter: new (configuration: never) => object;
  readonly register: PrometheusRegistry;
}

/** The options of {@link registerPrometheus}. */
export interface PrometheusOptions extends Common {
  /** The module `prom-client`. Default: the one that this package finds. */
  client?: PrometheusClient;
  /** Default: the client's own, `client.register`. */
  register?: PrometheusRegistry;
}

interface Gauge {
  set(value: number): void;
}

interface Counter {
  reset(): void;
  inc(value: number): void;
  inc(labels: Record<string, string>, value: number): void;
}

interface Metric {
  readonly type: 'Gauge' | 'Counter';
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
  readonly values: (counts: Stats) => readonly [labels: Record<string, string>, value: number][];
}

function single(field: keyof Stats): Metric['values'] {
  return (counts) => [[{}, counts[field] as number]];
}

const prometheusMetrics: readonly Metric[] = [
  {
    type: 'Gauge',
    name: 'cslice_live_bytes',
    help: 'Bytes of C memory in blocks that are not yet released',
    values: single('liveBytes'),
  },
  {
    type: 'Gauge',
    name: 'cslice_live_blocks',
    help: 'Blocks of C memory that are not yet released',
    values: single('liveBlocks'),
  },
  {
    type: 'Gauge',
    name: 'cslice_retained_bytes',
    help: 'Bytes of released blocks that this library keeps for its next ones, or is about to free',
    values: single('retainedBytes'),
  },
  {
    type: 'Gauge',
    name: 'cslice_peak_bytes',
    help: 'The most bytes that were live at once',
    values: single('peakBytes'),
  },
  {
    type: 'Counter',
    name: 'cslice_blocks_allocated_total',
    help: 'Blocks that were allocated or adopted',
    values: single('allocatedBlocks'),
  },
  {
    type: 'Counter',
    name: 'cslice_blocks_released_total',
    help: 'Blocks that have ended, by reason: scope (release() or using), collection, thread_end, c, disowned',
    labelNames: ['reason'],
    values: (counts) => Object.entries(reasons).map(([reason, field]) => [{ reason }, counts[field]]),
  },
  {
    type: 'Counter',
    name: 'cslice_destructors_lost_total',
    help: 'JavaScript destructors that could not run, since their thread had ended',
    values: single('lostDestructors'),
  },
  {
    type: 'Counter',
    name: 'cslice_destructors_failed_total',
    help: 'JavaScript destructors that threw',
    values: single('failedDestructors'),
  },
];

let countsOfScrape: Stats | undefined;

/** The counts, read once a scrape: a registry asks all of its metrics in one job. */
function scrapedCounts(): Stats {
  if (countsOfScrape === undefined) {
    countsOfScrape = stats();
    queueMicrotask(() => {
      countsOfScrape = undefined;
    });
  }
  return countsOfScrape;
}

function update(metric: Gauge | Counter, values: ReturnType<Metric['values']>): void {
  if (!('inc' in metric && 'reset' in metric) || 'dec' in metric) {
    for (const [, value] of values) (metric as Gauge).set(value);
    return;
  }
  metric.reset(); // the counts are totals since the process started
  for (const [labels, value] of values) metric.inc(labels, value);
}

function addMetric(client: PrometheusClient, register: PrometheusRegistry, metric: Metric): void {
  const { type, name, help, labelNames = [], values } = metric;
  const configuration = {
    name,
    help,
    labelNames,
    registers: [register],
    collect(this: Gauge | Counter) {
      update(this, values(scrapedCounts()));
    },
  };
  new client[type](configuration as never);
}

const registries = new WeakMap<PrometheusRegistry, Registration>();

/**
 * Adds this package's metrics to a registry of `prom-client`: `cslice_live_bytes`, `cslice_live_blocks`,
 * `cslice_retained_bytes`, `cslice_peak_bytes`, `cslice_blocks_allocated_total`, `cslice_blocks_released_total{reason}`,
 * `cslice_destructors_lost_total`, `cslice_destructors_failed_total`. They are read when the registry is.
 *
 * @returns what takes them away again; for a registry that has them already, the same as the first time
 * @throws {CSliceError} `ERR_CSLICE_STATE` if `prom-client` cannot be loaded, or the registry has another metric of one of
 *   these names; nothing was added then
 * @example
 * registerPrometheus();
 * createServer(async (request, response) => response.end(await promClient.register.metrics()));
 */
export function registerPrometheus(options: PrometheusOptions = {}): Registration {
  const { client: given, register: chosen, everyThread } = readOptions('options', options, prometheusOptions);
  const isReporting = reportsHere({ everyThread: everyThread ?? false });
  if (given !== undefined && !hasFunctions(given, ['Gauge', 'Counter'])) {
    throw typeError(`client must be the module prom-client, got ${show(given)}`);
  }
  if (chosen !== undefined && !hasFunctions(chosen, ['getSingleMetric', 'removeSingleMetric', 'registerMetric'])) {
    throw typeError(`register must be a registry of prom-client, got ${show(chosen)}`);
  }
  if (!isReporting) return new Registered(() => {});
  const client = given ?? (load('prom-client', 'client') as PrometheusClient);
  const register = chosen ?? client.register;
  const known = registries.get(register);
  if (known !== undefined) return known;
  const taken = prometheusMetrics.find(({ name }) => register.getSingleMetric(name) !== undefined);
  if (taken !== undefined) throw stateError(`the registry has another metric with the name ${taken.name}`);
  for (const metric of prometheusMetrics) addMetric(client, register, metric);
  const registration = new Registered(() => {
    registries.delete(register);
    for (const { name } of prometheusMetrics) register.removeSingleMetric(name);
  });
  registries.set(register, registration);
  return registration;
}

const prometheusOptions = ['client', 'register', 'everyThread'] as const;

// ---- OpenTelemetry

interface InstrumentOptions {
  description: string;
  unit: string;
}

/** What a batch callback of OpenTelemetry's API is given. */
export interface OpenTelemetryResult {
  observe(instrument: never, value: number, attributes?: Record<string, string>): void;
}

/** A `Meter` of OpenTelemetry's API. */
export interface OpenTelemetryMeter {
  createObservableCounter(name: string, options?: InstrumentOptions): object;
  createObservableGauge(name: string, options?: InstrumentOptions): object;
  createObservableUpDownCounter(name: string, options?: InstrumentOptions): object;
  addBatchObservableCallback(callback: (result: OpenTelemetryResult) => void, instruments: never[]): void;
  removeBatchObservableCallback(callback: (result: OpenTelemetryResult) => void, instruments: never[]): void;
}

/** The options of {@link registerOpenTelemetry}. */
export interface OpenTelemetryOptions extends Common {
  /** Default: `metrics.getMeter('cslice')` of the `@opentelemetry/api` that this package finds. */
  meter?: OpenTelemetryMeter;
}

const meterFunctions = [
  'createObservableCounter',
  'createObservableGauge',
  'createObservableUpDownCounter',
  'addBatchObservableCallback',
  'removeBatchObservableCallback',
] as const satisfies (keyof OpenTelemetryMeter)[];

type Create = 'createObservableCounter' | 'createObservableGauge' | 'createObservableUpDownCounter';

interface Instrument {
  readonly create: Create;
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly values: Metric['values'];
}

const live = { 'cslice.state': 'live' };
const retained = { 'cslice.state': 'retained' };

const instruments: readonly Instrument[] = [
  {
    create: 'createObservableUpDownCounter',
    name: 'cslice.memory.usage',
    unit: 'By',
    description: 'C memory in blocks, by their state',
    values: ({ liveBytes, retainedBytes }) => [
      [live, liveBytes],
      [retained, retainedBytes],
    ],
  },
  {
    create: 'createObservableGauge',
    name: 'cslice.memory.peak',
    unit: 'By',
    description: 'The most bytes that were live at once',
    values: single('peakBytes'),
  },
  {
    create: 'createObservableUpDownCounter',
    name: 'cslice.block.count',
    unit: '{block}',
    description: 'Blocks of C memory, by their state',
    values: ({ liveBlocks }) => [[live, liveBlocks]],
  },
  {
    create: 'createObservableCounter',
    name: 'cslice.block.allocated',
    unit: '{block}',
    description: 'Blocks that were allocated or adopted',
    values: single('allocatedBlocks'),
  },
  {
    create: 'createObservableCounter',
    name: 'cslice.block.released',
    unit: '{block}',
    description: 'Blocks that have ended, by reason',
    values: (counts) => Object.entries(reasons).map(([reason, field]) => [{ 'cslice.reason': reason }, counts[field]]),
  },
  {
    create: 'createObservableCounter',
    name: 'cslice.destructor.lost',
    unit: '{destructor}',
    description: 'JavaScript destructors that could not run, since their thread had ended',
    values: single('lostDestructors'),
  },
  {
    create: 'createObservableCounter',
    name: 'cslice.destructor.failed',
    unit: '{destructor}',
    description: 'JavaScript destructors that threw',
    values: single('failedDestructors'),
  },
];

const meters = new WeakMap<OpenTelemetryMeter, Registration>();

/**
 * Adds this package's instruments to a meter of OpenTelemetry: `cslice.memory.usage` and `cslice.memory.peak` in `By`,
 * `cslice.block.count`, `cslice.block.allocated` and `cslice.block.released` in `{block}`, `cslice.destructor.lost` and
 * `cslice.destructor.failed` in `{destructor}`. All are observed at one moment. Call it once the application has set its
 * meter provider: OpenTelemetry's API measures nothing before.
 *
 * @returns what takes them away again; for a meter that has them already, the same as the first time
 * @throws {CSliceError} `ERR_CSLICE_STATE` if `@opentelemetry/api` cannot be loaded
 * @example
 * registerOpenTelemetry({ meter: provider.getMeter('my service') });
 */
export function registerOpenTelemetry(options: OpenTelemetryOptions = {}): Registration {
  const { meter: given, everyThread } = readOptions('options', options, ['meter', 'everyThread']);
  const isReporting = reportsHere({ everyThread: everyThread ?? false });
  if (given !== undefined && !hasFunctions(given, meterFunctions)) {
    throw typeError(`meter must be a Meter of OpenTelemetry, got ${show(given)}`);
  }
  if (!isReporting) return new Registered(() => {});
  const meter = given ?? defaultMeter();
  const known = meters.get(meter);
  if (known !== undefined) return known;
  const made = instruments.map((instrument) => ({ instrument, of: make(meter, instrument) as never }));
  const callback = (result: OpenTelemetryResult) => {
    const counts = stats();
    for (const { instrument, of } of made) {
      for (const [attributes, value] of instrument.values(counts)) result.observe(of, value, attributes);
    }
  };
  const observed = made.map(({ of }) => of);
  meter.addBatchObservableCallback(callback, observed);
  const registration = new Registered(() => {
    meters.delete(meter);
    meter.removeBatchObservableCallback(callback, observed);
  });
  meters.set(meter, registration);
  return registration;
}

function make(meter: OpenTelemetryMeter, { create, name, description, unit }: Instrument): object {
  return meter[create](name, { description, unit });
}

function defaultMeter(): OpenTelemetryMeter {
  const api = load('@opentelemetry/api', 'meter, from getMeter()') as {
    metrics: { getMeter(name: string): OpenTelemetryMeter };
  };
  return api.metrics.getMeter('cslice');
}
