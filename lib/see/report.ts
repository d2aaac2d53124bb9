import { performance } from 'node:perf_hooks';
import { inspect } from 'node:util';
import { checkIndex } from '../core/check.ts';
import { readOptions } from '../core/options.ts';
import {
  type BlockKind,
  countUnrecorded,
  currentSettings,
  liveRecorded,
  mainHolder,
  type Recorded,
  type Site,
} from '../record/record.ts';
import { type Frame, lineOf, readStack } from '../record/source.ts';

/**
 * What {@link leakReport} may be given.
 *
 * @example
 * const options: cslice.LeakReportOptions = { limit: 5 };
 * console.log(String(leakReport(options)));
 */
export interface LeakReportOptions {
  /** The most sites that are listed. Default 50. */
  limit?: number;
}

/**
 * The live blocks of one place in the program, as {@link leakReport} tells of them.
 *
 * @example
 * configure({ track: true });
 * using slice = Slice.alloc(64);
 * const site: cslice.LeakSite | undefined = leakReport().sites[0];
 * console.log(site?.blocks, site?.bytes);
 */
export interface LeakSite {
  /** How many blocks or handles. */
  readonly blocks: number;
  /** Their bytes. */
  readonly bytes: number;
  /** What they are. */
  readonly kind: BlockKind;
  /** Of handles: what their C type is called. */
  readonly name: string | undefined;
  /** The label under which they were allocated. */
  readonly label: string | undefined;
  /** How old the oldest of them is. */
  readonly oldestMs: number;
  /** How many are held by what: the first thing that holds each. */
  readonly holders: Readonly<Record<string, number>>;
  /** From the innermost frame out. */
  readonly stack: readonly Frame[];
}

/**
 * What is live, by where it was allocated. As a string it is a text for people.
 *
 * @example
 * const report: cslice.LeakReport = leakReport();
 * console.log(report.blocks, report.text);
 */
export interface LeakReport {
  /** Blocks and handles. */
  readonly blocks: number;
  /** Their bytes. */
  readonly bytes: number;
  /** The sites with the most bytes first. */
  readonly sites: readonly LeakSite[];
  /** How many sites are not listed. */
  readonly sitesLeftOut: number;
  /** All of it, for people. */
  readonly text: string;
  /** The text. */
  toString(): string;
}

interface Group {
  readonly site: Site;
  readonly name: string | undefined;
  blocks: number;
  bytes: number;
  madeAt: number;
  readonly holders: Map<string, number>;
}

function group(): Map<string, Group>[] {
  const groups = new Map<Site, Map<string, Group>>();
  for (const recorded of liveRecorded()) if (recorded.tracked) add(groups, recorded);
  return [...groups.values()];
}

function add(groups: Map<Site, Map<string, Group>>, recorded: Recorded): void {
  const { site, name, byteLength, madeAt } = recorded;
  let ofSite = groups.get(site);
  if (ofSite === undefined) {
    ofSite = new Map();
    groups.set(site, ofSite);
  }
  let all = ofSite.get(name ?? '');
  if (all === undefined) {
    all = { site, name, blocks: 0, bytes: 0, madeAt, holders: new Map() };
    ofSite.set(name ?? '', all);
  }
  all.blocks++;
  all.bytes += byteLength;
  all.madeAt = Math.min(all.madeAt, madeAt);
  const holder = mainHolder(recorded);
  all.holders.set(holder, (all.holders.get(holder) ?? 0) + 1);
}

/**
 * What is live of the blocks and handles that this thread made while `configure({ track: true })` was on, by where they were
 * made. Of a million blocks it takes about a second; the text has 50 sites at most, unless `limit` says otherwise.
 *
 * @throws {CSliceError} `ERR_CSLICE_TYPE`, `ERR_CSLICE_RANGE` for wrong options
 * @example
 * configure({ track: true });
 * using slice = Slice.alloc(64);
 * console.log(leakReport().text);
 */
export function leakReport(options: LeakReportOptions = {}): LeakReport {
  const { limit: given } = readOptions('options', options, ['limit']);
  const limit = checkIndex('limit', given, 50, 0, 2 ** 32);
  const now = performance.now();
  const groups = group().flatMap((ofSite) => [...ofSite.values()]);
  groups.sort((a, b) => b.bytes - a.bytes || b.blocks - a.blocks);
  const blocks = groups.reduce((sum, each) => sum + each.blocks, 0);
  const bytes = groups.reduce((sum, each) => sum + each.bytes, 0);
  const sites = groups.slice(0, limit).map((each) => describe(each, now));
  const sitesLeftOut = groups.length - sites.length;
  const text = write(blocks, bytes, sites, sitesLeftOut);
  const report = { blocks, bytes, sites, sitesLeftOut, text };
  Object.defineProperty(report, 'toString', { value: () => text });
  return Object.defineProperty(report, inspect.custom, { value: () => text });
}

function describe({ site, name, blocks, bytes, madeAt, holders }: Group, now: number): LeakSite {
  const { kind, label, stack } = site;
  return {
    blocks,
    bytes,
    kind,
    name,
    label,
    oldestMs: now - madeAt,
    holders: Object.fromEntries(holders),
    stack: readStack(stack),
  };
}

function write(blocks: number, bytes: number, sites: readonly LeakSite[], leftOut: number): string {
  const lines =
    blocks === 0
      ? ['cslice: nothing is live of what this thread has allocated while tracking was on.']
      : [`cslice: ${amount(blocks, bytes)} live in this thread, by where allocated:`];
  for (const site of sites) lines.push('', ...paragraph(site));
  if (leftOut > 0) lines.push('', `${many(leftOut, 'further place')} with fewer bytes.`);
  if (countUnrecorded() > 0) lines.push('', `${many(countUnrecorded(), 'block')} more could not be recorded.`);
  if (!currentSettings().track) lines.push('', 'Tracking is off: configure({ track: true }), or CSLICE_TRACK=1.');
  return lines.join('\n');
}

function paragraph({ blocks, bytes, kind, name, label, oldestMs, holders, stack }: LeakSite): string[] {
  const held = Object.entries(holders).sort(([, a], [, b]) => b - a);
  const facts = [
    kind === 'handle' ? `${many(blocks, 'handle')} ${name}` : `${amount(blocks, bytes)} (${kind})`,
    ...(label === undefined ? [] : [`label ${JSON.stringify(label)}`]),
    `held by ${held.map(([holder, count]) => (held.length === 1 ? holder : `${holder} (${count})`)).join(', ')}`,
    `${blocks === 1 ? '' : 'the oldest '}${age(oldestMs)} old`,
  ];
  return [facts.join('; '), ...(stack.length === 0 ? ['    (no frame of the program)'] : stack.map(lineOf))];
}

function amount(blocks: number, bytes: number): string {
  return `${many(bytes, 'byte')} in ${many(blocks, 'block')}`;
}

function many(count: number, what: string): string {
  return `${count.toLocaleString('en-US')} ${what}${count === 1 ? '' : 's'}`;
}

function age(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}
