import { types } from 'node:util';
import { CSliceError, typeError } from '../errors.ts';
import { host, type Integer, makeView } from '../native/symbols.ts';
import type { Keeper } from './lifetime.ts';

/** Constructs nothing new, so that the private field of a class that extends it lands on the object given. */
class Identity {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is its purpose
    return object;
  }
}

/**
 * Ties a view to what keeps its memory: as long as the buffer, or anything over it, is in reach, so is the keeper. A
 * private field, not a property, so that no caller can read it, replace it or freeze it.
 */
class Hold extends Identity {
  #keeper: Keeper | undefined;

  constructor(buffer: ArrayBuffer, keeper: Keeper) {
    super(buffer);
    this.#keeper = keeper;
  }

  static of(buffer: ArrayBuffer): Keeper | undefined {
    return #keeper in buffer ? (buffer as unknown as Hold).#keeper : undefined;
  }

  static clear(buffer: ArrayBuffer): void {
    (buffer as unknown as Hold).#keeper = undefined;
  }
}

function refuse(method: string): () => never {
  return () => {
    throw typeError(
      `${method}() would move memory that C uses, or that C owns, to an ArrayBuffer that nothing follows. ` +
        'Copy it instead, or hand a slice over with slice.disown()',
    );
  };
}

/**
 * What every pinned buffer inherits from, and every view where the language has `transfer`: an ArrayBuffer that cannot be
 * moved away from its owner.
 */
export const guardedPrototype: ArrayBuffer = Object.create(ArrayBuffer.prototype, {
  transfer: { value: refuse('transfer') },
  transferToFixedLength: { value: refuse('transferToFixedLength') },
  resize: { value: refuse('resize') },
});

/**
 * An ArrayBuffer over C memory. About 1 µs at any size: what V8 and Node ask for an external buffer.
 *
 * @throws {CSliceError} `ERR_CSLICE_NO_VIEW` where the runtime forbids external buffers
 */
export function createView(address: Integer, byteLength: number, keeper: Keeper): ArrayBuffer {
  const buffer = makeView(address, byteLength);
  if (buffer === undefined) {
    throw new CSliceError('ERR_CSLICE_NO_VIEW', 'This runtime forbids ArrayBuffers over C memory');
  }
  if (transfer !== undefined) Object.setPrototypeOf(buffer, guardedPrototype); // only where it is of use: it is 5 % of a view
  new Hold(buffer, keeper);
  return buffer;
}

/**
 * Kills a view of `byteLength` bytes and everything over it: their length is 0 from here.
 * Returns false if someone else detached it before, and so may have its bytes in another buffer, or locked it so that it
 * cannot be detached: the bytes must stay, then.
 */
export function detachView(buffer: ArrayBuffer, byteLength: number): boolean {
  const ours = buffer.byteLength === byteLength && detach(buffer);
  if (ours) Hold.clear(buffer);
  return ours;
}

/** The language's own way, where it exists: it refuses a buffer that somebody locked, where Node-API would abort. */
const transfer = (ArrayBuffer.prototype as { transfer?: (this: ArrayBuffer, length: number) => ArrayBuffer }).transfer;

function detach(buffer: ArrayBuffer): boolean {
  if (transfer === undefined) {
    host.detach(buffer);
    return true;
  }
  try {
    transfer.call(buffer, 0);
    return true;
  } catch {
    return false;
  }
}

/** What keeps the memory of a live view of ours; undefined for every other buffer. */
export function keeperOf(buffer: ArrayBufferLike): Keeper | undefined {
  return Hold.of(buffer as ArrayBuffer);
}

type IsView = (buffer: ArrayBufferLike) => boolean;

const isOurView: IsView = (buffer) => keeperOf(buffer) !== undefined;

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
