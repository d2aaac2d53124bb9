/**
 * What is noted of blocks and handles while somebody asks who holds the memory: with full tracking of each one, with a
 * profile of a sample, and under a label of each one too, without its stack. A block that ends, in whatever thread and by
 * whatever cause, is told by its record in C: see csrc/record.c.
 */
import { performance } from 'node:perf_hooks'; // the global is made at its first use, which a timeout may stop
import type { Integer } from '../native/host.ts';
import { recordNew, recordNext, recordOf, recordReferences } from '../native/symbols.ts';
import { allocated, isPublishing, publish, released } from './channels.ts';
import { charge, currentScope, labelOf, refusal, type Scope } from './labels.ts';
import { type Frame, readStack } from './source.ts';
import { noStack, type Stack, takeStack } from './stack.ts';

/**
 * What a block is, or how it came about: `C` for a block that C made, `map` for what `munmap` gives back, `unknown` for
 * one that is older than the first subscriber.
 *
 * @example
 * const kind: cslice.BlockKind = 'alloc';
 * console.log(liveBlocks().filter((block) => block.kind === kind).length);
 */
export type BlockKind = 'alloc' | 'adopt' | 'C' | 'arena' | 'pool' | 'map' | 'handle' | 'unknown';

/**
 * What holds a block: see `docs/observability.md`.
 *
 * @example
 * const kind: cslice.HolderKind = 'Buffer';
 * using slice = Slice.alloc(64);
 * console.log(slice.holders().some(({ holder }) => holder === kind)); // false
 */
export type HolderKind =
  | 'slice'
  | 'arena'
  | 'pool'
  | 'subslice'
  | 'view'
  | 'Buffer'
  | 'SharedArrayBuffer'
  | 'lease'
  | 'pin'
  | 'loan'
  | 'stream'
  | 'Node'
  | 'handle'
  | 'share'
  | 'C';

/** Why a block has ended, in the order of C's codes. */
export const reasons = ['scope', 'collection', 'thread end', 'C', 'disowned'] as const;
export type Reason = (typeof reasons)[number];

// ---- Settings

export interface Settings {
  /** 0: no profile. */
  sampleBytes: number;
  track: boolean;
  warn: boolean;
}

let settings: Settings = { sampleBytes: 0, track: false, warn: false };

/** Some thread-wide label has been used. */
let labelled = false;

/** Whether allocations are looked at. */
export let recording = false;

/** Whether each one is recorded, and not only a sample. */
let recordsAll = false;

export function currentSettings(): Settings {
  return settings;
}

export function changeSettings(changes: Partial<Settings>): void {
  settings = { ...settings, ...changes };
  untilSample[0] = gap();
  recordsAll = settings.track || settings.warn || labelled;
  recording = recordsAll || settings.sampleBytes > 0;
}

export function useLabels(): void {
  labelled = true;
  recordsAll = true;
  recording = true;
}

// ---- Sampling: each byte is as likely as any other to have its block sampled

/** The bytes until the next sample. In an array, since V8 allocates a number for each change of a variable. */
const untilSample = new Float64Array([Infinity]);

/** Distributed exponentially. */
function gap(): number {
  return settings.sampleBytes === 0 ? Infinity : -Math.log(1 - Math.random()) * settings.sampleBytes;
}

/** Whether a new block is not recorded, as most are where there is a profile and nothing else. Asked once for each block. */
export function isPassedOver(byteLength: number): boolean {
  const left = (untilSample[0] as number) - byteLength;
  untilSample[0] = left;
  return left > 0 && !recordsAll;
}

/** How many blocks of this size one that is recorded stands for; 0: it is not sampled. */
function weightOf(byteLength: number): number {
  const { sampleBytes, track } = settings;
  if (track) return 1;
  if (byteLength === 0 || (untilSample[0] as number) > 0) return 0;
  untilSample[0] = gap();
  return 1 / -Math.expm1(-byteLength / sampleBytes);
}

// ---- Sites

/** Allocations with one stack, kind and label. Counts are estimates where a sample is recorded. */
export class Site {
  readonly stack: Stack;
  readonly kind: BlockKind;
  readonly label: string | undefined;
  allocatedBlocks = 0;
  allocatedBytes = 0;
  live = 0;
  warned = false;

  constructor(stack: Stack, kind: BlockKind, label: string | undefined) {
    this.stack = stack;
    this.kind = kind;
    this.label = label;
  }
}

const mostSites = 20_000;
const sites = new Map<Stack, Map<string, Site>>();
let siteCount = 0;

function siteOf(stack: Stack, kind: BlockKind, label: string | undefined): Site {
  let ofStack = sites.get(stack);
  if (ofStack === undefined) {
    ofStack = new Map();
    sites.set(stack, ofStack);
  }
  const key = label === undefined ? kind : `${kind}\0${label}`;
  let site = ofStack.get(key);
  if (site === undefined) {
    if (siteCount >= mostSites) dropEndedSites();
    site = new Site(stack, kind, label);
    ofStack.set(key, site);
    siteCount++;
  }
  return site;
}

/** Labels may differ with every request: what has nothing live any more is forgotten then, with its totals. */
function dropEndedSites(): void {
  for (const [stack, ofStack] of sites) {
    for (const [key, { live: count }] of ofStack) if (count === 0 && ofStack.delete(key)) siteCount--;
    if (ofStack.size === 0) sites.delete(stack);
  }
}

export function* allSites(): Iterable<Site> {
  for (const ofStack of sites.values()) yield* ofStack.values();
}

// ---- What is recorded

/** Something that holds a block, until it has been ended or collected. Does not keep it. */
export interface HolderNote {
  readonly kind: HolderKind;
  /** The class of a view. */
  readonly type: string | undefined;
  readonly stack: Stack;
  /** It has a reference to the block in C. */
  readonly counted: boolean;
  alive: boolean;
  /** It was released: what ends the block from here on is no omission. */
  letGo: boolean;
  /** V8 names it so in heap snapshots. */
  readonly [Symbol.toStringTag]: string;
}

/** Such as `cslice Buffer: 64 bytes (alloc)`. Equal ones are one class in the comparison view of Chrome. */
function snapshotName(kind: HolderKind, { byteLength, site, name }: Recorded): string {
  return `cslice ${kind}: ${name ?? `${byteLength} bytes (${site.kind})`}`;
}

export class Recorded {
  readonly site: Site;
  /** The record in C; of a handle a negative number. */
  readonly id: number;
  address: Integer;
  byteLength: number;
  /** How many blocks this stands for. 0: only its label is of interest. */
  readonly weight: number;
  readonly tracked: boolean;
  readonly madeAt: number = performance.now();
  /** A subscriber made it: its end is not published. */
  readonly isSubscribers: boolean = isPublishing();
  readonly scope: Scope | undefined;
  /** The name of a handle's type. */
  readonly name: string | undefined;
  /** Of the slice that it was made for. */
  owner: HolderNote | undefined;
  holders: HolderNote[] = [];
  shared = false;
  /** Of a handle: it has been released. */
  letGo = false;

  constructor(
    site: Site,
    id: number,
    address: Integer,
    byteLength: number,
    weight: number,
    scope: Scope | undefined,
    name?: string,
  ) {
    this.site = site;
    this.id = id;
    this.address = address;
    this.byteLength = byteLength;
    this.weight = weight;
    this.tracked = weight === 1 && settings.track;
    this.scope = scope;
    this.name = name;
  }
}

const mostRecorded = 1 << 22;
const live = new Map<number, Recorded>();

/** Blocks that were not recorded since too many were. */
let unrecorded = 0;

export function countUnrecorded(): number {
  return unrecorded;
}

const gone = new FinalizationRegistry<HolderNote>((note) => {
  note.alive = false;
});

/** By the references that hold blocks, to see them end. */
const notes = new WeakMap<object, HolderNote>();

function newNote(kind: HolderKind, type: string | undefined, stack: Stack, counted: boolean, of: Recorded): HolderNote {
  const name = snapshotName(kind, of);
  return { kind, type, stack, counted, alive: true, letGo: false, [Symbol.toStringTag]: name };
}

function addHolder(of: Recorded, kind: HolderKind, holder: object, counted: boolean, type?: string): HolderNote {
  if (of.holders.length % 32 === 31) of.holders = of.holders.filter(({ alive }) => alive);
  const stack = of.tracked ? takeStack() : noStack;
  const note = newNote(kind, type, stack, counted, of);
  of.holders.push(note);
  gone.register(holder, note);
  return note;
}

/** What is recorded of a block that the caller holds. No call into C where nothing is. */
export function recordedOf(block: number): Recorded | undefined {
  return live.size === 0 ? undefined : live.get(recordOf(block));
}

/** A reference as it is seen here. */
export interface Held {
  readonly buffer: object;
  readonly block: number;
  readonly address: Integer;
  readonly byteLength: number;
  recorded: boolean;
}

/** The thread's mailbox, which the first record opens. Undefined: there is no memory for it. */
let openMailbox: () => Integer | undefined = () => undefined;

export function recordBy(open: () => Integer | undefined): void {
  openMailbox = open;
}

/** The refusal of a budget that has no room for so many bytes. */
export function overBudget(byteLength: number, label?: string): Error | undefined {
  if (!recording) return undefined;
  const scope = currentScope();
  return scope === undefined ? undefined : refusal(byteLength, label ?? labelOf(scope), scope);
}

/** The same for a block that gets another size, under the label that it was made under. */
export function overBudgetOf(reference: Held, byteLength: number): Error | undefined {
  const recorded = reference.recorded ? recordedOf(reference.block) : undefined;
  if (recorded === undefined || byteLength <= recorded.byteLength) return undefined;
  return refusal(byteLength - recorded.byteLength, recorded.site.label, recorded.scope);
}

/** The label of this asynchronous context. */
export function currentLabel(): string | undefined {
  return labelOf(currentScope());
}

/** Leaves out what the end of the stack stops: what is noted exists already, and has its owner. */
function unlessFull<T>(note: () => T): T | undefined {
  try {
    return note();
  } catch {
    unrecorded++;
    return undefined;
  }
}

/** Notes a new block. Never throws: what cannot be noted is left out. */
export function noteBlock(reference: Held, kind: BlockKind, given?: string): void {
  const { byteLength } = reference;
  const scope = currentScope();
  const label = given ?? labelOf(scope);
  const weight = weightOf(byteLength);
  const needsStack = weight > 0 || settings.warn;
  if (needsStack || label !== undefined || scope !== undefined || released.hasSubscribers) {
    unlessFull(() => record(reference, kind, label, scope, weight, needsStack));
  }
  if (allocated.hasSubscribers) {
    publish(allocated, { address: BigInt(reference.address), byteLength, kind, label });
  }
}

/** Notes a block that is about to be released, so that its end is published. */
export function noteLate(reference: Held): void {
  if (!reference.recorded && !isPublishing()) record(reference, 'unknown', undefined, undefined, 0, false);
}

function record(
  reference: Held,
  kind: BlockKind,
  label: string | undefined,
  scope: Scope | undefined,
  weight: number,
  needsStack: boolean,
): void {
  const id = live.size < mostRecorded ? newRecord(reference.block) : 0;
  if (id <= 0) {
    if (id === 0) unrecorded++;
    return;
  }
  reference.recorded = true;
  const { address, byteLength } = reference;
  const site = siteOf(needsStack ? takeStack() : noStack, kind, label);
  const recorded = new Recorded(site, id, address, byteLength, weight, scope);
  add(recorded);
  if (!needsStack) return;
  const holder: HolderKind = kind === 'arena' || kind === 'pool' ? kind : 'slice';
  const note = newNote(holder, undefined, site.stack, true, recorded);
  recorded.owner = note;
  recorded.holders.push(note);
  gone.register(reference, note);
  notes.set(reference, note);
}

function newRecord(block: number): number {
  const mailbox = openMailbox();
  return mailbox === undefined ? 0 : Number(recordNew(block, mailbox));
}

function add(recorded: Recorded): void {
  const { site, id, byteLength, weight, scope } = recorded;
  live.set(id, recorded);
  site.live++;
  site.allocatedBlocks += weight;
  site.allocatedBytes += weight * byteLength;
  charge(site.label, scope, 1, byteLength);
}

/** A further reference to the block, or a buffer over it. */
export function noteHolder(from: Held, kind: HolderKind, holder: object, further: Held | undefined): void {
  const recorded = recordedOf(from.block);
  if (recorded === undefined || recorded.weight === 0) return;
  const note = addHolder(recorded, kind, holder, true);
  if (kind === 'SharedArrayBuffer') recorded.shared = true;
  if (further === undefined) return;
  further.recorded = true;
  notes.set(further, note);
}

/** The references whose buffers are shown, by these. */
const shown = new WeakMap<object, Held>();

/** The name of a typed array's class, by the language's own getter; undefined for anything else. */
const nameOfClass = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
  ?.get as (this: unknown) => string | undefined;

/** A view of the reference's own buffer, which is live, or that buffer. A class of the user's may have made anything. */
export function noteView(of: Held, view: unknown): void {
  if (!ArrayBuffer.isView(view) && view !== of.buffer) return;
  const type = view === of.buffer ? 'ArrayBuffer' : (nameOfClass.call(view) ?? 'DataView');
  if (notes.get(of)?.kind === 'Buffer') return; // it shows itself
  if (view === of.buffer) shown.set(of.buffer, of);
  const recorded = recordedOf(of.block);
  if (recorded !== undefined && recorded.weight > 0) addHolder(recorded, 'view', view as object, false, type);
}

/** A pin of a buffer that shows a block. It holds the store under the buffer, which has the block's reference. */
export function notePin(buffer: object, pin: object): void {
  const reference = shown.get(buffer);
  const recorded = reference?.buffer === buffer ? recordedOf(reference.block) : undefined;
  if (recorded !== undefined) notes.set(pin, addHolder(recorded, 'pin', pin, false));
}

/** The label of a block; undefined: it has none that is known. */
export function labelOfBlock(reference: Held): string | undefined {
  return reference.recorded ? recordedOf(reference.block)?.site.label : undefined;
}

/** The reference is over, and so is what holds a block by it. */
export function noteOver(reference: object): HolderNote | undefined {
  const note = notes.get(reference);
  if (note === undefined) return undefined;
  note.alive = false;
  note.letGo = true;
  notes.delete(reference);
  return note;
}

/** The same for one that still has its bytes. `waits`: the memory waits until Node cannot be using it. */
export function noteEnd(reference: Held, waits: boolean): void {
  const note = noteOver(reference);
  const recorded = recordedOf(reference.block);
  if (recorded === undefined || recorded.weight === 0) return;
  if (note === recorded.owner) {
    for (const each of recorded.holders) if (each.kind === 'view') each.alive = false;
  }
  if (waits) addHolder(recorded, 'Node', reference.buffer, true);
}

/** The slice has a new block with the bytes of the one before. */
export function noteMove(reference: Held, before: Held): void {
  const recorded = recordedOf(before.block);
  noteOver(reference);
  reference.recorded = false;
  if (recorded === undefined) return;
  for (const each of recorded.holders) if (each.kind === 'view') each.alive = false;
  noteBlock(reference, recorded.site.kind, recorded.site.label);
}

/** The block has another size and, maybe, another address. */
export function noteResize(reference: Held, before: number): void {
  const recorded = recordedOf(reference.block);
  if (recorded === undefined) return;
  const gained = reference.byteLength - before;
  recorded.address = reference.address;
  recorded.byteLength = reference.byteLength;
  recorded.site.allocatedBytes += recorded.weight * Math.max(0, gained);
  charge(recorded.site.label, recorded.scope, 0, gained);
}

function remove(recorded: Recorded): void {
  const { id, site, scope, byteLength } = recorded;
  live.delete(id);
  site.live--;
  charge(site.label, scope, -1, -byteLength);
}

/** What is told of a block that was collected and never released. */
let warnOf: (site: Site, byteLength: number, name: string | undefined) => void = () => {};

export function warnBy(warn: typeof warnOf): void {
  warnOf = warn;
}

function end(recorded: Recorded, reason: Reason): void {
  remove(recorded);
  const { site, address, byteLength, madeAt } = recorded;
  if (released.hasSubscribers && recorded.id > 0 && !recorded.isSubscribers) {
    publish(released, {
      address: BigInt(address),
      byteLength,
      kind: site.kind,
      label: site.label,
      reason,
      ageMs: performance.now() - madeAt,
    });
  }
  if (settings.warn && reason === 'collection' && !(recorded.letGo || recorded.owner?.letGo) && !site.warned) {
    site.warned = true;
    warnOf(site, byteLength, recorded.name);
  }
}

/** Takes in the ends that C has told. */
export function takeEnds(mailbox: Integer): void {
  for (let told = Number(recordNext(mailbox)); told !== 0; told = Number(recordNext(mailbox))) {
    const reason = told % 8;
    const recorded = live.get((told - reason) / 8);
    if (recorded !== undefined) end(recorded, reasons[reason] ?? 'C');
  }
}

/** The same at any time. */
export function takeAllEnds(): void {
  const mailbox = live.size > 0 ? openMailbox() : undefined;
  if (mailbox !== undefined) takeEnds(mailbox);
}

/** Everything recorded that is live now. */
export function liveRecorded(): Iterable<Recorded> {
  takeAllEnds();
  return live.values();
}

// ---- Handles

let lastHandle = 0;

/** What an object of C stands for in a sample, since nobody knows how much memory it has. */
const handleWeight = 1024;

export function noteHandle(name: string, address: Integer): Recorded | undefined {
  if (isPassedOver(handleWeight)) return undefined;
  const scope = currentScope();
  const label = labelOf(scope);
  const weight = weightOf(handleWeight);
  const needsStack = weight > 0 || settings.warn;
  if ((!needsStack && label === undefined) || live.size >= mostRecorded) return undefined;
  return unlessFull(() => {
    const site = siteOf(needsStack ? takeStack() : noStack, 'handle', label);
    const recorded = new Recorded(site, --lastHandle, address, 0, weight, scope, name);
    if (needsStack) recorded.holders.push(newNote('handle', undefined, site.stack, false, recorded));
    add(recorded);
    return recorded;
  });
}

/** The handle has been released or collected. What keeps the object may keep it longer. */
export function noteHandleClosed(recorded: Recorded, letGo: boolean): void {
  recorded.letGo = letGo;
  for (const note of recorded.holders) note.alive = false;
}

export function noteHandleEnd(recorded: Recorded, reason: Reason): void {
  end(recorded, reason);
}

// ---- Who holds it

export interface HolderList {
  readonly notes: readonly HolderNote[];
  /** References that nobody here has: of C, or of other threads. */
  readonly others: number;
}

/** What holds a recorded block now. */
export function holdersOf(recorded: Recorded): HolderList {
  const known = recorded.holders.filter(({ alive }) => alive);
  if (recorded.id < 0) return { notes: known, others: 0 };
  const others = known.filter(({ counted }) => counted).length;
  const ownBuffer = known.some(({ counted }) => !counted) && !recorded.owner?.alive ? 1 : 0;
  return { notes: known, others: Math.max(0, Number(recordReferences(recorded.id)) - others - ownBuffer) };
}

/**
 * Something that holds a block.
 *
 * @example
 * using slice = Slice.alloc(64);
 * const [first]: cslice.Holders[] = slice.holders();
 * console.log(first?.holder); // slice
 */
export interface Holders {
  /** `share`: another thread, by a SharedArrayBuffer. `C`: C code, or what nobody here knows of. */
  readonly holder: HolderKind;
  /** How many of them, where they cannot be told apart; else 1. */
  readonly count: number;
  /** The class of a view. */
  readonly type: string | undefined;
  /** Where it was made. Empty without `configure({ track: true })`. */
  readonly stack: readonly Frame[];
}

export function holdersAsTold(recorded: Recorded): Holders[] {
  const { notes: known, others } = holdersOf(recorded);
  const told = known.map(({ kind, type, stack }) => ({ holder: kind, count: 1, type, stack: readStack(stack) }));
  return others === 0 ? told : [...told, unknownHolders(recorded.shared, others)];
}

export function unknownHolders(shared: boolean, count: number): Holders {
  return { holder: shared ? 'share' : 'C', count, type: undefined, stack: [] };
}

/** The one that a profile names. */
export function mainHolder(recorded: Recorded): HolderKind {
  const alive = recorded.holders.find((note) => note.alive);
  return alive?.kind ?? (recorded.shared ? 'share' : 'C');
}
