import { types } from 'node:util';
import * as workerThreads from 'node:worker_threads';
import { addressOfBytes, attach, refer, referenceOf } from './core/block.ts';
import { bytesOf } from './core/check.ts';
import { runDestructors } from './core/destructor.ts';
import { livePins } from './core/holds.ts';
import { type Lease, type LeaseEnd, newLease } from './core/lease.ts';
import { canLock, key, type Reference } from './core/reference.ts';
import { typeError } from './errors.ts';
import { direct, host } from './native/host.ts';
import { noteOver, notePin, recording } from './record/record.ts';

/** How many pins a buffer has, and what its prototype was before the first. */
interface Pinned {
  count: number;
  readonly prototype: object | null;
  /** V8 itself refuses to move it (Node 24 and later). */
  readonly locked: boolean;
}

/** One for all copies of this module in the thread, on an object of Node that all realms share. */
const pinned: WeakMap<ArrayBufferLike, Pinned> = joinCopies();

function joinCopies(): WeakMap<ArrayBufferLike, Pinned> {
  const shared = types as { [list: symbol]: WeakMap<ArrayBufferLike, Pinned> };
  const list = Symbol.for('cslice.pinned');
  shared[list] ??= new WeakMap();
  return shared[list];
}

/** What holds the memory: a reference, which keeps it wherever its bytes move, and a lock on a buffer that is not ours. */
class PinEnd implements LeaseEnd {
  readonly #buffer: ArrayBufferLike | undefined;
  readonly #reference: Reference | undefined;

  constructor(buffer: ArrayBufferLike | undefined, reference: Reference | undefined) {
    this.#buffer = buffer;
    this.#reference = reference;
  }

  release(): void {
    if (recording) noteOver(this);
    if (this.#buffer !== undefined) letGo(this.#buffer);
    this.#reference?.end();
    runDestructors();
  }
}

/** A timeout of `vm` or the end of the stack can stop this at every call, so the pin counts only once all is done. */
function hold(source: Uint8Array): Lease {
  const { buffer, byteLength, byteOffset } = source; // asking for the buffer moves a small typed array's bytes off the heap
  const address = addressOfBytes(source);
  const ours = referenceOf(buffer);
  let lease: Lease;
  if (ours !== undefined) {
    const reference = refer(ours, byteOffset, byteLength, 'pin');
    lease = newLease(new PinEnd(undefined, reference), address, byteLength, reference.block);
  } else {
    const reference = direct ? attach(buffer, address, byteLength) : undefined;
    const end = new PinEnd(buffer, reference);
    lease = newLease(end, address, byteLength, reference?.block ?? 0);
    holdInPlace(buffer);
    if (recording) notePin(buffer, end);
  }
  livePins.add(lease);
  return lease;
}

/** The language's own getter, which no prototype of a buffer can hide; undefined before Node 20. */
const isResizable = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'resizable')?.get as
  | (() => boolean)
  | undefined;

/** Newer versions of Node abort at exit if their own mark on a foreign buffer is set again. Absent in Node 20. */
const isMarked = (workerThreads as { isMarkedAsUntransferable?: (buffer: ArrayBufferLike) => boolean })
  .isMarkedAsUntransferable;

function refuse(method: string): () => never {
  return () => {
    throw typeError(`${method}() would move memory that C uses. Release its pin first, or copy it`);
  };
}

/** What every pinned buffer inherits from: an ArrayBuffer that cannot be moved while C uses it. */
const guardedPrototype: ArrayBuffer = Object.create(ArrayBuffer.prototype, {
  transfer: { value: refuse('transfer') },
  transferToFixedLength: { value: refuse('transferToFixedLength') },
  resize: { value: refuse('resize') },
});

function holdInPlace(buffer: ArrayBufferLike): void {
  if (!types.isArrayBuffer(buffer)) return; // shared memory neither moves nor shrinks
  const known = pinned.get(buffer);
  if (known !== undefined) {
    known.count++;
    return;
  }
  if (isResizable?.call(buffer)) {
    throw typeError('source must not be resizable: its memory can go while C uses it');
  }
  if (!Object.isExtensible(buffer)) {
    throw typeError('source must be extensible, or nothing could stop its transfer');
  }
  const prototype = Object.getPrototypeOf(buffer);
  const marked = isMarked?.(buffer) === true;
  if (canLock && !marked) host.lock(buffer, key);
  else if (!marked) workerThreads.markAsUntransferable(buffer);
  Reflect.setPrototypeOf(buffer, guardedPrototype);
  pinned.set(buffer, { count: 1, prototype, locked: canLock && !marked });
}

function letGo(buffer: ArrayBufferLike): void {
  const known = pinned.get(buffer);
  if (known === undefined || --known.count > 0) return;
  pinned.delete(buffer);
  Reflect.setPrototypeOf(buffer, known.prototype); // not where it has been frozen meanwhile
  if (known.locked) host.lock(buffer as ArrayBuffer, undefined);
}

/**
 * Gives JavaScript memory a stable address while C uses it in the background. Copies nothing, except that a small
 * typed array's bytes move off the heap once.
 *
 * Until the release the source stays alive, even if both it and the lease are forgotten, and it cannot be transferred. On
 * Node 20 and 22 it cannot be put in a transfer list later either, since Node has no way to undo that mark. The memory of
 * a slice's view stays until the release too, even if the slice is released.
 *
 * @throws {CSliceError} `ERR_CSLICE_TYPE` for a source that is no buffer, is detached, is resizable or is not extensible
 * @example
 * const bytes = new Uint8Array(64);
 * using pinned = pin(bytes); // C may work with pinned.address until the release
 */
export function pin(source: ArrayBuffer | ArrayBufferView): Lease {
  return hold(bytesOf('source', source, 'an ArrayBuffer or a view of one (of a slice: slice.lease())'));
}
