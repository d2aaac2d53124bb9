/** One cell of the matrix: an operation, the source of its bytes, and what happens to them in the middle. */
import { pbkdf2 } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { Slice, stats } from 'cslice';
import type { Bytes, Consumer, Io, Start } from './consumer.ts';
import type { FreedMemory } from './freed.ts';
import { noise } from './noise.ts';
import type { Event, Held, Source, Use } from './sources.ts';
import { stranger } from './sources.ts';

export interface Surroundings {
  readonly directory: string;
  readonly key: string;
  readonly cert: string;
  readonly freed: FreedMemory | undefined;
  /** Errors that no caller could catch, which end a process. */
  readonly uncaught: unknown[];
  /** A collection of everything, or of what is young. */
  collect(young?: boolean): void;
}

export interface Verdict {
  /** What was wrong, or nothing. */
  readonly faults: readonly string[];
  readonly arrived: number;
  readonly error?: string;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** How long after the start each event comes, in milliseconds. Absent: at once. 0: in the next turn of the loop. */
const delays: Partial<Record<Event, number>> = {
  'released in the next turn': 0,
  'released after 1 ms': 1,
  'released after 20 ms': 20,
};

/** Without progress for so long, an operation whose bytes may be missing has ended, and another has failed. */
const patience = { short: 150, pool: 1000, long: 5000 };

const random = noise(16 << 20, 0x9e3779b9);
const strange = new Uint8Array(9 << 20).fill(stranger);

/** Bytes that stand in no other cell of a process. */
export function patternOf(size: number, seed: number): Bytes {
  const start = ((seed * 2654435761) >>> 0) % (random.byteLength - size);
  return random.slice(start, start + size);
}

function join(parts: readonly Uint8Array[]): Bytes {
  return Uint8Array.from(Buffer.concat(parts));
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** What an operation has done, as far as it is known. */
class Watch {
  readonly parts: Uint8Array[] = [];
  readonly #closes: (() => unknown)[] = [];
  error: unknown;
  ended = false;
  progress = 0;
  readonly io: Io;
  happen: () => void = () => {};
  #finish: () => void = () => {};
  readonly finished: Promise<void> = new Promise((resolve) => {
    this.#finish = resolve;
  });

  constructor(around: Surroundings, size: number, content: Bytes, path: string) {
    this.io = {
      size,
      content,
      path,
      key: around.key,
      cert: around.cert,
      happened: new Promise((resolve) => {
        this.happen = resolve;
      }),
      took: (chunk) => {
        this.progress++;
        if (!this.ended) this.parts.push(Uint8Array.from(chunk));
      },
      over: (error) => {
        if (this.ended) return;
        this.error = error ?? undefined;
        this.ended = true;
        this.#finish();
      },
      filled: (error, count, into) => {
        let rest = count;
        for (const view of error ? [] : Array.isArray(into) ? into : [into]) {
          if (view.byteLength === 0) continue; // detached
          const part = new Uint8Array(view.buffer, view.byteOffset, Math.min(rest, view.byteLength));
          rest -= part.byteLength;
          this.io.took(part);
        }
        this.io.over(error);
      },
      defer: (close) => {
        this.#closes.unshift(close);
      },
    };
  }

  async close(): Promise<void> {
    this.#finish();
    for (const close of this.#closes) {
      try {
        await close();
      } catch {} // what has failed may refuse to be closed
    }
  }
}

/** Keeps the only thread of the pool at work for some 15 ms. */
function occupyPool(): void {
  pbkdf2('', '', 40_000, 32, 'sha256', () => {});
}

/** What holds the memory of a cell. Emptied, it leads to nothing: suspended functions keep what they once had. */
interface Box {
  held: Held | undefined;
  bytes: WeakRef<Bytes> | undefined;
}

/** What an operation is begun with: the bytes, or a source that writes to a stream by itself. */
interface Opened {
  readonly begin: Start;
  readonly writable: Writable | undefined;
}

async function open({ consumer, source }: Cell, io: Io): Promise<Opened> {
  if (!source.writes || consumer.stream === undefined) return { begin: await consumer.open(io), writable: undefined };
  const writable = await consumer.stream(io);
  writable.on('error', io.over);
  return { begin: () => {}, writable };
}

/** Makes the memory and starts the operation, and keeps no bytes. */
function start(watch: Watch, { begin, writable }: Opened, source: Source, content: Bytes, around: Surroundings): Box {
  const box: Box = { held: undefined, bytes: undefined };
  const use: Use = {
    start(bytes) {
      box.bytes = new WeakRef(bytes);
      try {
        begin(bytes);
      } catch (error) {
        watch.io.over(error);
      }
    },
    finished: watch.finished,
    over: watch.io.over,
    ...(writable !== undefined && { writable }),
  };
  box.held = source.make(content, use, around.freed);
  return box;
}

/** Slices of the same size, which get the memory if it was given back too early. */
function strangers(size: number): Slice[] {
  return Array.from({ length: 2 }, () => {
    const slice = Slice.alloc(size);
    slice.bytes.fill(stranger);
    return slice;
  });
}

/** Has the event happen, and lets go of the memory. */
function act(box: Box, { consumer, source, event }: Cell, faults: string[]): void {
  try {
    box.held?.act(event);
  } catch (error) {
    const refused = event === 'resized' && source.whole && codeOf(error) === 'ERR_CSLICE_STATE'; // others hold the block
    if (!consumer.moves && !refused) faults.push(`the event threw ${codeOf(error)}`);
  }
  box.held = undefined;
  if (event.startsWith('released') && !source.whole && !consumer.pool && (box.bytes?.deref()?.byteLength ?? 0) > 0) {
    faults.push('the view lives after the release');
  }
}

function codeOf(error: unknown): string {
  const { code, name, message } = error as { code?: string; name?: string; message?: string };
  return `${code ?? name ?? error}${code === undefined && message ? `: ${message}` : ''}`;
}

/** Collects until as many blocks are left as there were before, and says how many more there are. */
export async function collected({ collect }: Surroundings, before: number): Promise<number> {
  const end = Date.now() + 5000;
  for (let round = 0; stats().liveBlocks > before && (round < 6 || Date.now() < end); round++) {
    collect();
    await turn();
    if (round > 3) await pause(2);
  }
  return stats().liveBlocks - before;
}

function describe(byte: number | undefined): string {
  if (byte === 0xdd) return 'freed bytes';
  if (byte === stranger) return "a stranger's bytes";
  return 'foreign bytes';
}

/** The head of an HTTP chunk, which a reader takes for the body where the chunk itself is missing. */
function isFraming(bytes: Bytes): boolean {
  return /^[\r\n0-9a-f]*$/.test(Buffer.from(bytes.subarray(0, 200)).toString('latin1'));
}

interface Expected {
  readonly whole: boolean;
  readonly mayBeStrangers: boolean;
}

/** Compares what has arrived with what should have. */
function judge(consumer: Consumer, watch: Watch, pattern: Bytes, expected: Expected, faults: string[]): number {
  const { error } = watch;
  let arrived = join(watch.parts);
  const where = error === undefined ? '' : ` (${codeOf(error)})`;
  if (/EFAULT/.test(where)) faults.push(`freed memory was given to the system${where}`);
  if (consumer.decode !== undefined && arrived.byteLength > 0) {
    try {
      arrived = Uint8Array.from(consumer.decode(arrived));
    } catch (failure) {
      faults.push(`what arrived cannot be decoded: ${codeOf(failure)}`);
      return arrived.byteLength;
    }
  }
  if (consumer.result !== undefined) {
    const empty = (): boolean => same(arrived, consumer.result?.(new Uint8Array(0)) ?? arrived);
    if (same(arrived, consumer.result(pattern))) return arrived.byteLength;
    if (expected.whole) faults.push(`the result is ${arrived.byteLength === 0 ? 'missing' : 'of other bytes'}${where}`);
    else if (arrived.byteLength > 0 && !empty()) faults.push('the result is of foreign bytes');
    return arrived.byteLength;
  }
  if (consumer.random !== undefined) {
    if (expected.whole && (arrived.byteLength < pattern.byteLength || same(arrived, pattern))) {
      faults.push(`the memory was not filled${where}`);
    }
    return arrived.byteLength;
  }
  const full = consumer.expect?.(pattern) ?? pattern;
  if (!same(arrived, full.subarray(0, arrived.byteLength))) {
    const at = arrived.findIndex((byte, i) => byte !== full[i]);
    const framing = !expected.whole && consumer.framed === true && isFraming(arrived.subarray(at));
    const next = expected.mayBeStrangers && arrived[at] === stranger;
    if (!framing && !next) faults.push(`${describe(arrived[at])} from ${at} on`);
  } else if (expected.whole && arrived.byteLength < full.byteLength) {
    faults.push(`${arrived.byteLength} of ${full.byteLength} bytes arrived${where}`);
  } else if (expected.whole && error !== undefined) {
    faults.push(`an error${where}`);
  }
  return arrived.byteLength;
}

/** What is given back by the end of an operation, and no sooner. */
export interface Cell {
  readonly consumer: Consumer;
  readonly source: Source;
  readonly event: Event;
  readonly size: number;
  readonly seed: number;
}

/** What the memory holds at first, and what is to arrive there or elsewhere. */
function contents({ consumer, size, seed }: Cell): {
  readonly pattern: Bytes;
  readonly content: Bytes;
  readonly first: Bytes;
} {
  const pattern = patternOf(size, seed);
  const content = consumer.encode?.(pattern) ?? pattern;
  return { pattern, content, first: consumer.direction === 'in' ? new Uint8Array(content.byteLength) : content };
}

export async function runCell(cell: Cell, around: Surroundings): Promise<Verdict> {
  const { consumer, source, event, size, seed } = cell;
  const faults: string[] = [];
  const { pattern, content, first } = contents(cell);
  const path = `${around.directory}/cell-${seed}`;
  const watch = new Watch(around, size, content, path);
  const opened = await open(cell, watch.io);
  if (consumer.pool) occupyPool();
  const box = start(watch, opened, source, first, around);
  const delay = delays[event];
  if (delay === 0) await turn();
  else if (delay !== undefined) await pause(delay);
  act(box, cell, faults);
  const others = event === 'nothing' ? [] : strangers(content.byteLength);
  around.collect();
  const whole = (source.whole || event === 'nothing' || event === 'dropped') && !(source.writes && consumer.passes);
  await finish(watch, whole ? patience.long : consumer.pool ? patience.pool : patience.short, around, faults);
  if (consumer.file && existsSync(path)) watch.parts.push(Uint8Array.from(readFileSync(path)));
  const refused = consumer.moves === true && source.mayRefuse === true && watch.error !== undefined;
  const mayBeStrangers = !source.whole && event === 'returned and rented again';
  const arrived = judge(consumer, watch, pattern, { whole: whole && !refused, mayBeStrangers }, faults);
  for (const other of others) {
    if (!same(other.bytes, strange.subarray(0, other.byteLength))) faults.push("a stranger's memory was written");
    other.release();
  }
  others.length = 0;
  watch.parts.length = 0;
  rmSync(path, { force: true });
  const written = around.freed?.written() ?? 0;
  if (written > 0) faults.push(`${written} freed blocks were written`);
  return { faults, arrived, ...(watch.error !== undefined && { error: codeOf(watch.error) }) };
}

/** Waits for the operation, with a collection now and then. One that cannot be waited for is cut off. */
async function finish(watch: Watch, limit: number, around: Surroundings, faults: string[]): Promise<void> {
  setTimeout(watch.happen, 5);
  let seen = 0;
  let since = performance.now();
  for (let wait = 1; !watch.ended; wait = Math.min(wait * 2, 16)) {
    await pause(wait);
    around.collect(wait < 8);
    if (watch.progress !== seen) {
      seen = watch.progress;
      since = performance.now();
    }
    if (performance.now() - since < limit) continue;
    if (limit === patience.long) faults.push(`nothing arrived for ${limit} ms`);
    break;
  }
  const uncaught = around.uncaught.splice(0).map((error) => `nobody could catch ${codeOf(error)}`);
  if (limit === patience.long) faults.push(...uncaught); // of a view that was released too early: docs/node-io.md says which
  await watch.close();
  around.uncaught.length = 0; // of what has been cut off
}

/** The part of a cell that a thread runs which ends in the middle of it. Starts the operation, and returns. */
export async function startInThread(cell: Cell, around: Surroundings): Promise<void> {
  const { content, first } = contents(cell);
  const watch = new Watch(around, cell.size, content, `${around.directory}/cell-${cell.seed}`);
  start(watch, await open(cell, watch.io), cell.source, first, around);
}

/** What is left when the thread of a cell has ended. */
export async function judgeThread(cell: Cell, around: Surroundings): Promise<Verdict> {
  const faults: string[] = [];
  const path = `${around.directory}/cell-${cell.seed}`;
  const { pattern } = contents(cell);
  const arrived = cell.consumer.file && existsSync(path) ? Uint8Array.from(readFileSync(path)) : new Uint8Array(0);
  if (!same(arrived, pattern.subarray(0, arrived.byteLength))) faults.push('foreign bytes');
  rmSync(path, { force: true });
  const written = around.freed?.written() ?? 0;
  if (written > 0) faults.push(`${written} freed blocks were written`);
  return { faults, arrived: arrived.byteLength };
}
