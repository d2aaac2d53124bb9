/**
 * References to blocks of C memory. Each is held by an ArrayBuffer over the block's bytes: the runtime gives it back once
 * that buffer is detached or collected, or its thread has ended; where the bytes were moved to another buffer, with that
 * one. So nothing here has to watch for the end of anything.
 */

import { types } from 'node:util';
import { CSliceError } from '../errors.ts';
import { cells, direct, hasViews, host, type Integer, result } from '../native/host.ts';
import { longestView } from './check.ts';
import { mayBeInUse, Moment } from './in-use.ts';
import { statusError } from './status.ts';
import { tie, tiedTo } from './tie.ts';

/** The language's own getter, which no property of a buffer can hide. */
const byteLengthOf = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'byteLength')?.get as (
  this: ArrayBuffer,
) => number;

function isDetached(buffer: ArrayBuffer): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

export class Reference {
  /** What holds the reference. Where the runtime forbids ArrayBuffers over C memory, an object without bytes. */
  buffer: ArrayBuffer;
  /** The address of the block; 0: nobody counts this memory. */
  block: number;
  address: Integer;
  byteLength: number;
  /** Since when code outside of this library may have the buffer. */
  seen: Moment | undefined;
  /** The block was allocated here, and nobody else can have a reference to it. */
  sole = false;
  /** Nobody but this library can detach the buffer. */
  locked = false;
  /** Not all of the block. */
  isPart = false;
  /** Buffers with references of their own were made, which keep the block as it is. */
  buffered = false;
  /** Somebody else was given the block itself: a subslice, another thread, C. */
  divided = false;
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #cells: DataView<ArrayBuffer> | undefined;

  constructor(buffer: ArrayBuffer, block: number, address: Integer, byteLength: number) {
    this.buffer = buffer;
    this.block = block;
    this.address = address;
    this.byteLength = byteLength;
  }

  /** Whether a pool gets the block back at the end. */
  get isPooled(): boolean {
    return false;
  }

  /** False once the bytes have been moved to another buffer, which holds the reference then. */
  get isLive(): boolean {
    if (!hasViews) return true;
    const { buffer, byteLength } = this;
    return byteLength === 0 ? !isDetached(buffer) : byteLengthOf.call(buffer) === byteLength;
  }

  /** All bytes, for this library's own use. */
  get bytes(): Uint8Array<ArrayBuffer> {
    this.#bytes ??= new Uint8Array(this.#viewable());
    return this.#bytes;
  }

  /** All bytes, for this library's own use. */
  get cells(): DataView<ArrayBuffer> {
    this.#cells ??= new DataView(this.#viewable());
    return this.#cells;
  }

  /** The buffer, for code outside of this library. */
  show(): ArrayBuffer {
    if (this.seen === undefined) {
      const buffer = this.#viewable();
      tie(buffer, this);
      this.seen = new Moment();
    }
    return this.buffer;
  }

  /**
   * Changes the size of a whole block of our own memory; the views die. Returns 0, or a negative status: the bytes are as
   * they were then. What Node may be using stays where it is, and goes when it is collected.
   *
   * @param mayMove others may go on with the block as it is
   */
  tryResize(byteLength: number, mayMove: boolean): number {
    if (mayMove || !direct || (this.seen !== undefined && mayBeInUse(this.seen))) return this.#moveTo(byteLength, mayMove);
    const buffer = host.resize(this.buffer, this.block, byteLength);
    if (buffer === undefined) return result();
    // No call from here to the end: the old buffer is gone, and nothing may interrupt this.
    const failure = cells[3] as number;
    this.buffer = buffer;
    this.block = cells[0] as number;
    this.address = cells[1] as number;
    if (failure === 0) this.byteLength = byteLength;
    this.#bytes = undefined;
    this.#cells = undefined;
    this.seen = undefined;
    return failure;
  }

  #moveTo(byteLength: number, mayMove: boolean): number {
    const before = new Reference(this.buffer, this.block, this.address, this.byteLength);
    before.seen = this.seen;
    const copy = host.clone(this.block, byteLength, mayMove);
    if (copy === undefined) return result();
    this.buffer = copy;
    this.block = cells[0] as number;
    this.address = cells[1] as number;
    this.byteLength = byteLength;
    this.#bytes = undefined;
    this.#cells = undefined;
    this.seen = undefined;
    this.sole = true;
    this.buffered = false;
    before.end();
    return 0;
  }

  /** Gives the reference back. The views die; where Node may be using the memory, it goes when it is collected. */
  end(): void {
    if (this.isLive) endBuffer(this);
  }

  /** The same where nobody can be using the memory any more. */
  endNow(): void {
    this.seen = undefined;
    this.end();
  }

  #viewable(): ArrayBuffer {
    if (hasViews) return this.buffer;
    throw new CSliceError('ERR_CSLICE_NO_VIEW', 'This runtime forbids ArrayBuffers over C memory: use slice.copy()');
  }
}

/** Memory that somebody else owns. The views of it cannot be moved where the runtime lets us say so. */
export class Borrowed extends Reference {
  /** Is kept alive as long as this is reachable, or a view of it. */
  readonly owner: object | undefined;

  constructor(buffer: ArrayBuffer, address: Integer, byteLength: number, owner: object | undefined) {
    super(buffer, 0, address, byteLength);
    this.owner = owner;
    lock(this);
  }
}

/** Whoever has it can detach a locked buffer, and nobody else. */
const key = Symbol('cslice');

/** On Node 20 structuredClone, and on Node 22 transfer, abort the process at a locked buffer. */
const canLock = direct && Number(process.versions.modules) >= 137;

/** From here on the bytes cannot be moved, where the runtime has a way to say so. */
export function lock(reference: Reference): void {
  if (!canLock) return;
  host.lock(reference.buffer, key);
  reference.locked = true;
}

function endBuffer({ buffer, block, address, byteLength, seen, locked }: Reference): void {
  if (seen !== undefined) {
    // Borrowed memory waits for nobody: when it goes is not up to us.
    const waits = mayBeInUse(seen) && block !== 0;
    tie(buffer, (waits ? host.refer(block, address, byteLength) : undefined) ?? nothing);
  }
  try {
    host.end(buffer, locked ? key : undefined);
  } catch {
    process.emitWarning(
      `The ArrayBuffer of a slice of ${byteLength} bytes was locked by someone else (markAsUntransferable?), so its ` +
        'views stay. Its memory goes when it is collected.',
      { type: 'CSliceWarning', code: 'CSLICE_VIEW_LOCKED' },
    );
  }
}

/** What a buffer is tied to that has ended. */
const nothing: object = Object.freeze({});

/** What a call of the C library has made, or the error that it met. */
function made(buffer: ArrayBuffer | undefined, byteLength: number, what: string): Reference {
  if (buffer === undefined) throw statusError(result(), what);
  return new Reference(buffer, result(), (cells[1] as number), byteLength);
}

export function adoptNative(
  address: Integer,
  byteLength: number,
  fn: Integer,
  signature: number,
  context: Integer,
  anywhere: boolean,
): Reference {
  const buffer = host.adopt(address, byteLength, fn, signature, context, anywhere);
  return made(buffer, byteLength, `adopting ${byteLength} bytes`);
}

export function adoptCallback(address: Integer, byteLength: number, number: number): Reference {
  return made(host.adoptCallback(address, byteLength, number), byteLength, `adopting ${byteLength} bytes`);
}

/** Takes over a reference of C's. */
export function take(block: Integer): Reference {
  const buffer = host.take(block, longestView);
  if (buffer === undefined) throw statusError(result(), 'taking a block');
  return new Reference(buffer, result(), (cells[1] as number), byteLengthOf.call(buffer));
}

export function borrow(address: Integer, byteLength: number, owner: object | undefined): Reference {
  const buffer = host.borrow(address, byteLength);
  if (buffer === undefined) throw statusError(result(), `borrowing ${byteLength} bytes`);
  return new Borrowed(buffer, address, byteLength, owner);
}

/** A reference like those to blocks, over memory that nobody counts and that is there for good. */
export function lasting(address: Integer): Reference {
  return made(host.borrow(address, 1), 1, 'borrowing a byte');
}

/** A further reference to a range of what another one refers to, for a Buffer or a lease. */
export function refer(reference: Reference, address: Integer, byteLength: number): Reference {
  if (reference.block === 0) return borrow(address, byteLength, reference);
  reference.sole = false;
  const further = made(host.refer(reference.block, address, byteLength), byteLength, 'one more reference to a block');
  further.isPart = reference.isPart || byteLength !== reference.byteLength;
  return further;
}

/** Notes that others are given the block, who rely on its address. */
export function divide(reference: Reference): void {
  reference.sole = false;
  reference.divided = true;
}

/** The bytes as a SharedArrayBuffer with a reference of its own. */
export function share(reference: Reference): SharedArrayBuffer {
  divide(reference);
  const buffer = host.share(reference.block, reference.address, reference.byteLength);
  if (buffer !== undefined) return buffer;
  throw new CSliceError('ERR_CSLICE_NO_VIEW', 'This runtime has no SharedArrayBuffers over C memory');
}

/** A reference to the memory of any SharedArrayBuffer, which lives as long as that needs. */
export function attach(buffer: SharedArrayBuffer, address: Integer, byteLength: number): Reference {
  if (!direct) return borrow(address, byteLength, buffer);
  return made(host.attach(buffer, address, byteLength), byteLength, 'attaching a SharedArrayBuffer');
}

/** Hands the block to C. Returns the number of a JavaScript destructor that will not run, or 0. */
export function disown({ buffer, block }: Reference): number {
  host.disown(buffer, block);
  if (result() < 0) throw statusError(result(), 'disowning a block that has other references');
  return result();
}

/** The reference whose bytes a buffer shows; undefined for every other buffer. */
export function referenceOf(buffer: ArrayBufferLike): Reference | undefined {
  const tied = tiedTo(buffer);
  return tied instanceof Reference && tied.buffer === buffer && tied.isLive ? tied : undefined;
}

type IsView = (buffer: ArrayBufferLike) => boolean;

const isOurView: IsView = (buffer) => referenceOf(buffer) !== undefined;

/** One of every copy of this module in this thread, on an object of Node that all realms share. */
const copies: IsView[] = joinCopies();

function joinCopies(): IsView[] {
  const shared = types as { [list: symbol]: IsView[] };
  const list = Symbol.for('cslice.copies');
  shared[list] ??= [];
  shared[list].push(isOurView);
  return shared[list];
}

/** Whether another copy of this module made a live view: its slice, which only that copy can hold, may end any time. */
export function isForeignView(buffer: ArrayBufferLike): boolean {
  return copies.some((isView) => isView !== isOurView && isView(buffer));
}
