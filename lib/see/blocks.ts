import { performance } from 'node:perf_hooks';
import { checkIndex } from '../core/check.ts';
import { readOptions } from '../core/options.ts';
import { type BlockKind, type Holders, holdersAsTold, liveRecorded, type Recorded } from '../record/record.ts';
import { type Frame, readStack } from '../record/source.ts';

/**
 * What {@link liveBlocks} may be given.
 *
 * @example
 * const options: cslice.LiveBlocksOptions = { limit: 10 };
 * console.log(liveBlocks(options));
 */
export interface LiveBlocksOptions {
  /** The most that are returned. Default 10,000. */
  limit?: number;
}

/**
 * A live block, or a handle, as {@link liveBlocks} tells of it. A copy: it keeps nothing alive.
 *
 * @example
 * configure({ track: true });
 * using slice = Slice.alloc(64);
 * const [block]: cslice.LiveBlock[] = liveBlocks();
 * console.log(block?.byteLength, block?.stack[0]?.line);
 */
export interface LiveBlock {
  /** Where its bytes, or the object, are. */
  readonly address: bigint;
  /** 0 for a handle: nobody knows how much memory C has for it. */
  readonly byteLength: number;
  /** What it is. */
  readonly kind: BlockKind;
  /** Of a handle: what its C type is called. */
  readonly name: string | undefined;
  /** The label under which it was allocated. */
  readonly label: string | undefined;
  /** The time since it was allocated. */
  readonly ageMs: number;
  /** Where it was allocated, from the innermost frame out, without the frames of this library. */
  readonly stack: readonly Frame[];
  /** What holds it, with where each of these was made. */
  readonly holders: readonly Holders[];
}

/**
 * Every live block and handle of this thread that was made while `configure({ track: true })` was on, the largest first. A
 * look at a million blocks takes some seconds.
 *
 * @throws {CSliceError} `ERR_CSLICE_TYPE`, `ERR_CSLICE_RANGE` for wrong options
 * @example
 * configure({ track: true });
 * using slice = Slice.alloc(64);
 * for (const { byteLength, ageMs, holders } of liveBlocks({ limit: 3 })) console.log(byteLength, ageMs, holders);
 */
export function liveBlocks(options: LiveBlocksOptions = {}): LiveBlock[] {
  const { limit: given } = readOptions('options', options, ['limit']);
  const limit = checkIndex('limit', given, 10_000, 0, 2 ** 32);
  const now = performance.now();
  return largest(limit).map((recorded) => describe(recorded, now));
}

/** Sorts no more than twice `limit` at a time. */
function largest(limit: number): Recorded[] {
  const bySize = (a: Recorded, b: Recorded): number => b.byteLength - a.byteLength;
  let chosen: Recorded[] = [];
  let smallest = -1;
  for (const recorded of liveRecorded()) {
    if (!recorded.tracked || recorded.byteLength <= smallest) continue;
    chosen.push(recorded);
    if (chosen.length < 2 * limit + 1000) continue;
    chosen = chosen.sort(bySize).slice(0, limit);
    smallest = chosen.at(-1)?.byteLength ?? smallest;
  }
  return chosen.sort(bySize).slice(0, limit);
}

function describe(recorded: Recorded, now: number): LiveBlock {
  const { address, byteLength, site, name, madeAt } = recorded;
  return {
    address: BigInt(address),
    byteLength,
    kind: site.kind,
    name,
    label: site.label,
    ageMs: now - madeAt,
    stack: readStack(site.stack),
    holders: holdersAsTold(recorded),
  };
}
