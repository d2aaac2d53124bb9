/** The programs of test/programs/memory with the bars that they must stay under, for the tests and for `npm run prove js`. */
import { measure } from './measure.ts';

export interface Figure {
  readonly title: string;
  /** In MiB. */
  readonly peak: number;
  readonly bar: number;
  /** What else is wrong, if anything. */
  readonly wrong: string | undefined;
}

interface Dropped {
  readonly peakMebibytes: number;
  readonly releasedInJob: number;
  readonly liveBlocks: number;
}

interface Flood {
  readonly title: string;
  readonly bar: number;
  readonly kind: 'view' | 'unviewed' | 'tiny';
  readonly count: number;
  readonly byteLength: number;
}

/** One MB is a little less than a MiB: 350 MB are 333 MiB, and 300 MB are 286. */
export const floods: readonly Flood[] = [
  {
    title: 'a job that never yields drops 4,000 slices of 1 MiB, each written through a view',
    bar: 333,
    kind: 'view',
    count: 4000,
    byteLength: 1 << 20,
  },
  {
    title: 'a job that never yields drops 4,000 slices of 1 MiB, each filled by C and never viewed',
    bar: 333,
    kind: 'unviewed',
    count: 4000,
    byteLength: 1 << 20,
  },
  {
    title: 'a job that never yields drops 3,000,000 slices of 64 bytes',
    bar: 286,
    kind: 'tiny',
    count: 3_000_000,
    byteLength: 64,
  },
];

export function measureFlood({ title, bar, kind, count, byteLength }: Flood): Figure {
  const { peakMebibytes, releasedInJob, liveBlocks } = measure<Dropped>('drop.mjs', kind, count, byteLength);
  const wrong =
    liveBlocks !== 0
      ? `${liveBlocks} blocks were never given back`
      : releasedInJob === 0
        ? 'nothing was given back before the job ended'
        : undefined;
  return { title, peak: peakMebibytes, bar, wrong };
}

/**
 * The bar is 1.5 times what Node's own buffers need. Peaks vary by a quarter from run to run, and what else the machine
 * does, which delays V8's helper threads, can only raise them: so the least of five.
 */
export function measureService(): Figure {
  const peaks = { buffer: [] as number[], slice: [] as number[] };
  for (let run = 0; run < 5; run++) {
    for (const kind of ['buffer', 'slice'] as const) {
      peaks[kind].push(measure<Dropped>('service.mjs', kind, 20_000, 64 << 10).peakMebibytes);
    }
  }
  const [own, peak] = [Math.min(...peaks.buffer), Math.min(...peaks.slice)];
  const title = `a service drops 20,000 slices of 64 KiB and yields every 100 (with Buffer.alloc: ${own} MiB)`;
  return { title, peak, bar: Math.floor(1.5 * own), wrong: undefined };
}

export interface Limited {
  readonly peakMebibytesLive: number;
  readonly code: string;
  readonly mostHeld: number;
  readonly again: boolean;
  readonly fraction: boolean;
}

export function measureLimit(limitMebibytes: number, count: number): Limited {
  return measure<Limited>('limit.mjs', limitMebibytes, count);
}

export interface Recycled {
  readonly count: number;
  readonly early: number;
  readonly wrong: number;
  readonly broken: number;
  readonly liveBlocks: number;
  readonly disowned: number;
  readonly disownedBlocks: number;
  readonly recycled: number;
}

export function measureRecycled(count: number): Recycled {
  return measure<Recycled>('recycled.mjs', count);
}
