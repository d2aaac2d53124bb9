import { totalmem } from 'node:os';
import { inspect } from 'node:util';
import { checkInteger } from './core/check.ts';
import { releaseKept } from './core/free-list.ts';
import { leastGuarded, setGuard } from './core/guard.ts';
import { livePins } from './core/holds.ts';
import { readOptions } from './core/options.ts';
import { liveHandles } from './core/owner.ts';
import { rangeError, show, typeError } from './errors.ts';
import { limitSet, reuseSet, statisticsGet } from './native/symbols.ts';
import { liveByLabel } from './record/labels.ts';
import { changeSettings, type Settings, takeAllEnds, warnBy } from './record/record.ts';
import { warnOfCollected } from './see/warning.ts';

/**
 * Counts of the whole process, all threads and C included, since it started.
 *
 * @example
 * const counts: cslice.Stats = stats();
 * console.log(`${counts.liveBlocks} blocks, ${counts.liveBytes} bytes; ${counts.releasedByCollection} were collected`);
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
  // What follows is not listed among the keys: it changes without an allocation or a release, and two stats can be compared.
  /** Bytes of released small blocks that JavaScript keeps for its next slices. Not live. */
  readonly freeListBytes: number;
  /** Bytes of released small blocks that C keeps for its next ones, with their headers. Not live. */
  readonly cacheBytes: number;
  /** Bytes of released large blocks that are about to be freed in the background. Not live. */
  readonly reclaimBytes: number;
  /** The sum of the three: what this library keeps of memory that is no longer live. */
  readonly retainedBytes: number;
  /** Ended blocks whose destructor waits for the thread that adopted them. */
  readonly pendingBlocks: number;
  /** The bytes of these blocks. */
  readonly pendingBytes: number;
  /** Released references whose memory waits for an operation of Node. Their blocks are live. */
  readonly waitingBlocks: number;
  /** The bytes of these references. */
  readonly waitingBytes: number;
  /** Leases of `pin()` that are live in this thread. */
  readonly livePins: number;
  /** What is live by what it is. */
  readonly byKind: Readonly<Record<StatsKind, LiveCount>>;
}

/**
 * What {@link Stats} tells apart: memory of `Slice.alloc` and its like, memory of C that was adopted, memory of JavaScript
 * that is attached or pinned for C (not among `liveBlocks`), and objects of C, whose bytes nobody knows.
 *
 * @example
 * const kind: cslice.StatsKind = 'adopt';
 * console.log(stats().byKind[kind].liveBytes);
 */
export type StatsKind = 'alloc' | 'adopt' | 'attach' | 'handle';

/**
 * How much is live of one kind, or under one label.
 *
 * @example
 * const ours: cslice.LiveCount = stats().byKind.alloc;
 * console.log(ours.liveBlocks, ours.liveBytes);
 */
export interface LiveCount {
  /** Blocks, or handles. */
  liveBlocks: number;
  /** Their bytes; 0 for handles. */
  liveBytes: number;
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

/** The first fields of `cslice_statistics`, which are listed among the keys. */
const listed = [
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

/** All of them, in C's order. */
const fields = [
  ...listed,
  'adoptedBlocks',
  'adoptedBytes',
  'attachedBlocks',
  'attachedBytes',
  'freeListBytes',
  'cacheBytes',
  'reclaimBytes',
  'pendingBlocks',
  'pendingBytes',
  'waitingBlocks',
  'waitingBytes',
] as const;

type Field = (typeof fields)[number];

const cells = new BigUint64Array(fields.length);

/**
 * Numbers of one moment. What changes without an allocation or a release is no key, so that two can be compared; it is
 * printed and written as JSON all the same.
 */
class AllStats implements Stats {
  liveBlocks = 0;
  liveBytes = 0;
  peakBytes = 0;
  allocatedBlocks = 0;
  releasedByScope = 0;
  releasedByCollection = 0;
  releasedByThreadEnd = 0;
  releasedByC = 0;
  disownedBlocks = 0;
  lostDestructors = 0;
  failedDestructors = 0;
  readonly #cells: BigUint64Array;
  readonly #pins = livePins.size;

  constructor() {
    statisticsGet(cells);
    this.#cells = cells.slice();
    for (const [i, field] of listed.entries()) this[field] = Number(cells[i]);
  }

  #at(field: Field): number {
    return Number(this.#cells[fields.indexOf(field)]);
  }

  get freeListBytes(): number {
    return this.#at('freeListBytes');
  }

  get cacheBytes(): number {
    return this.#at('cacheBytes');
  }

  get reclaimBytes(): number {
    return this.#at('reclaimBytes');
  }

  get retainedBytes(): number {
    return this.freeListBytes + this.cacheBytes + this.reclaimBytes;
  }

  get pendingBlocks(): number {
    return this.#at('pendingBlocks');
  }

  get pendingBytes(): number {
    return this.#at('pendingBytes');
  }

  get waitingBlocks(): number {
    return this.#at('waitingBlocks');
  }

  get waitingBytes(): number {
    return this.#at('waitingBytes');
  }

  get livePins(): number {
    return this.#pins;
  }

  get byKind(): Record<StatsKind, LiveCount> {
    const adopt = { liveBlocks: this.#at('adoptedBlocks'), liveBytes: this.#at('adoptedBytes') };
    const handles = Object.values((this as unknown as HandleStats).liveHandles);
    return {
      alloc: {
        liveBlocks: Math.max(0, this.#at('liveBlocks') - adopt.liveBlocks),
        liveBytes: Math.max(0, this.#at('liveBytes') - adopt.liveBytes),
      },
      adopt,
      attach: { liveBlocks: this.#at('attachedBlocks'), liveBytes: this.#at('attachedBytes') },
      handle: { liveBlocks: handles.reduce((sum, live) => sum + live, 0), liveBytes: 0 },
    };
  }

  toJSON(): object {
    const { freeListBytes, cacheBytes, reclaimBytes, retainedBytes, pendingBlocks, pendingBytes } = this;
    const { waitingBlocks, waitingBytes, livePins: pins, byKind } = this;
    const kept = { freeListBytes, cacheBytes, reclaimBytes, retainedBytes, pendingBlocks, pendingBytes };
    return { ...this, ...kept, waitingBlocks, waitingBytes, livePins: pins, byKind };
  }

  [inspect.custom](): object {
    return this.toJSON();
  }
}

/**
 * What is allocated now and what has become of the rest. Some 3 µs, however much is live.
 *
 * @example
 * const before = stats().liveBlocks;
 * using slice = Slice.alloc(64);
 * console.log(stats().liveBlocks - before); // 1
 */
export function stats(): Stats & HandleStats;
/**
 * What is live in this thread by the label of {@link withLabel} under which it was made. Labels without a live block are
 * not listed.
 *
 * @throws {CSliceError} `ERR_CSLICE_TYPE`, `ERR_CSLICE_RANGE`
 * @example
 * const labelled = withLabel('tenant 7', () => Slice.alloc(64));
 * console.log(stats({ by: 'label' })); // { 'tenant 7': { liveBlocks: 1, liveBytes: 64 } }
 * labelled.release();
 */
export function stats(options: { by: 'label' }): Record<string, LiveCount>;
export function stats(options?: { by: 'label' }): (Stats & HandleStats) | Record<string, LiveCount> {
  return options === undefined ? all() : byLabel(options);
}

function byLabel(options: { by: 'label' }): Record<string, LiveCount> {
  const { by } = readOptions('options', options, ['by']);
  if (typeof by !== 'string') throw typeError(`by must be a string, got ${show(by)}`);
  if (by !== 'label') throw rangeError(`by must be 'label', got ${show(by)}`);
  takeAllEnds();
  return liveByLabel();
}

function all(): Stats & HandleStats {
  const handles = liveHandles();
  const enumerable = Object.keys(handles).length > 0; // or every sum over the counts would meet an object
  return Object.defineProperty(new AllStats(), 'liveHandles', { value: handles, enumerable }) as AllStats & HandleStats;
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
  /**
   * A profile of this thread's memory for {@link heapProfile}: of the bytes that are allocated one in so many has its block
   * recorded, with its stack. 524,288 costs some nanoseconds an allocation. `false`, the default: none.
   */
  profile?: { sampleBytes: number } | false;
  /**
   * Records every block and handle of this thread, with its stack and what holds it, for {@link liveBlocks},
   * {@link leakReport} and `slice.holders()`. 10 to 30 µs an allocation. Default false.
   */
  track?: boolean;
  /**
   * `'collected'`: one process warning (`CSLICE_COLLECTED`) for each place whose blocks were collected instead of released.
   * Costs what `track` does. Default false.
   */
  warn?: 'collected' | false;
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
  const { limitBytes, reuseBytes, guard, profile, track, warn } = readOptions('configuration', configuration, known);
  const limit = limitBytes === undefined ? undefined : limitOf(limitBytes);
  const every = guard === undefined ? undefined : guardOf(guard);
  const changes = settingsOf(profile, track, warn);
  if (reuseBytes !== undefined) checkInteger('reuseBytes', reuseBytes, 0, Number.MAX_SAFE_INTEGER);
  if (every !== undefined) setGuard(every); // the one that the system may refuse
  if (reuseBytes !== undefined) reuseSet(reuseBytes);
  if (limit !== undefined) limitSet(limit);
  if (changes.warn) warnBy(warnOfCollected);
  changeSettings(changes);
  if (limit !== undefined || reuseBytes !== undefined) releaseKept();
}

const known = ['limitBytes', 'reuseBytes', 'guard', 'profile', 'track', 'warn'] as const;

function settingsOf(
  profile: Configuration['profile'],
  track: Configuration['track'],
  warn: Configuration['warn'],
): Partial<Settings> {
  if (track !== undefined && typeof track !== 'boolean') throw typeError(`track must be a boolean, got ${show(track)}`);
  if (warn !== undefined && warn !== false && warn !== 'collected') {
    const message = `warn must be 'collected' or false, got ${show(warn)}`;
    throw typeof warn === 'string' ? rangeError(message) : typeError(message);
  }
  return {
    ...(profile === undefined ? {} : { sampleBytes: sampleBytesOf(profile) }),
    ...(track === undefined ? {} : { track }),
    ...(warn === undefined ? {} : { warn: warn === 'collected' }),
  };
}

function sampleBytesOf(profile: NonNullable<Configuration['profile']>): number {
  if (profile === false) return 0;
  if (typeof profile !== 'object' || profile === null) {
    throw typeError(`profile must be { sampleBytes } or false, got ${show(profile)}`);
  }
  const { sampleBytes } = readOptions('profile', profile, ['sampleBytes']);
  return checkInteger('sampleBytes', sampleBytes, 1, 2 ** 40);
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
