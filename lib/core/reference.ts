/**
 * What an ArrayBuffer over a block's bytes holds: one reference to the block. The runtime gives it back once that buffer
 * is detached or collected, or its thread has ended; where the bytes were moved to another buffer, with that one. So
 * nothing here has to watch for the end of anything. `block.ts` makes them.
 */

import * as workerThreads from 'node:worker_threads';
import { CSliceError, show } from '../errors.ts';
import { cells, direct, hasViews, host, type Integer, isBun, result } from '../native/host.ts';
import { noteEnd, noteMove, noteOver, noteResize, noteView } from '../record/record.ts';
import { byteLengthOf } from './check.ts';
import { noteEnded, noteMade } from './collect.ts';
import { noteGuardedEnd, warnOfUse } from './guard.ts';
import { currentScope, mayBeInUse, underWay } from './in-use.ts';
import { tie } from './tie.ts';

/** Absent in Node 20. */
const { isMarkedAsUntransferable } = workerThreads as { isMarkedAsUntransferable?: (buffer: object) => boolean };

/** From Node 24 on Node-API aborts at a detach of a marked buffer, and Node marks all that Node-API makes over C memory. */
const abortsAtMarked = !direct && !isBun && Number.parseInt(process.versions.node, 10) >= 24;

const [Bytes, Cells] = [Uint8Array, DataView]; // a program may put classes of its own in their place later

/** Read here, since a buffer's own property, or a later one of its class, may be the program's. Absent in Node 20. */
const { transfer } = ArrayBuffer.prototype as { transfer?: () => ArrayBuffer };

function isDetached(buffer: ArrayBuffer): boolean {
  try {
    new Bytes(buffer);
    return false;
  } catch {
    return true;
  }
}

/**
 * A view by a class that may be the user's, which may end the buffer before the view is made.
 *
 * @throws {CSliceError} `ERR_CSLICE_RELEASED` then, and whatever else the class throws
 */
export function viewOf<T>(
  type: new (buffer: ArrayBuffer, byteOffset: number, length: number) => T,
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
): T {
  try {
    return new type(buffer, byteOffset, length);
  } catch (cause) {
    if (!isDetached(buffer)) throw cause;
    const message = `The memory was released, resized or moved while ${show(type)} made a view of it`;
    throw new CSliceError('ERR_CSLICE_RELEASED', message, { cause });
  }
}

const unseen = -1;

const isSole = 1;
const isLocked = 2;
const isPart = 4;
const isBuffered = 8;
const isDivided = 16;
const isKeeping = 32;
const isRecorded = 64;
const isGuarded = 128;
const isTold = 256;

/** No code outside of this library can get at this class, or at an object of it. */
export class Reference {
  /** What holds the reference. Where the runtime forbids ArrayBuffers over C memory, an object without bytes. */
  buffer: ArrayBuffer;
  /** The address of the block; 0: this memory is not counted. */
  block: number;
  address: Integer;
  byteLength: number;
  /** The scope since which code outside of this library may have the buffer, and what was under way then. */
  #seenIn = unseen;
  #seenUnderWay = 0;
  /** What the other properties and methods say: few bytes, since there is one of these for each slice. */
  #flags = 0;
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #cells: DataView<ArrayBuffer> | undefined;

  constructor(buffer: ArrayBuffer, block: number, address: Integer, byteLength: number) {
    this.buffer = buffer;
    this.block = block;
    this.address = address;
    this.byteLength = byteLength;
  }

  /** Code outside of this library may have the buffer. */
  get seen(): boolean {
    return this.#seenIn !== unseen;
  }

  /** Node may be using the buffer. */
  get mayBeInUse(): boolean {
    return this.#seenIn !== unseen && mayBeInUse(this.#seenIn, this.#seenUnderWay);
  }

  /** The block was allocated here, and this is the only reference to it. */
  get sole(): boolean {
    return (this.#flags & isSole) !== 0;
  }

  set sole(sole: boolean) {
    this.#set(isSole, sole);
  }

  /** Nobody but this library can detach the buffer. */
  get locked(): boolean {
    return (this.#flags & isLocked) !== 0;
  }

  /** Not all of the block. */
  get isPart(): boolean {
    return (this.#flags & isPart) !== 0;
  }

  set isPart(part: boolean) {
    this.#set(isPart, part);
  }

  /** Buffers with references of their own were made, which keep the block as it is. */
  get buffered(): boolean {
    return (this.#flags & isBuffered) !== 0;
  }

  set buffered(buffered: boolean) {
    this.#set(isBuffered, buffered);
  }

  /** Somebody else relies on the address: a subslice, another thread, C. */
  get divided(): boolean {
    return (this.#flags & isDivided) !== 0;
  }

  /** The memory needs other objects, which go after it. */
  get keeping(): boolean {
    return (this.#flags & isKeeping) !== 0;
  }

  set keeping(keeping: boolean) {
    this.#set(isKeeping, keeping);
  }

  /** In guard mode: the block has pages of its own. */
  get guarded(): boolean {
    return (this.#flags & isGuarded) !== 0;
  }

  set guarded(guarded: boolean) {
    this.#set(isGuarded, guarded);
  }

  /** Its end is of interest to who asks what holds the memory. */
  get recorded(): boolean {
    return (this.#flags & isRecorded) !== 0;
  }

  set recorded(recorded: boolean) {
    this.#set(isRecorded, recorded);
  }

  /** The block may go to the free list: nobody else has seen it, and nobody waits for its end. */
  get isKeepable(): boolean {
    return this.#seenIn === unseen && (this.#flags & (isSole | isRecorded | isGuarded)) === isSole;
  }

  /** Notes that others are given the block, who rely on its address. */
  divide(): void {
    this.sole = false;
    this.#set(isDivided, true);
  }

  /** C was told which block it is, and may take a reference to it at any time. */
  get told(): boolean {
    return (this.#flags & isTold) !== 0;
  }

  tell(): void {
    this.divide();
    this.#set(isTold, true);
  }

  /** From here on the bytes cannot be moved, where the runtime has a way to say so. */
  lock(): void {
    if (!canLock) return;
    host.lock(this.buffer, key);
    this.#set(isLocked, true);
  }

  #set(flag: number, on: boolean): void {
    this.#flags = on ? this.#flags | flag : this.#flags & ~flag;
  }

  /** Whether the buffer leads to something that must not outlive the end of this. */
  get isTied(): boolean {
    return !direct;
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

  /** All bytes. Once it was shown, others may have changed its properties. */
  get bytes(): Uint8Array<ArrayBuffer> {
    this.#bytes ??= new Bytes(this.#viewable());
    return this.#bytes;
  }

  /** All bytes, for this library's own use. */
  get cells(): DataView<ArrayBuffer> {
    this.#cells ??= new Cells(this.#viewable());
    return this.#cells;
  }

  /** The buffer, for code outside of this library. */
  show(): ArrayBuffer {
    const buffer = this.#viewable();
    if (this.#seenIn === unseen) {
      if (this.recorded) noteView(this, buffer);
      if (!direct) tie(buffer, this); // for pins
      this.#seenUnderWay = underWay(); // first, since hooks of the program's may start operations
      this.#seenIn = currentScope();
    }
    return buffer;
  }

  /**
   * Changes the size of a whole block of our own memory; the views die. Returns 0, or a negative status: the bytes are as
   * they were then. Memory that Node may be using stays where it is, and is freed once it is collected.
   *
   * @param mayMove others may go on with the block as it is
   */
  tryResize(byteLength: number, mayMove: boolean): number {
    if (mayMove || !direct || this.mayBeInUse) return this.#moveTo(byteLength, mayMove);
    const before = this.byteLength;
    const buffer = detaching(() => host.resize(this.buffer, this.block, byteLength));
    if (buffer === undefined) return result();
    // No call from here to the end: the old buffer is gone, and nothing may interrupt this.
    const failure = cells[3] as number;
    this.buffer = buffer;
    this.block = cells[0] as number;
    this.address = cells[1] as number;
    if (failure === 0) this.byteLength = byteLength;
    this.#bytes = undefined;
    this.#cells = undefined;
    this.#seenIn = unseen;
    if (failure === 0 && this.recorded) noteResize(this, before);
    return failure;
  }

  #moveTo(byteLength: number, mayMove: boolean): number {
    const before = new Reference(this.buffer, this.block, this.address, this.byteLength);
    before.#seenIn = this.#seenIn;
    before.#seenUnderWay = this.#seenUnderWay;
    const copy = host.clone(this.block, byteLength, mayMove);
    if (copy === undefined) return result();
    this.buffer = copy;
    this.block = cells[0] as number;
    this.address = cells[1] as number;
    this.byteLength = byteLength;
    this.#bytes = undefined;
    this.#cells = undefined;
    this.#seenIn = unseen;
    this.sole = true;
    this.buffered = false;
    if (this.recorded) noteMove(this, before);
    before.end();
    return 0;
  }

  /** Gives the reference back. The views end. Memory that Node may be using is freed once it is collected. */
  end(): void {
    if (this.isLive) endBuffer(this);
    else if (this.recorded) noteOver(this);
  }

  /** The same where no operation of Node can be using the memory any more. */
  endNow(): void {
    this.#seenIn = unseen;
    this.end();
  }

  #viewable(): ArrayBuffer {
    if (hasViews) return this.buffer;
    throw new CSliceError('ERR_CSLICE_NO_VIEW', 'This runtime forbids ArrayBuffers over C memory: use slice.copy()');
  }
}

/** Memory with another owner. Its views cannot be moved, where the runtime has a way to forbid that. */
export class Borrowed extends Reference {
  /** Is kept alive as long as this is reachable, or a view of it. */
  readonly owner: object | undefined;

  constructor(buffer: ArrayBuffer, address: Integer, byteLength: number, owner: object | undefined) {
    super(buffer, 0, address, byteLength);
    this.owner = owner;
    this.lock();
  }

  override get isTied(): boolean {
    return true;
  }

  override show(): ArrayBuffer {
    const buffer = super.show();
    tie(buffer, this);
    return buffer;
  }
}

/** A locked buffer is detached with this key only. */
export const key: symbol = Symbol.for('cslice.key'); // one for all copies of this package in the process

/** On Node 20 structuredClone, and on Node 22 transfer, abort the process at a locked buffer. */
export const canLock: boolean = direct && Number(process.versions.modules) >= 137;

function endBuffer(reference: Reference): void {
  const { buffer, block, address, byteLength } = reference;
  if (reference.guarded) noteGuardedEnd(block);
  const waits = reference.mayBeInUse && block !== 0;
  if (reference.recorded) noteEnd(reference, waits);
  if (waits) {
    const keeper = host.wait(block, address, byteLength);
    if (keeper !== undefined) tie(buffer, keeper);
    noteMade(0); // the memory waits for a collection
  } else {
    if (hasViews && reference.isTied) tie(buffer, nothing); // V8 ends the process where an object without bytes gets a field
    noteEnded(byteLength);
  }
  // A pin of this thread may have locked the buffer, or its end unlocked it.
  const by = reference.locked ? key : undefined;
  const detached = detach(buffer, by) || detach(buffer, by === key ? undefined : key);
  // Last, since a warning may run code of the program's.
  if (!detached) warnOfLock(byteLength);
  if (waits) warnOfUse(byteLength);
}

/** False: the buffer was locked with another key. */
function detach(buffer: ArrayBuffer, by: symbol | undefined): boolean {
  try {
    host.end(detachable(buffer), by);
    return true;
  } catch {
    return false;
  }
}

/**
 * The buffer, or another one with its bytes, which nobody has marked. This one is detached then. V8 throws where the program
 * has locked it.
 */
export function detachable(buffer: ArrayBuffer): ArrayBuffer {
  if (!abortsAtMarked || !isMarkedAsUntransferable?.(buffer)) return buffer;
  return Reflect.apply(transfer as () => ArrayBuffer, buffer, []);
}

function warnOfLock(byteLength: number): void {
  process.emitWarning(
    `The ArrayBuffer of a slice of ${byteLength} bytes was locked by someone else (markAsUntransferable?), so its views ` +
      'stay. Its memory goes when it is collected.',
    { type: 'CSliceWarning', code: 'CSLICE_VIEW_LOCKED' },
  );
}

/** For what detaches a buffer: V8 throws if the buffer was locked by others, and nothing has happened then. */
export function detaching<T>(action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new CSliceError('ERR_CSLICE_NO_VIEW', 'The view of this slice was locked by someone else, or is pinned', {
      cause,
    });
  }
}

/** What a buffer is tied to that has ended. */
const nothing: object = Object.freeze({});
