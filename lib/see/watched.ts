/** What `cslice watch` asks this thread about, by the program that it loads beforehand: see lib/cli/preload.mjs. */
import { stats } from '../diagnostics.ts';
import { liveRecorded, type Site } from '../record/record.ts';
import { readStack, showFrame } from '../record/source.ts';

/** The live bytes of one place in the program: an estimate, where a sample is recorded. */
interface WatchedSite {
  readonly place: string;
  readonly kind: string;
  bytes: number;
  blocks: number;
}

const mostSites = 40;

function liveSites(): WatchedSite[] {
  const sites = new Map<Site, WatchedSite>();
  for (const { site, byteLength, weight } of liveRecorded()) {
    if (weight === 0) continue;
    const known = sites.get(site) ?? { place: placeOf(site), kind: site.kind, bytes: 0, blocks: 0 };
    known.bytes += byteLength * weight;
    known.blocks += weight;
    sites.set(site, known);
  }
  return [...sites.values()].sort((a, b) => b.bytes - a.bytes).slice(0, mostSites);
}

function placeOf({ stack, label }: Site): string {
  const frame = readStack(stack)[0];
  const place = frame === undefined ? '(no frame of the program)' : showFrame(frame);
  return label === undefined ? place : `${place} [${label}]`;
}

function watched(): object {
  const { liveBytes, liveBlocks, retainedBytes } = stats();
  return { liveBytes, liveBlocks, retainedBytes, sites: liveSites() };
}

if (process.env.CSLICE_WATCH) {
  Object.defineProperty(globalThis, Symbol.for('cslice.watched'), { value: watched, configurable: true });
}
