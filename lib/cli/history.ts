/** What the watched processes used, over time. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What preload.mjs writes. */
interface Report {
  readonly pid: number;
  readonly time: number;
  readonly heapUsed: number;
  readonly rss: number;
  /** null: the process has not loaded cslice. */
  readonly native: {
    readonly liveBytes: number;
    readonly liveBlocks: number;
    readonly retainedBytes: number;
    readonly sites: readonly { readonly place: string; readonly kind: string; readonly bytes: number }[];
  } | null;
}

/** All processes together at one moment. */
export interface Sample {
  readonly time: number;
  readonly processes: number;
  readonly liveBytes: number;
  readonly liveBlocks: number;
  readonly retainedBytes: number;
  readonly heapUsed: number;
  readonly rss: number;
}

/** A place in the program, with its live bytes at each sample. */
export interface SiteHistory {
  readonly place: string;
  readonly bytes: number[];
}

/** Beyond it every second sample is dropped: the page stays small however long the program runs. */
const mostSamples = 4000;
const mostSites = 200;

export class History {
  readonly samples: Sample[] = [];
  /** Of the processes that have reported, whether they have loaded cslice. */
  usesCslice = false;
  readonly #sites = new Map<string, SiteHistory>();
  readonly #directory: string;
  readonly #ended = new Set<number>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Looks at the last report of each process. Those that have ended count once, with what they said last. */
  look(): void {
    const reports = this.#readReports().filter(({ pid }) => !this.#ended.has(pid));
    for (const { pid } of reports) if (!isRunning(pid)) this.#ended.add(pid);
    if (reports.length === 0) return;
    const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0);
    this.samples.push({
      time: Date.now(),
      processes: reports.length,
      liveBytes: sum(({ native }) => native?.liveBytes ?? 0),
      liveBlocks: sum(({ native }) => native?.liveBlocks ?? 0),
      retainedBytes: sum(({ native }) => native?.retainedBytes ?? 0),
      heapUsed: sum(({ heapUsed }) => heapUsed),
      rss: sum(({ rss }) => rss),
    });
    this.usesCslice ||= reports.some(({ native }) => native !== null);
    this.#addSites(reports);
    if (this.samples.length > mostSamples) this.#thin();
  }

  #readReports(): Report[] {
    return readdirSync(this.#directory)
      .filter((name) => name.endsWith('.json'))
      .flatMap((name) => {
        try {
          return [JSON.parse(readFileSync(join(this.#directory, name), 'utf8')) as Report];
        } catch {
          return []; // it ended in the midst of its report
        }
      });
  }

  #addSites(reports: readonly Report[]): void {
    const last = this.samples.length - 1;
    for (const { native } of reports) {
      for (const { place, bytes } of native?.sites ?? []) {
        let site = this.#sites.get(place);
        if (site === undefined) {
          if (this.#sites.size >= mostSites) continue;
          site = { place, bytes: new Array(last).fill(0) };
          this.#sites.set(place, site);
        }
        site.bytes[last] = (site.bytes[last] ?? 0) + Math.round(bytes);
      }
    }
    for (const { bytes } of this.#sites.values()) while (bytes.length < this.samples.length) bytes.push(0);
  }

  #thin(): void {
    const isKept = (_: unknown, i: number) => i % 2 === 1; // with the newest
    const keep = (list: unknown[]) => list.splice(0, Infinity, ...list.filter(isKept));
    keep(this.samples);
    for (const { bytes } of this.#sites.values()) keep(bytes);
  }

  /** The sites that have grown most in the last `count` samples, and by how many bytes. */
  growing(count: number = this.samples.length): { place: string; bytes: number; growth: number }[] {
    const from = Math.max(0, this.samples.length - count);
    return [...this.#sites.values()]
      .map(({ place, bytes }) => ({
        place,
        bytes: bytes.at(-1) ?? 0,
        growth: (bytes.at(-1) ?? 0) - (bytes[from] ?? 0),
      }))
      .sort((a, b) => b.growth - a.growth || b.bytes - a.bytes);
  }

  /** The sites with the most bytes at any time. */
  largest(count: number): SiteHistory[] {
    const peak = ({ bytes }: SiteHistory) => bytes.reduce((most, each) => Math.max(most, each), 0);
    return [...this.#sites.values()].sort((a, b) => peak(b) - peak(a)).slice(0, count);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `1.5 MiB`. */
export function showBytes(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.abs(bytes) || 1) / 10)));
  const number = bytes / 2 ** (10 * power);
  return `${power === 0 ? Math.round(number) : number.toFixed(1)} ${units[power]}`;
}

/** `1 block`, `2 blocks`. */
export function showBlocks(count: number): string {
  return `${count} ${count === 1 ? 'block' : 'blocks'}`;
}
