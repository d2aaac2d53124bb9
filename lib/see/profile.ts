import { createRequire } from 'node:module';
import { readOptions } from '../core/options.ts';
import { CSliceError, rangeError, show, typeError } from '../errors.ts';
import {
  allSites,
  currentSettings,
  type HolderKind,
  liveRecorded,
  mainHolder,
  type Recorded,
  type Site,
} from '../record/record.ts';
import { type Frame, readStack } from '../record/source.ts';
import { type ProfileSample, writeChrome } from './chrome.ts';

const require = createRequire(import.meta.url);

/**
 * What {@link heapProfile} may be given.
 *
 * @example
 * const options: cslice.HeapProfileOptions = { format: 'pprof' };
 * console.log(heapProfile(options).length > 0);
 */
export interface HeapProfileOptions {
  /** Default `'pprof'`. */
  format?: 'pprof' | 'chrome';
}

function kindOf({ site, name }: Recorded): string {
  return name === undefined ? site.kind : `${site.kind} ${name}`;
}

/** What is live by site, kind and holder. */
function collectSamples(): ProfileSample[] {
  const live = new Map<Site, Map<string, ProfileSample>>();
  for (const recorded of liveRecorded()) {
    const { site, weight, byteLength } = recorded;
    if (weight === 0) continue;
    const holder = mainHolder(recorded);
    const kind = kindOf(recorded);
    const key = `${kind}\0${holder}`;
    const ofSite = live.get(site) ?? new Map<string, ProfileSample>();
    live.set(site, ofSite);
    const sample = ofSite.get(key) ?? newSample(site, kind, holder);
    ofSite.set(key, sample);
    sample.inuseObjects += weight;
    sample.inuseSpace += weight * byteLength;
  }
  return [...allSites()].flatMap((site) => samplesOf(site, [...(live.get(site)?.values() ?? [])]));
}

function newSample({ stack, kind, label }: Site, name: string = kind, holder?: HolderKind): ProfileSample {
  const counts = { allocObjects: 0, allocSpace: 0, inuseObjects: 0, inuseSpace: 0 };
  return { stack: readStack(stack), kind: name, holder, label, ...counts };
}

/** What has been allocated is what is live and, without a holder, what has ended. */
function samplesOf(site: Site, live: readonly ProfileSample[]): ProfileSample[] {
  const ended = newSample(site);
  ended.allocObjects = site.allocatedBlocks;
  ended.allocSpace = site.allocatedBytes;
  for (const sample of live) {
    sample.allocObjects = sample.inuseObjects;
    sample.allocSpace = sample.inuseSpace;
    ended.allocObjects -= sample.inuseObjects;
    ended.allocSpace -= sample.inuseSpace;
  }
  return ended.allocObjects > 0.5 ? [...live, ended] : [...live];
}

/** The module that writes pprof's format, which is an optional dependency. */
type Writer = typeof import('pprof-format');

function findWriter(): Writer {
  try {
    return require('pprof-format') as Writer;
  } catch (cause) {
    throw new CSliceError(
      'ERR_CSLICE_LIBRARY',
      "heapProfile() needs the package pprof-format: npm install pprof-format. Or ask for { format: 'chrome' }",
      { cause },
    );
  }
}

/**
 * The live C memory of this thread by JavaScript stack, and all that has been allocated since the profile began, as gzipped
 * pprof: for `go tool pprof`, speedscope, Pyroscope, Perfetto. Samples carry the labels `kind`, `holder` and `label`. With
 * `{ format: 'chrome' }` the text of a `.heapprofile` for Chrome's memory panel instead, which has what is live.
 *
 * Exact while `configure({ track: true })` is on; an unbiased estimate with `configure({ profile: { sampleBytes } })`; without
 * either it is empty, which is a valid profile. A worker thread has its own.
 *
 * @throws {CSliceError} `ERR_CSLICE_LIBRARY` if the optional package `pprof-format` is not installed, `ERR_CSLICE_TYPE`,
 *   `ERR_CSLICE_RANGE`
 * @example
 * configure({ profile: { sampleBytes: 524_288 } });
 * const profile = heapProfile(); // a file of it: go tool pprof native.pb.gz
 * console.log(profile.length > 0); // true
 */
export function heapProfile(options?: { format?: 'pprof' }): Buffer;
export function heapProfile(options: { format: 'chrome' }): string;
export function heapProfile(options: HeapProfileOptions): Buffer | string;
export function heapProfile(options: HeapProfileOptions = {}): Buffer | string {
  const { format = 'pprof' } = readOptions('options', options, ['format']);
  if (typeof format !== 'string') throw typeError(`format must be a string, got ${show(format)}`);
  if (format === 'chrome') return writeChrome(collectSamples());
  if (format !== 'pprof') throw rangeError(`format must be 'pprof' or 'chrome', got ${show(format)}`);
  return writePprof(findWriter(), collectSamples());
}

function writePprof(writer: Writer, samples: readonly ProfileSample[]): Buffer {
  const strings = new writer.StringTable();
  const places = new Places(writer, strings);
  const type = (name: string, unit: string) =>
    new writer.ValueType({ type: strings.dedup(name), unit: strings.dedup(unit) });
  const text = (key: string, value: string | undefined) =>
    value === undefined ? [] : [new writer.Label({ key: strings.dedup(key), str: strings.dedup(value) })];
  const sampleType = [
    type('alloc_objects', 'count'),
    type('alloc_space', 'bytes'),
    type('inuse_objects', 'count'),
    type('inuse_space', 'bytes'),
  ];
  const sample = samples.map(
    ({ stack, kind, holder, label, allocObjects, allocSpace, inuseObjects, inuseSpace }) =>
      new writer.Sample({
        locationId: places.of(stack),
        value: [allocObjects, allocSpace, inuseObjects, inuseSpace].map(Math.round),
        label: [...text('kind', kind), ...text('holder', holder), ...text('label', label)],
      }),
  );
  const profile = new writer.Profile({
    sampleType,
    sample,
    location: places.locations,
    function: places.functions,
    mapping: [
      new writer.Mapping({
        id: 1,
        filename: strings.dedup(process.argv[1] ?? process.execPath),
        hasFunctions: true,
        hasFilenames: true,
        hasLineNumbers: true,
      }),
    ],
    timeNanos: BigInt(Date.now()) * 1_000_000n,
    periodType: type('space', 'bytes'),
    period: currentSettings().track ? 1 : currentSettings().sampleBytes,
    defaultSampleType: strings.dedup('inuse_space'),
    stringTable: strings,
  });
  // On use: a program that has loaded node:zlib needs a guard of its compressors (see core/node-guards.ts).
  const { gzipSync } = require('node:zlib') as typeof import('node:zlib');
  return gzipSync(profile.encode());
}

/** A profile must have frames: blocks that no frame of the program allocated get this one. */
const noFrame: Frame = { name: '(no frame of the program)', file: '', line: 0, column: 0 };

/** The tables of functions and locations. */
class Places {
  readonly locations: InstanceType<Writer['Location']>[] = [];
  readonly functions: InstanceType<Writer['Function']>[] = [];
  readonly #writer: Writer;
  readonly #strings: InstanceType<Writer['StringTable']>;
  readonly #locationIds = new Map<string, number>();
  readonly #functionIds = new Map<string, number>();

  constructor(writer: Writer, strings: InstanceType<Writer['StringTable']>) {
    this.#writer = writer;
    this.#strings = strings;
  }

  of(stack: readonly Frame[]): number[] {
    return (stack.length === 0 ? [noFrame] : stack).map((frame) => this.#location(frame));
  }

  #location(frame: Frame): number {
    const key = `${frame.name}\0${frame.file}\0${frame.line}`;
    let id = this.#locationIds.get(key);
    if (id === undefined) {
      id = this.locations.length + 1;
      this.#locationIds.set(key, id);
      const line = new this.#writer.Line({ functionId: this.#function(frame), line: frame.line });
      this.locations.push(new this.#writer.Location({ id, mappingId: 1, line: [line] }));
    }
    return id;
  }

  #function({ name, file }: Frame): number {
    const key = `${name}\0${file}`;
    let id = this.#functionIds.get(key);
    if (id === undefined) {
      id = this.functions.length + 1;
      this.#functionIds.set(key, id);
      const at = this.#strings.dedup(name);
      this.functions.push(
        new this.#writer.Function({ id, name: at, systemName: at, filename: this.#strings.dedup(file) }),
      );
    }
    return id;
  }
}
