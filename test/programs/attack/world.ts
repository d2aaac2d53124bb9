/**
 * What the attack has made, beside a model of what must be true of it. Every reference to a block is held, perhaps ended
 * (forgotten, so that a collection may end it at any time) or ended. User code may run in the middle of any operation
 * and do further operations here: `intrude()`.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { collect, runtime, turn } from '../../helpers/engine.ts';
import { isOverflow } from '../../helpers/overflow.ts';
import { type Random, seeded } from '../../helpers/random.ts';
import type { Native } from './native.ts';
import {
  type Arena,
  type Lease,
  type Pool,
  type Slice,
  type SliceWriter,
  type Stats,
  subject,
  viewsAreOwned,
} from './subject.ts';

/** Who gives the memory of a block back. */
export type Kind = 'alloc' | 'callback' | 'native' | 'region' | 'arena' | 'rented';

export interface Block {
  readonly id: number;
  readonly kind: Kind;
  address: bigint;
  byteLength: number;
  /** What the memory must hold, from its start; of a long block only a part. */
  bytes: Uint8Array;
  readonly references: Set<Reference>;
  /** Runs of its JavaScript destructor. */
  endings: number;
  disowned: boolean;
  /** Operations under way that may move it or end it: what it holds is known again after them. */
  busy: number;
  /** C reads it in the background. */
  frozen: number;
}

export interface Reference {
  readonly block: Block;
  state: 'held' | 'perhaps' | 'ended';
  /** How many objects of this world lead to it. */
  holders: number;
  /** Of work that is under way: its end is told a moment after it, when a destructor may have run. */
  readonly isBackground: boolean;
  /** Loans that have not settled: until then a release leaves the views alive. */
  loans: number;
  /** An operation under way takes the slice over at some moment. */
  mayBeTaken: boolean;
}

export interface Handle {
  readonly slice: Slice;
  /** A resize gives it another one, also while other operations on the slice are under way. */
  reference: Reference;
  start: number;
  length: number;
  /** Operations under way on it, as they count for its block too. */
  busy: number;
  /** The shortest that resizes under way make it; each takes effect before or after the destructors that run within. */
  shortest: number;
}

export interface View {
  readonly view: ArrayBufferView;
  readonly reference: Reference;
  readonly start: number;
  readonly length: number;
}

export interface Hold {
  readonly hold: Lease;
  /** Undefined for a pin of JavaScript memory. */
  readonly reference: Reference | undefined;
}

export interface ArenaState {
  readonly arena: Arena;
  readonly views: Reference[];
  readonly parent: ArenaState | undefined;
}

export interface PoolState {
  readonly pool: Pool;
  readonly capacity: number;
}

export interface WriterState {
  readonly writer: SliceWriter;
  readonly written: number[];
}

/** JavaScript memory whose bytes are all this one, as long as it is there. */
export interface Source {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  readonly byte: number;
  gone: boolean;
}

export type Result<T> = { readonly done: true; readonly value: T } | { readonly done: false; readonly code: string };

/** Thrown by what the attack hands to the package, to see whether it gets through. */
export class Mischief extends Error {
  override readonly name = 'Mischief';
  /** The package called what throws it, rather than read it: it passes through unchanged. */
  readonly called: boolean;

  constructor(message: string, called = false) {
    super(message);
    this.called = called;
  }
}

/** What must hold does not. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

/** The stack is full: whatever V8 was about to do says so in its own way. */
/** What was thrown while the package read a value, which is the cause of its own error. */
function originOf(error: unknown): unknown {
  let origin = error;
  while (origin instanceof subject.CSliceError && origin.code === 'ERR_CSLICE_TYPE' && origin.cause !== undefined) {
    origin = origin.cause;
  }
  return origin;
}

const mostModelled = 4096;
const deepestIntrusion = 3;
const mostOf = 40;

export function pick<T>(list: readonly T[], random: Random): T | undefined {
  return list[random(list.length)];
}

function lengthOf(view: ArrayBufferView): number {
  try {
    return view.byteLength;
  } catch {
    return 0; // of a detached DataView
  }
}

export function isLive({ references }: Block): boolean {
  for (const { state, holders } of references) if (state === 'held' && holders > 0) return true;
  return false;
}

/** As isLive(), but for work whose end may have been before we are told. */
function isHeld({ references }: Block): boolean {
  return [...references].some(({ state, holders, isBackground }) => state === 'held' && holders > 0 && !isBackground);
}

/** The C memory of these was counted when it was made; arenas and pools count by blocks of their own. */
function isCounted({ kind }: Block): boolean {
  return kind === 'alloc' || kind === 'callback' || kind === 'native';
}

export interface WorldOptions {
  readonly seed: number;
  /** Does one random thing. Given here, since the operations know the world. */
  readonly operate: (world: World, random: Random) => void;
  readonly native: Native | undefined;
  /** Operations and tricks that are left out. */
  readonly without?: ReadonlySet<string>;
  /** JavaScript may stop anywhere, so that only what is whole is checked. */
  readonly interrupted?: boolean;
}

/** Operations whose own JavaScript, which cslice calls, misbehaves. */
export const userTricks: readonly string[] = [
  'hostile options',
  'hostile list',
  'view class',
  'primitive',
  'rejecting destructor',
  'throwing destructor',
];

export class World {
  readonly random: Random;
  readonly native: Native | undefined;
  readonly interrupted: boolean;
  readonly handles: Handle[] = [];
  readonly views: View[] = [];
  readonly kept: Hold[] = [];
  readonly arenas: ArenaState[] = [];
  readonly pools: PoolState[] = [];
  readonly writers: WriterState[] = [];
  readonly sources: Source[] = [];
  readonly pending: Promise<unknown>[] = [];
  /** What the operations under way are about: whoever intrudes goes for these first. */
  readonly targets: object[] = [];
  /** A limit on memory is set, so that any allocation may fail. */
  squeezed = false;
  /** The innermost call under way is one that the model does not take for a single step. */
  isOpen = false;
  intrusions = 0;
  region: Block | undefined;
  readonly #seed: number;
  readonly #operate: WorldOptions['operate'];
  readonly #without: ReadonlySet<string>;
  readonly #before: Stats;
  readonly #trace: string[] = [];
  #blocks: Block[] = [];
  #depth = 0;
  #failure: Broken | undefined;
  #failedDestructors = 0;
  /** Failed ones of which the package hears later. */
  #rejectedDestructors = 0;
  #disowned = 0;
  /** The most blocks that arenas, pools and writers may have beside those that are counted one by one. */
  vague = 0;
  #lastId = 0;
  /** Operations under way whose result nothing but its own end lets go: one that is stopped may leave a block. */
  strong = 0;

  constructor({ seed, operate, native, without = new Set(), interrupted = false }: WorldOptions) {
    this.random = seeded(seed);
    this.native = native;
    this.interrupted = interrupted;
    this.#seed = seed;
    this.#operate = operate;
    this.#without = without;
    this.#before = subject.stats();
    if (native !== undefined) this.#makeRegion(native);
    native?.log(this.does('logger') ? (id) => this.intrude(seeded(this.#seed ^ id), 'C logs') : undefined);
  }

  does(name: string): boolean {
    return !this.#without.has(name);
  }

  get depth(): number {
    return this.#depth;
  }

  get trace(): string {
    return this.#trace.slice(-5).join('\n');
  }

  get full(): boolean {
    return this.#blocks.length > mostOf;
  }

  nextId(): number {
    return ++this.#lastId;
  }

  /** Notes what must not be; the step that is under way fails with it, whoever catches what is thrown here. */
  broken(message: string): Broken {
    const block = /block (\d+)/.exec(message)?.[1];
    const about = new RegExp(`\\b${block}\\b`);
    const early = block === undefined ? [] : this.#trace.slice(0, -40).filter((line) => about.test(line));
    this.#failure ??= new Broken([message, 'The last operations:', ...early, ...this.#trace.slice(-40)].join('\n'));
    return this.#failure;
  }

  note(what: string): void {
    this.#trace.push(`${'  '.repeat(this.#depth)}${what}`);
    if (this.#trace.length > 4000) this.#trace.shift();
  }

  /** User code has the word: it does one random thing or several, here and now. */
  intrude(random: Random = this.random, from = 'user code'): void {
    this.intrusions++;
    if (this.#depth >= deepestIntrusion || this.#failure !== undefined) return;
    this.note(`  ${from}:`);
    this.#depth++;
    try {
      for (let n = 1 + random(2); n > 0; n--) this.#operate(this, random);
    } finally {
      this.#depth--;
    }
  }

  /**
   * One call into the package. It may fail with a CSliceError only, and without cause not at all: a cause is one of the
   * `allowed` codes, a limit that is set, or that others have intruded.
   */
  call<T>(name: string, targets: readonly object[], action: () => T, allowed: readonly string[] = []): Result<T> {
    this.note(name);
    const { intrusions } = this;
    const height = this.targets.length;
    this.targets.push(...targets);
    const isTaken = targets.some((target) => (target as Partial<Handle>).reference?.mayBeTaken);
    const { isOpen } = this;
    this.isOpen = /^(resize|release|view) /.test(name);
    try {
      return { done: true, value: action() };
    } catch (error) {
      const causes = isTaken ? [...allowed, 'ERR_CSLICE_RELEASED'] : allowed;
      return { done: false, code: this.#judge(name, error, causes, this.intrusions > intrusions) };
    } finally {
      this.isOpen = isOpen;
      this.targets.length = height;
    }
  }

  #judge(name: string, error: unknown, allowed: readonly string[], intruded: boolean): string {
    const origin = originOf(error);
    if (origin instanceof Broken || (this.interrupted && isOverflow(origin))) throw origin;
    if (origin instanceof Mischief && (origin !== error || origin.called)) return 'Mischief';
    if (!(error instanceof subject.CSliceError)) {
      throw this.broken(`${name} threw ${(error as Error)?.stack ?? String(error)}, and not a CSliceError`);
    }
    const { code, message } = error;
    const hasCause =
      intruded ||
      this.interrupted || // the model may be behind
      allowed.includes(code) ||
      (this.squeezed && (code === 'ERR_CSLICE_LIMIT' || code === 'ERR_CSLICE_NOMEM'));
    if (!hasCause) throw this.broken(`${name} failed without a cause: ${code} ${message}`);
    return code;
  }

  // What is chosen.

  /** A slice that is not released: often the one that an operation is under way on. */
  handle(random: Random, fits: (handle: Handle) => boolean = (_: Handle) => true): Handle | undefined {
    const can = (handle: Handle): boolean => handle.reference.state === 'held' && fits(handle);
    if (random(2) === 0) {
      const aimed = this.targets.filter((target) => this.handles.includes(target as Handle)) as Handle[];
      const target = pick(aimed.filter(can), random);
      if (target !== undefined) return target;
    }
    return pick(this.handles.filter(can), random);
  }

  /** One of a list: often what an operation is under way on. */
  one<T extends object>(list: readonly T[], random: Random): T | undefined {
    const aimed = this.targets.filter((target) => list.includes(target as T)) as T[];
    return random(2) === 0 && aimed.length > 0 ? pick(aimed, random) : pick(list, random);
  }

  // Blocks and references.

  #makeRegion(native: Native): void {
    const id = this.nextId();
    this.region = this.#newBlock(id, 'region', BigInt(native.make(id, 4096)), 4096);
    this.refer(this.region);
    this.#blocks.push(this.region);
  }

  #newBlock(id: number, kind: Kind, address: bigint, byteLength: number): Block {
    const bytes = new Uint8Array(Math.min(byteLength, mostModelled));
    const references = new Set<Reference>();
    return { id, kind, address, byteLength, bytes, references, endings: 0, disowned: false, busy: 0, frozen: 0 };
  }

  refer(block: Block, isBackground: boolean = false): Reference {
    const reference: Reference = { block, state: 'held', holders: 1, isBackground, loans: 0, mayBeTaken: false };
    block.references.add(reference);
    return reference;
  }

  /** A block that the package has made: it must lie apart from every other live one. */
  addBlock(kind: Kind, address: bigint, byteLength: number, id: number = this.nextId()): Reference {
    const block = this.#newBlock(id, kind, address, byteLength);
    const reference = this.refer(block);
    this.#checkApart(block);
    this.#blocks.push(block);
    return reference;
  }

  /** Before the package knows it: a destructor may run inside the very call that adopts. */
  announceBlock(kind: Kind, address: bigint, byteLength: number, id: number): Block {
    const block = this.#newBlock(id, kind, address, byteLength);
    this.#blocks.push(block);
    return block;
  }

  forgetBlock(block: Block): void {
    this.#blocks = this.#blocks.filter((each) => each !== block);
  }

  addHandle(slice: Slice, reference: Reference, start = 0): Handle {
    const handle: Handle = { slice, reference, start, length: slice.byteLength, busy: 0, shortest: 2 ** 40 };
    this.handles.push(handle);
    return handle;
  }

  addView(view: ArrayBufferView, reference: Reference, start: number): void {
    if (this.views.length > mostOf) return;
    reference.holders++;
    this.views.push({ view, reference, start, length: view.byteLength });
  }

  /** A slice over a block of its own, filled with a new pattern. */
  own(kind: Kind, slice: Slice): Handle {
    const reference = this.addBlock(kind, slice.address, slice.byteLength);
    reference.block.busy++; // its bytes are not known yet
    const handle = this.addHandle(slice, reference);
    this.stamp(handle, 1);
    reference.block.busy--;
    return handle;
  }

  /** The slice has another block, which is its own, with these bytes and zeros after them. */
  rebind(handle: Handle, kind: Kind, bytes: Uint8Array): void {
    const { slice, busy } = handle;
    handle.reference.block.busy -= busy;
    handle.reference = this.addBlock(kind, slice.address, slice.byteLength);
    handle.start = 0;
    handle.length = slice.byteLength;
    const { block } = handle.reference;
    block.busy = busy + 1; // its bytes are not known yet
    block.bytes.set(bytes.subarray(0, block.bytes.length));
    const { shortest } = handle;
    if (block.bytes.length > shortest) {
      const rest = subject.copyBytes(block.address, block.bytes.length).subarray(shortest);
      const isOld = rest.every((byte, i) => byte === 0 || byte === block.bytes[shortest + i]);
      if (!isOld) throw this.broken('resize() shows bytes that were not there');
      block.bytes.set(rest, shortest);
    }
    const isKnown = !this.interrupted; // a write that was stopped may be in part
    if (isKnown && !this.holds(block.address, block.bytes))
      throw this.broken('resize() lost bytes, or has not zeroed new ones');
    this.stamp(handle, 1);
    block.busy--;
  }

  enter(handle: Handle): void {
    handle.busy++;
    handle.reference.block.busy++;
  }

  leave(handle: Handle): void {
    handle.busy--;
    handle.reference.block.busy--;
  }

  /** Writes a new pattern to all that the slice shows, unless there are other operations under way than the caller's. */
  stamp({ slice, reference, start, length }: Handle, ofCaller = 0): void {
    const { block } = reference;
    if (slice.released && reference.mayBeTaken) return;
    if (block.busy > ofCaller || block.frozen > 0 || reference.state !== 'held') return;
    const first = this.nextId();
    block.busy++; // an interruption here leaves it unknown
    const { bytes } = slice;
    if (bytes.length !== length)
      throw this.broken(
        `a view of ${length} bytes has ${bytes.length} (${block.kind} ${block.id} of ${block.byteLength}, ${slice.byteLength})`,
      );
    const modelled = block.bytes.subarray(start, start + length);
    for (let i = 0; i < modelled.length; i++) modelled[i] = first * 7 + i * 13;
    bytes.set(modelled);
    block.busy--;
  }

  /** A reference is given back: before the call that does it, since destructors run within. */
  giveBack(reference: Reference): void {
    if (reference.state === 'ended') return;
    const late = viewsAreOwned && reference.block.kind !== 'arena' && reference.block.kind !== 'rented';
    reference.state = late ? 'perhaps' : 'ended';
    if (!late) reference.block.references.delete(reference);
  }

  /** One object less leads to it: without any, a collection may end it. */
  forget(reference: Reference): void {
    if (--reference.holders === 0 && reference.state === 'held') reference.state = 'perhaps';
  }

  /** The views of a released slice are dead. Those of a pool's block live on, and are nobody's any more. */
  dropViews(reference: Reference, dead: 'all' | 'perhaps' = 'all'): void {
    for (let i = this.views.length - 1; i >= 0; i--) {
      const each = this.views[i] as View;
      if (each.reference !== reference || (dead === 'perhaps' && lengthOf(each.view) !== 0)) continue;
      this.views.splice(i, 1);
      if (dead === 'perhaps') this.forget(reference);
      if (reference.block.kind === 'rented' || reference.loans > 0) continue;
      if (lengthOf(each.view) !== 0) throw this.broken('a view is alive after the release of its slice');
    }
  }

  /** Of a slice that ended in another way than by a release. */
  forgetViews(reference: Reference): void {
    for (let i = this.views.length - 1; i >= 0; i--) {
      if (this.views[i]?.reference === reference) this.views.splice(i, 1);
    }
  }

  drop<T>(list: T[], item: T): void {
    const at = list.indexOf(item);
    if (at >= 0) list.splice(at, 1);
  }

  /** C gets the memory, and no destructor will run. */
  disown(block: Block): void {
    for (const reference of block.references) reference.state = 'ended';
    block.references.clear();
    block.disowned = true;
    this.#disowned++;
  }

  /** The JavaScript destructor of an announced block: counts, frees, and goes on to do random things. */
  destructorOf(block: Block): (address: bigint, byteLength: number) => unknown {
    return (address, byteLength) => {
      this.note(`  destructor of ${block.id} (${byteLength} bytes)`);
      if (++block.endings > 1) throw this.broken(`the destructor of block ${block.id} has run twice`);
      if (isHeld(block) && block.busy === 0) this.broken(`the destructor of block ${block.id} ran while it was held`);
      if (address !== block.address || byteLength !== block.byteLength) {
        this.broken(`a destructor was called with (${address}, ${byteLength})`);
      }
      if (block.disowned) this.broken('a destructor ran for a disowned block');
      this.native?.discard(address);
      const random = seeded(this.#seed ^ block.id);
      try {
        this.intrude(random, 'destructor');
      } catch (error) {
        this.#failedDestructors++;
        if (!(error instanceof Mischief)) this.broken(`in a destructor: ${(error as Error)?.stack ?? String(error)}`);
        throw error;
      }
      return this.#endDestructor(random);
    };
  }

  #endDestructor(random: Random): unknown {
    const trick = random(20);
    if (trick === 0 && this.does('rejecting destructor')) {
      this.#rejectedDestructors++;
      return Promise.reject(new Mischief('later'));
    }
    if (trick > 2 || !this.does('throwing destructor')) return undefined;
    this.#failedDestructors++;
    if (trick === 1) throw new Mischief('from a destructor');
    throw Object.assign(Object.create(null), { stack: Symbol('no text') });
  }

  // Checks.

  #checkApart(block: Block): void {
    if (block.byteLength === 0 || block.kind === 'region') return;
    const end = block.address + BigInt(block.byteLength);
    for (const other of this.#blocks) {
      if (other === block || other.busy > 0 || other.byteLength === 0) continue;
      if (this.interrupted ? !isHeld(other) : !isLive(other)) continue; // no one tells of work that was stopped
      const apart = end <= other.address || other.address + BigInt(other.byteLength) <= block.address;
      if (apart) continue;
      const ranges = [block, other].map((b) => `${b.kind} ${b.id} at ${b.address} of ${b.byteLength}`);
      throw this.broken(`two live blocks overlap: ${ranges.join(' and ')}`);
    }
  }

  holds(address: bigint, bytes: Uint8Array): boolean {
    if (bytes.byteLength === 0) return true;
    if (this.native !== undefined) return this.native.holds(address, bytes);
    return Buffer.compare(subject.copyBytes(address, bytes.byteLength), bytes) === 0;
  }

  /** One step: something random, and then everything is looked at. */
  async step(): Promise<void> {
    this.#operate(this, this.random);
    this.check();
    if (this.random(24) === 0) await turn();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** For interruptions: what is checked comes after. */
  stepUnchecked(): void {
    this.#operate(this, this.random);
    if (this.#failure !== undefined) throw this.#failure;
  }

  check(): void {
    for (const handle of this.handles) this.#checkHandle(handle);
    for (const view of this.views) this.#checkView(view);
    for (const block of this.#blocks) this.#checkBlock(block);
    this.#checkCounts();
    this.#blocks = this.#blocks.filter(({ references }) => references.size > 0);
    for (let i = this.handles.length - 1; i >= 0; i--) {
      if (this.handles[i]?.reference.state !== 'held' && this.random(4) === 0) this.handles.splice(i, 1);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #checkHandle({ slice, reference, start, length }: Handle): void {
    const held = reference.state === 'held';
    if (slice.released === held) throw this.broken(`released is ${slice.released} of a ${reference.state} slice`);
    if (!held) return;
    if (slice.byteLength !== length) throw this.broken(`byteLength is ${slice.byteLength}, not ${length}`);
    if (slice.address !== reference.block.address + BigInt(start)) throw this.broken('a slice has another address');
  }

  #checkView({ view, reference, start, length }: View): void {
    const now = lengthOf(view);
    if (reference.state === 'ended' || (reference.state === 'perhaps' && reference.holders > 0)) {
      if (now !== 0 && reference.block.kind !== 'rented') throw this.broken('a view is alive after its release');
      return;
    }
    if (now !== length) throw this.broken(`a view of ${length} bytes has ${now}`);
    const seen = new Uint8Array(view.buffer, view.byteOffset, now).subarray(0, 256);
    if (!this.holds(reference.block.address + BigInt(start), seen)) throw this.broken('a view shows other memory');
  }

  #checkBlock(block: Block): void {
    if (isLive(block)) {
      if (this.#endingsOf(block) > 0) throw this.broken(`the destructor of live block ${block.id} has run`);
      if (this.holds(block.address, block.bytes)) return;
      throw this.broken(`${block.kind} block ${block.id} of ${block.byteLength} bytes holds other bytes`);
    }
    const endings = this.#endingsOf(block);
    if (endings > 1) throw this.broken(`the destructor of block ${block.id} has run ${endings} times`);
    const owed = block.kind === 'callback' || block.kind === 'native' ? 1 : 0;
    if (block.references.size === 0 && !block.disowned && endings !== owed) {
      throw this.broken(`the destructor of the ended ${block.kind} block ${block.id} has run ${endings} times`);
    }
  }

  #endingsOf({ kind, id, endings }: Block): number {
    return kind === 'native' && this.native !== undefined ? this.native.ended(id) : endings;
  }

  #checkCounts(): void {
    const now = subject.stats();
    const counted = this.#blocks.filter(isCounted);
    const least = counted.filter(isLive).length;
    const most = counted.filter(({ references }) => references.size > 0).length + this.vague;
    const live = now.liveBlocks - this.#before.liveBlocks;
    if (live < least || live > most) throw this.broken(`stats() says ${live} live blocks, not ${least} to ${most}`);
    if (now.disownedBlocks - this.#before.disownedBlocks !== this.#disowned)
      throw this.broken('disownedBlocks is wrong');
    const failed = now.failedDestructors - this.#before.failedDestructors - this.#failedDestructors;
    if (failed < 0 || failed > this.#rejectedDestructors) {
      const causes = `${this.#failedDestructors} threw and ${this.#rejectedDestructors} rejected`;
      throw this.broken(`${failed + this.#failedDestructors} destructors count as failed: ${causes}`);
    }
    const { allocatedBlocks, liveBlocks } = now;
    const ended = now.releasedByScope + now.releasedByCollection + now.releasedByThreadEnd + now.releasedByC;
    if (allocatedBlocks !== liveBlocks + ended + now.disownedBlocks) throw this.broken('the sum of stats() is wrong');
  }

  // The end.

  #releaseAll(): void {
    for (const block of this.#blocks) {
      for (const reference of block.references) if (block !== this.region) reference.state = 'perhaps';
    }
    for (const { hold } of this.kept.splice(0)) hold.release();
    for (const { writer } of this.writers.splice(0)) writer.release();
    for (const { arena } of this.arenas.splice(0)) arena.release();
    for (const { slice } of this.handles.splice(0)) slice.release();
    for (const { pool } of this.pools.splice(0)) pool.release();
    this.views.splice(0);
    this.sources.splice(0);
  }

  /** Releases and forgets all: then nothing is live that was not before, and each destructor has run once. */
  async finish(): Promise<void> {
    for (const pending of this.pending.splice(0)) await this.#settled(pending);
    this.#depth = deepestIntrusion; // destructors are quiet from here
    this.#releaseAll();
    await this.#collected();
    if (this.#failure !== undefined) throw this.#failure;
    const owed = this.#blocks.filter(({ kind, disowned }) => !disowned && (kind === 'callback' || kind === 'native'));
    for (const block of owed) {
      if (this.#endingsOf(block) === 1 || this.interrupted) continue;
      throw this.broken(`the destructor of block ${block.id} has run ${this.#endingsOf(block)} times in the end`);
    }
    this.native?.log(undefined);
    if (this.region !== undefined) this.native?.discard(this.region.address);
  }

  /** An interruption may stop Node's own streams too, so that they never end. */
  async #settled(pending: Promise<unknown>): Promise<void> {
    if (!this.interrupted) await pending;
    else await Promise.race([pending.catch((error: unknown) => this.#judgeLater(error)), wait(500)]);
  }

  #judgeLater(error: unknown): void {
    if (!isOverflow(error)) this.#judge('a promise', error, [], true);
  }

  async #collected(): Promise<void> {
    const end = Date.now() + (runtime === 'bun' ? 20_000 : 5000);
    const left = (): number => subject.stats().liveBlocks - this.#before.liveBlocks;
    // A pin lasts until its release, and an interruption may come between pin() and whoever is to have the lease.
    const lost = (): number => (this.interrupted ? subject.stats().livePins - this.#before.livePins : 0);
    await turn();
    while (left() > this.strong + lost() || (runtime !== 'bun' && this.#isOwed())) {
      if (Date.now() > end) throw this.broken(`${left()} blocks are live after the end of all`);
      await turn();
      collect();
      await turn();
    }
    if (this.interrupted) return; // what an earlier world has left may have gone only now
    if (left() !== 0) throw this.broken(`${left()} blocks are live after the end of all`);
    const { liveBytes, failedDestructors } = subject.stats();
    if (liveBytes !== this.#before.liveBytes) throw this.broken('liveBytes is wrong after the end of all');
    const failed = failedDestructors - this.#before.failedDestructors;
    if (failed !== this.#failedDestructors + this.#rejectedDestructors) {
      throw this.broken(`in the end ${failed} destructors count as failed`);
    }
  }

  #isOwed(): boolean {
    if (this.interrupted) return false;
    const owed = this.#blocks.filter(({ kind, disowned }) => !disowned && (kind === 'callback' || kind === 'native'));
    return owed.some((block) => this.#endingsOf(block) === 0);
  }

  /**
   * After an interruption anywhere: the model may be behind by one operation, so the slices speak for themselves. Those of
   * different blocks must lie apart, and one that no operation was under way on has kept its bytes.
   */
  survey(): void {
    this.targets.length = 0;
    this.#depth = 0;
    if (this.squeezed) subject.configure({ limitBytes: 0 });
    this.squeezed = false;
    this.#mend();
    const ranges = this.handles
      .filter(({ slice, reference }) => !slice.released && slice.byteLength > 0 && reference.block.kind !== 'region')
      .map(({ slice, reference }) => ({ from: slice.address, to: slice.address + BigInt(slice.byteLength), reference }))
      .sort((a, b) => (a.from < b.from ? -1 : 1));
    let last: (typeof ranges)[number] | undefined;
    for (const range of ranges) {
      const { block } = range.reference;
      if (last !== undefined && last.to > range.from && last.reference.block !== block) {
        throw this.broken(`after an interruption, slices of ${last.reference.block.kind} and ${block.kind} overlap`);
      }
      if (last === undefined || range.to > last.to) last = range;
    }
    const s = subject.stats();
    const ended = s.releasedByScope + s.releasedByCollection + s.releasedByThreadEnd + s.releasedByC;
    if (s.allocatedBlocks !== s.liveBlocks + ended + s.disownedBlocks) throw this.broken('the sum of stats() is wrong');
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** What an operation was under way on is given up; what a slice says of itself holds for the rest. */
  #mend(): void {
    for (const { writer } of this.writers.splice(0)) writer.release();
    const live: Handle[] = [];
    for (const handle of this.handles.splice(0)) {
      const { slice, reference } = handle;
      const { block } = reference;
      if (!slice.released && reference.state === 'held' && block.busy === 0) live.push(handle);
      else {
        slice.release();
        this.giveBack(reference);
        this.forgetViews(reference);
      }
    }
    this.handles.push(...live);
    const arenas = this.arenas.flatMap(({ views }) => views);
    const reached = new Set([
      ...arenas,
      ...[...this.handles, ...this.views, ...this.kept].map(({ reference }) => reference),
    ]);
    for (const reference of reached) if (reference !== undefined) reference.holders = 0;
    for (const { reference } of [...this.handles, ...this.views, ...this.kept]) if (reference) reference.holders++;
    for (const reference of arenas) reference.holders++;
    for (const block of this.#blocks) {
      for (const reference of block.references) {
        const isLost = !reached.has(reference) && !reference.isBackground && block !== this.region;
        if (isLost && reference.state === 'held') reference.state = 'perhaps'; // made, and never put anywhere
      }
    }
    for (const block of this.#blocks) {
      if (block.busy > 0) block.bytes = new Uint8Array(0); // nobody knows them
      block.busy = 0;
    }
    this.#blocks = this.#blocks.filter(({ references }) => references.size > 0);
  }
}
