import { totalmem } from 'node:os';
import { checkInteger } from './core/check.ts';
import { releaseKept } from './core/free-list.ts';
import { leastGuarded, setGuard } from './core/guard.ts';
import { readOptions } from './core/options.ts';
import { liveHandles } from './core/owner.ts';
import { rangeError, show, typeError } from './errors.ts';
import { limitSet, reuseSet, statisticsGet } from './native/symbols.ts';

/**
 * Counts of the whole process, all threads and C included, since it started.
 *
 * @example
 * const { liveBlocks, liveBytes, releasedByCollection }: cslice.Stats = stats();
 * console.log(`${liveBlocks} blocks, ${liveBytes} bytes; ${releasedByCollection} were left to the collector`);
 */
export interface Stats {
  /** Blocks that are allocated or adopted and not yet released. */
  liveBlocks: number;
  /** The bytes of these blocks. */
  liveBytes: number;
  /** The highest that `liveBytes` has been. Peaks caused only by reused small blocks may be missed. */
  peakBytes: number;
  /** Blocks ever allocated or adopted: the sum of `liveBlocks` and of the ended ones below. */
  allocatedBlocks: number;
  /** Ended by `release()` or `using`. */
  releasedByScope: number;
  /** Ended after the garbage collector found nothing that could reach them. */
  releasedByCollection: number;
  /** Ended with the thread that held them. */
  releasedByThreadEnd: number;
  /** Ended by C code that returned the last reference. */
  releasedByC: number;
  /** Handed to C by `disown()`. */
  disownedBlocks: number;
  /** JavaScript destructors that could not run, since their thread had ended. */
  lostDestructors: number;
  /** JavaScript destructors that threw. */
  failedDestructors: number;
}

/**
 * Counts of this thread.
 *
 * @example
 * const newFile = func(c, 'FILE *tmpfile(void)', { returns: 'handle', free: 'fclose' });
 * using file = newFile();
 * const { liveHandles }: cslice.HandleStats = stats();
 * console.log(liveHandles.FILE); // 1
 */
export interface HandleStats {
  /** Objects of C that this thread owns, by the name of their type. Listed among the keys while there are any. */
  readonly liveHandles: Readonly<Record<string, number>>;
}

/** The fields of `cslice_statistics`, in C's order. */
const fields = [
  'liveBlocks',
  'liveBytes',
  'peakBytes',
  'allocatedBlocks',
  'releasedByScope',
  'releasedByCollection',
  'releasedByThreadEnd',
  'releasedByC',
  'disownedBlocks',
  'lostDestructors',
  'failedDestructors',
] as const satisfies (keyof Stats)[];

const counters = new BigUint64Array(fields.length);

/**
 * What is allocated now and what has become of the rest. About 1 µs; copies nothing else.
 *
 * @example
 * const before = stats().liveBlocks;
 * using slice = Slice.alloc(64);
 * console.log(stats().liveBlocks - before); // 1
 */
export function stats(): Stats & HandleStats {
  statisticsGet(counters);
  const counts = Object.fromEntries(fields.map((field, i) => [field, Number(counters[i])]));
  const handles = liveHandles();
  const enumerable = Object.keys(handles).length > 0; // or every sum over the counts would meet an object
  return Object.defineProperty(counts, 'liveHandles', { value: handles, enumerable }) as unknown as Stats & HandleStats;
}

/**
 * The settings of {@link configure}. What is left out stays as it is.
 *
 * @example
 * const settings: cslice.Configuration = { limitBytes: 512 << 20, reuseBytes: 1 << 20 };
 * configure(settings);
 */
export interface Configuration {
  /**
   * The most bytes that the blocks of the whole process may have together, 0 for no limit. With `fractionOfMemory`
   * instead, a fraction of what the process may use: its cgroup's limit, or else the machine's memory.
   */
  limitBytes?: number | { fractionOfMemory: number };
  /**
   * Bytes of ended blocks of up to 1 KiB that each thread keeps for its next slices: so many of released ones, which
   * then need no call into C, and so many in C. Default 4,194,304. 0: the end of a block gives its memory back at once,
   * as AddressSanitizer and its like need it to find C code that uses memory too long.
   */
  reuseBytes?: number;
  /**
   * Guard mode, which finds C code that writes past a block or uses it after its release: one of `sample` blocks of
   * `alloc` ends at an inaccessible page, and stays inaccessible for a while after its release. `false`, the default:
   * none. The environment variable `CSLICE_GUARD` sets it at the start. See `docs/guard.md`.
   */
  guard?: { sample: number } | false;
}

/**
 * Changes settings of the process. An allocation past `limitBytes` first collects garbage and gives dead blocks back,
 * then throws `ERR_CSLICE_LIMIT`. Memory that is adopted counts, but is never refused.
 *
 * @throws {CSliceError} `ERR_CSLICE_RANGE` or `ERR_CSLICE_TYPE` for a wrong setting, `ERR_CSLICE_NOMEM` where the system
 *   refuses what guard mode needs; nothing has changed then
 * @example
 * configure({ limitBytes: { fractionOfMemory: 0.5 } });
 */
export function configure(configuration: Configuration): void {
  const known = ['limitBytes', 'reuseBytes', 'guard'] as const;
  const { limitBytes, reuseBytes, guard } = readOptions('configuration', configuration, known);
  const limit = limitBytes === undefined ? undefined : limitOf(limitBytes);
  const every = guard === undefined ? undefined : guardOf(guard);
  if (reuseBytes !== undefined) checkInteger('reuseBytes', reuseBytes, 0, Number.MAX_SAFE_INTEGER);
  if (every !== undefined) setGuard(every); // the one that the system may refuse
  if (reuseBytes !== undefined) reuseSet(reuseBytes);
  if (limit !== undefined) limitSet(limit);
  releaseKept();
}

/** One of how many blocks is guarded; 0: none. */
function guardOf(setting: NonNullable<Configuration['guard']>): number {
  if (setting === false) return 0;
  if (typeof setting !== 'object' || setting === null) {
    throw typeError(`guard must be false or { sample }, got ${show(setting)}`);
  }
  return checkInteger('guard.sample', readOptions('guard', setting, ['sample']).sample, 1, leastGuarded);
}

function limitOf(setting: NonNullable<Configuration['limitBytes']>): number {
  if (typeof setting === 'number') {
    if (!Number.isSafeInteger(setting) || setting < 0) {
      throw rangeError(`limitBytes must be an integer from 0, got ${setting}`);
    }
    return setting;
  }
  if (typeof setting !== 'object' || setting === null) {
    throw typeError(`limitBytes must be a number or { fractionOfMemory }, got ${show(setting)}`);
  }
  const fraction: unknown = readOptions('limitBytes', setting, ['fractionOfMemory']).fractionOfMemory;
  if (typeof fraction !== 'number') {
    throw typeError(`limitBytes must be a number or { fractionOfMemory }, got ${show(setting)}`);
  }
  if (!(fraction > 0 && fraction <= 1)) {
    throw rangeError(`fractionOfMemory must be above 0 and at most 1, got ${fraction}`);
  }
  return Math.floor(availableMemory() * fraction);
}

/** Bytes that this process may use: a cgroup without a limit reports 0 or more than there is. */
function availableMemory(): number {
  const machine = totalmem();
  const constrained = process.constrainedMemory?.() ?? 0;
  return constrained > 0 && constrained < machine ? constrained : machine;
}
