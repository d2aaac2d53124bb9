import {
  advance,
  bytesOf,
  checkAddress,
  checkIndex,
  checkLength,
  checkRegion,
  elementSizeOf,
  longestView,
  remainder,
  toInteger,
} from './core/check.ts';
import { codecOf } from './core/codec.ts';
import {
  adoptWithCallback,
  checkDestructor,
  type Destructor,
  forgetCallback,
  NativeDestructor,
} from './core/destructor.ts';
import { Lease } from './core/lease.ts';
import {
  acquireToken,
  Borrowed,
  easePressure,
  forgetToken,
  isKeeper,
  type Keeper,
  keepForever,
  markUnviewed,
  markViewed,
  notePressure,
  Rented,
  recycleToken,
  releaseToken,
  retain,
  statusError,
  strandToken,
  Token,
  tokenOf,
} from './core/lifetime.ts';
import { reclaim } from './core/reclaim.ts';
import { addressAside, putAside, takeAside } from './core/reuse.ts';
import { attach, offer, type SharedSlice } from './core/shared.ts';
import { StructArray } from './core/structs.ts';
import { createView, detachView } from './core/view.ts';
import { CSliceError, rangeError, show, typeError } from './errors.ts';
import type { TypeSpec } from './native/koffi.ts';
import {
  copyIn,
  copyOut,
  type Integer,
  reuseAccount,
  slotAddress,
  slotAlloc,
  slotAllocWith,
  slotBlock,
  slotDisown,
  slotResize,
  slotSize,
  slotTake,
  status,
} from './native/symbols.ts';

export interface AllocOptions {
  /** Fill the block with zeros. Default true. Without it the bytes are whatever the C allocator had there. */
  zero?: boolean;
  /** A power of two in bytes. Default 16, which is also what smaller ones get. */
  alignment?: number;
}

export interface ShareOptions {
  /** Attachments that are still awaited after the end of the slice. Default 1. */
  attachments?: number;
  /** How long, in milliseconds. Default 30,000. */
  patience?: number;
}

/** The views of one block. They are made on first use, and die together. */
export interface Views {
  readonly buffer: ArrayBuffer;
  bytes: Uint8Array<ArrayBuffer> | undefined;
  cells: DataView | undefined;
}

/** A typed array class, such as `Float64Array`, or `DataView`. */
export interface ViewConstructor<T> {
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
  readonly BYTES_PER_ELEMENT?: number;
}

const uninitialized: AllocOptions = { zero: false };

/** `undefined` for what plain `cslice_slot_alloc` does: one short call. */
function allocate(token: Token, byteLength: number, options: AllocOptions | undefined): Integer {
  if (options === undefined) return slotAlloc(token.slot, byteLength);
  const { zero = true, alignment = 16 } = options;
  return slotAllocWith(token.slot, byteLength, alignment, zero ? 1 : 0);
}

function checkOptions(options: AllocOptions): void {
  if (typeof options !== 'object' || options === null)
    throw typeError(`options must be an object, got ${show(options)}`);
  const { zero, alignment } = options;
  if (zero !== undefined && typeof zero !== 'boolean') throw typeError(`zero must be a boolean, got ${show(zero)}`);
  if (alignment === undefined) return;
  if (typeof alignment !== 'number') throw typeError(`alignment must be a number, got ${show(alignment)}`);
  if (!Number.isSafeInteger(alignment) || alignment < 1 || !Number.isInteger(Math.log2(alignment))) {
    throw rangeError(`alignment must be a power of two, got ${alignment}`);
  }
}

/** For the pool alone: a handle over a block whose view is made already. */
export let makeRented: (keeper: Rented, address: Integer, views: Views) => Slice;

/** For calls into C alone: where the bytes are, without a bigint; undefined after the release. */
export let integerOf: (slice: Slice) => Integer | undefined;

let makeImmortal: () => Slice;

/** For streams alone: ends a handle and leaves its views alive, so that the block goes when the last of them does. */
export let leaveToCollector: (slice: Slice) => void;

/**
 * A handle that owns (or borrows) a run of bytes in C memory.
 *
 * The bytes live until `release()`, the end of a `using` scope, or a garbage collection after the handle and every
 * view are out of reach. A release detaches every view first: their length is 0, and no use of this handle reaches the
 * memory again.
 *
 * Every method throws a {@link CSliceError} with the code `ERR_CSLICE_RELEASED` after the release, `ERR_CSLICE_TYPE`
 * for an argument of the wrong type and `ERR_CSLICE_RANGE` for one out of range, before C is called.
 */
export class Slice implements Disposable {
  #keeper: Keeper | undefined;
  #address: Integer;
  #byteLength: number;
  /** Few fields: a slice without a view is to be as small as it can be. */
  #views: Views | undefined;

  private constructor(keeper: Keeper, address: Integer, byteLength: number) {
    if (!isKeeper(keeper)) {
      throw typeError('A Slice is made by Slice.alloc, adopt, borrow, fromBytes or fromString');
    }
    this.#keeper = keeper;
    this.#address = address;
    this.#byteLength = byteLength;
  }

  /**
   * A new block of C memory, zeroed and aligned to 16 unless the options say otherwise. C may hand it to `free()`
   * after {@link disown}. Costs about what `malloc` through koffi costs, and less below 1 KiB, where released blocks
   * serve again without a call into C; a view costs about 1 µs more, on first use.
   *
   * @param byteLength bytes; 0 is allowed
   * @throws {CSliceError} `ERR_CSLICE_NOMEM` when memory is exhausted, `ERR_CSLICE_LIMIT` past the configured limit
   * @example
   * using slice = Slice.alloc(64);
   * slice.bytes[0] = 7;
   */
  static alloc(byteLength: number, options?: AllocOptions): Slice {
    checkLength('byteLength', byteLength);
    if (options !== undefined) checkOptions(options);
    if (options?.alignment === undefined) {
      const aside = takeAside(byteLength);
      if (aside !== undefined) return new Slice(aside, addressAside(aside), byteLength);
    }
    const token = acquireToken(byteLength);
    let address = allocate(token, byteLength, options);
    if (address < 0 && reclaim()) address = allocate(token, byteLength, options);
    if (address < 0) {
      recycleToken(token);
      throw statusError(Number(address), `${byteLength} bytes`);
    }
    token.sole = true;
    return Slice.#own(token, address, byteLength);
  }

  /**
   * A block with a copy of the given bytes (Go: `C.CBytes`).
   *
   * @throws {CSliceError} as {@link Slice.alloc}
   */
  static fromBytes(source: ArrayBuffer | ArrayBufferView): Slice {
    const bytes = bytesOf('source', source);
    const slice = Slice.alloc(bytes.byteLength, uninitialized);
    copyIn(slice.#address, bytes, bytes.byteLength);
    return slice;
  }

  /**
   * A block with the text in UTF-8 and a NUL after it (Go: `C.CString`). `byteLength` counts the NUL.
   *
   * @throws {CSliceError} `ERR_CSLICE_RANGE` if the text contains a NUL, which would end it early for C
   */
  static fromString(text: string): Slice {
    if (typeof text !== 'string') throw typeError(`text must be a string, got ${show(text)}`);
    const nul = text.indexOf('\0');
    if (nul >= 0) throw rangeError(`text must not contain a NUL, which ends a C string; found one at ${nul}`);
    return Slice.fromBytes(Buffer.from(`${text}\0`, 'utf8'));
  }

  /**
   * Takes ownership of memory that C allocated (Go: `newSlice` with `SetFinalizer`). Copies nothing.
   *
   * `destructor` runs exactly once: at the release, after a collection, or (a native one) at the end of the thread. If
   * this throws, the memory is still the caller's.
   *
   * @param destructor a C function (see `destructor()`), or a JavaScript one, called with address and size. What a
   *   JavaScript one throws is reported as a process warning and stops nothing.
   * @throws {CSliceError} `ERR_CSLICE_NOMEM`
   */
  static adopt(address: bigint, byteLength: number, destructor: Destructor): Slice {
    checkRegion(address, byteLength);
    checkDestructor(destructor);
    const token = acquireToken(byteLength);
    const result =
      destructor instanceof NativeDestructor
        ? destructor.adopt(token.slot, toInteger(address), byteLength)
        : adoptWithCallback(token.slot, destructor, address, byteLength);
    if (result < 0) {
      recycleToken(token);
      throw statusError(result, `adopting ${byteLength} bytes`);
    }
    return Slice.#own(token, toInteger(address), byteLength);
  }

  /**
   * A handle over memory that somebody else frees (the article's slice over a C buffer). Copies nothing, frees
   * nothing. The caller promises that the memory lives until the release of this slice; `owner`, if given, is kept
   * from being collected for as long as the slice or a view of it is in reach.
   */
  static borrow(address: bigint, byteLength: number, owner?: object): Slice {
    checkRegion(address, byteLength);
    if (owner !== undefined && (typeof owner !== 'object' || owner === null) && typeof owner !== 'function') {
      throw typeError(`owner must be an object, got ${show(owner)}`);
    }
    return new Slice(new Borrowed(owner), toInteger(address), byteLength);
  }

  /**
   * Takes over a reference to a block that C made with `csrc/cslice.h`. Copies nothing.
   *
   * @param block a `cslice_block *`, whose reference this slice gives back at its release
   * @throws {CSliceError} `ERR_CSLICE_RANGE` for a block that is too long to view or of another copy of the library,
   *   `ERR_CSLICE_NOMEM`; the reference is still the caller's then
   */
  static fromBlock(block: bigint): Slice {
    const pointer = toInteger(checkAddress('block', block));
    const token = acquireToken(0);
    const result = slotTake(token.slot, pointer, longestView);
    if (result < 0) {
      recycleToken(token);
      throw statusError(result, 'taking a block');
    }
    const byteLength = slotSize(token.slot);
    notePressure(byteLength);
    return Slice.#own(token, slotAddress(token.slot), byteLength);
  }

  /**
   * A slice of this thread over the same bytes as the one that was shared, with a reference of its own. Copies
   * nothing; constant time at any size.
   *
   * @throws {CSliceError} `ERR_CSLICE_SHARED` for a value that is stale or that `share()` did not make
   */
  static attach(shared: SharedSlice): Slice {
    const { token, address, byteLength } = attach(shared);
    return new Slice(token, address, byteLength);
  }

  /**
   * A new block with the bytes of all parts, in order.
   *
   * @throws {CSliceError} as {@link Slice.alloc}
   */
  static concat(parts: readonly (Slice | ArrayBuffer | ArrayBufferView)[]): Slice {
    if (!Array.isArray(parts)) throw typeError(`parts must be an array, got ${show(parts)}`);
    const sources = Array.from(parts, (part) => (part instanceof Slice ? part.bytes : bytesOf('part', part)));
    const whole = Slice.alloc(
      sources.reduce((sum, { byteLength }) => sum + byteLength, 0),
      uninitialized,
    );
    let at = 0;
    for (const source of sources) {
      copyIn(advance(whole.#address, at), source, source.byteLength);
      at += source.byteLength;
    }
    return whole;
  }

  static {
    makeRented = (keeper, address, views) => {
      const slice = new Slice(keeper, address, views.buffer.byteLength);
      slice.#views = views;
      return slice;
    };
    integerOf = (slice) => (slice.#keeper === undefined ? undefined : slice.#address);
    leaveToCollector = (slice) => {
      slice.#live();
      slice.#keeper = undefined;
      slice.#views = undefined;
    };
    makeImmortal = () => {
      const slice = new Slice(acquireToken(0), reuseAccount(), 1); // any memory that lives as long as the thread
      slice.bytes;
      return slice;
    };
  }

  /** An owning slice over the block in the token's slot. */
  static #own(token: Token, address: Integer, byteLength: number): Slice {
    const slice = new Slice(token, address, byteLength);
    if (markUnviewed(token, byteLength)) slice.#viewUnderPressure();
    return slice;
  }

  /** Bytes; readable after the release too. */
  get byteLength(): number {
    return this.#byteLength;
  }

  get released(): boolean {
    return this.#keeper === undefined;
  }

  /** Where the bytes are. Valid for C until the release; it keeps nothing alive. */
  get address(): bigint {
    this.#live();
    return BigInt(this.#address);
  }

  /**
   * The block's own bytes, as the same ArrayBuffer every time. Made on first use for about 1 µs; copies nothing. It
   * keeps the block alive, and cannot be transferred or resized.
   *
   * @throws {CSliceError} `ERR_CSLICE_NO_VIEW` where the runtime forbids ArrayBuffers over C memory, or someone has
   *   detached this one
   */
  get buffer(): ArrayBuffer {
    return this.#viewed().buffer;
  }

  /** The block's own bytes as a Uint8Array, the same object every time. Copies nothing. */
  get bytes(): Uint8Array<ArrayBuffer> {
    const views = this.#viewed();
    views.bytes ??= new Uint8Array(views.buffer);
    return views.bytes;
  }

  /**
   * A typed array or DataView over the block's own bytes. Copies nothing.
   *
   * @param byteOffset default 0; a multiple of the element size from an address that is one
   * @param length in elements (bytes for a DataView). Default: all that fit
   */
  view<T>(type: ViewConstructor<T>, byteOffset?: number, length?: number): T {
    this.#live();
    const elementSize = elementSizeOf('type', type);
    const start = checkIndex('byteOffset', byteOffset, 0, 0, this.#byteLength);
    const fitting = Math.floor((this.#byteLength - start) / elementSize);
    const count = checkIndex('length', length, fitting, 0, fitting);
    const { buffer } = this;
    if (start % elementSize !== 0 || remainder(this.#address, elementSize) !== 0) {
      throw rangeError(
        `byteOffset ${start} from address 0x${this.#address.toString(16)} is not a multiple of ${elementSize}, ` +
          `the element size of ${type.name}`,
      );
    }
    return new type(buffer, start, count);
  }

  /** A Node Buffer over the block's own bytes. Copies nothing. */
  toBuffer(): Buffer<ArrayBuffer> {
    return Buffer.from(this.buffer, 0, this.#byteLength);
  }

  /** A copy of the bytes from `start` (default 0) to before `end` (default all), in JavaScript's own memory (Go: `C.GoBytes`). */
  copy(start?: number, end?: number): Uint8Array<ArrayBuffer> {
    const [from, to] = this.#range(start, end);
    const bytes = new Uint8Array(to - from);
    copyOut(bytes, advance(this.#address, from), bytes.byteLength);
    return bytes;
  }

  /** The UTF-8 text from `start` to the first NUL, or to before `end` (Go: `C.GoString`). A copy. */
  text(start?: number, end?: number): string {
    const [from, to] = this.#range(start, end);
    const nul = this.bytes.indexOf(0, from);
    return Buffer.from(this.buffer, from, (nul < 0 || nul > to ? to : nul) - from).toString('utf8');
  }

  /**
   * The C value at `byteOffset` (default 0) as koffi would decode it: numbers, structs, arrays. A copy; pointers come
   * as addresses, C strings as text. 64-bit integers are numbers where that is exact, else bigints.
   *
   * @param type a koffi type or its name
   */
  // biome-ignore lint/suspicious/noExplicitAny: what it is depends on the C type
  read(type: TypeSpec, byteOffset?: number): any {
    const codec = codecOf(type);
    const offset = this.#offsetOf(codec, byteOffset);
    return codec.read(this.#cells, offset);
  }

  /**
   * Writes a C value at `byteOffset`. Numbers must fit their type. Struct members that `value` lacks keep their bytes.
   *
   * @param type a koffi type or its name
   */
  write(type: TypeSpec, byteOffset: number, value: unknown): void {
    const codec = codecOf(type);
    const offset = this.#offsetOf(codec, byteOffset);
    codec.write(this.#cells, offset, value);
  }

  /**
   * A slice over the bytes from `start` (default 0) to before `end` (default all), with a reference and a life of its
   * own: it outlives this one. Copies nothing; one call into C.
   *
   * @throws {CSliceError} `ERR_CSLICE_NOMEM`
   */
  subslice(start?: number, end?: number): Slice {
    const [from, to] = this.#range(start, end);
    return new Slice(retain(this.#live()), advance(this.#address, from), to - from);
  }

  /**
   * An array of C structs in place from `byteOffset` (default 0): elements are read and written one by one. Copies
   * nothing.
   *
   * @param type a koffi type or its name
   * @param length elements; default: all that fit
   */
  structs<T = unknown>(type: TypeSpec, byteOffset?: number, length?: number): StructArray<T> {
    this.#live();
    const codec = codecOf(type);
    const start = checkIndex('byteOffset', byteOffset, 0, 0, this.#byteLength);
    const fitting = Math.floor((this.#byteLength - start) / codec.size);
    const count = checkIndex('length', length, fitting, 0, fitting);
    return new StructArray<T>(codec, () => this.#cells, start, count);
  }

  /**
   * The `cslice_block *` under this slice, for C code that takes a reference of its own with `cslice_block_ref` while
   * the slice lives. It keeps nothing alive by itself.
   *
   * @throws {CSliceError} `ERR_CSLICE_TYPE` for a borrowed slice
   */
  get block(): bigint {
    return BigInt(slotBlock(this.#owned('has no block').slot));
  }

  /**
   * Offers the bytes to other threads of this process: send the value by `postMessage` or `workerData`, and
   * {@link Slice.attach} it there. Copies nothing.
   *
   * The offer stands while this slice lives, for any number of attachments. After that it waits for `attachments` of
   * them in all (default 1), `patience` milliseconds at the most (default 30,000), and ends.
   *
   * @throws {CSliceError} `ERR_CSLICE_TYPE` for a borrowed slice, `ERR_CSLICE_NOMEM`
   */
  share(options: ShareOptions = {}): SharedSlice {
    const token = this.#owned('cannot be shared');
    if (typeof options !== 'object' || options === null) {
      throw typeError(`options must be an object, got ${show(options)}`);
    }
    const attachments = checkIndex('attachments', options.attachments, 1, 0, 0xffff_ffff);
    const patience = checkIndex('patience', options.patience, 30_000, 0, 0x7fff_0000);
    const byteOffset = Number(BigInt(this.#address) - BigInt(slotAddress(token.slot)));
    return offer(token, byteOffset, this.#byteLength, attachments, patience);
  }

  /**
   * Changes the size with C's `realloc`: the bytes are kept as far as they fit, new ones are zero, and the address may
   * change. Every view dies.
   *
   * @throws {CSliceError} `ERR_CSLICE_RANGE` for memory that `alloc` did not make, a part of it, or while others hold it,
   *   `ERR_CSLICE_NOMEM`, `ERR_CSLICE_LIMIT`; the bytes are as they were then, and the views dead all the same
   */
  resize(byteLength: number): void {
    const keeper = this.#live();
    checkLength('byteLength', byteLength);
    if (!(keeper instanceof Token)) throw typeError('a borrowed or rented slice cannot be resized');
    this.#checkWhole(keeper);
    this.#killViews();
    let address = slotResize(keeper.slot, byteLength);
    if ((address === status.ENOMEM || address === status.ELIMIT) && reclaim()) {
      address = slotResize(keeper.slot, byteLength);
    }
    if (address < 0) throw statusError(Number(address), `resizing to ${byteLength} bytes`);
    this.#address = address;
    this.#byteLength = byteLength;
    markUnviewed(keeper, byteLength);
  }

  /**
   * Holds the block while C works on it in the background: a `release()` in the meantime still kills the views at
   * once, and the memory goes when the last lease ends. Copies nothing; one call into C.
   *
   * @throws {CSliceError} `ERR_CSLICE_NOMEM`
   * @example
   * using lease = slice.lease();
   * startInBackground(lease.address);
   */
  lease(): Lease {
    return new Lease(this.#live(), this.#address, this.#byteLength);
  }

  /**
   * Gives the memory back now (a borrowed one: lets it go), after every view has been detached. Does nothing the
   * second time. A block below 1 KiB may stay with this thread for its next slice: see `configure({ reuseBytes })`.
   */
  release(): void {
    const keeper = this.#keeper;
    if (keeper === undefined) return;
    this.#keeper = undefined;
    if (keeper instanceof Rented) {
      this.#views = undefined;
      keeper.giveBack();
      return;
    }
    const ours = this.#dropView();
    if (keeper instanceof Borrowed) return;
    if (ours && keeper.sole && putAside(keeper, this.#address, this.#byteLength)) return;
    easePressure(this.#byteLength);
    if (ours) releaseToken(keeper);
    else strandToken(keeper);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /**
   * Ends this handle and its views without giving the memory back: C owns it from here, and frees it with `free()` if
   * it came from {@link Slice.alloc}, else with what the destructor would have called. A destructor does not run.
   *
   * @returns the address
   * @throws {CSliceError} `ERR_CSLICE_TYPE` for a borrowed slice, `ERR_CSLICE_RANGE` while others hold the block too
   */
  disown(): bigint {
    const keeper = this.#live();
    if (!(keeper instanceof Token)) throw typeError('a borrowed or rented slice cannot disown what it does not own');
    this.#checkWhole(keeper);
    const result = slotDisown(keeper.slot);
    if (result < 0) throw statusError(result, 'disowning a block that has other references');
    if (result > 0) forgetCallback(result);
    this.#keeper = undefined;
    this.#dropView();
    forgetToken(keeper);
    return BigInt(this.#address);
  }

  get #cells(): DataView {
    const views = this.#viewed();
    views.cells ??= new DataView(views.buffer);
    return views.cells;
  }

  #viewed(): Views {
    const keeper = this.#live();
    if (this.#views === undefined) {
      this.#views = { buffer: createView(this.#address, this.#byteLength, keeper), bytes: undefined, cells: undefined };
      if (keeper instanceof Token) markViewed(keeper);
    }
    this.#checkOurs(this.#views);
    return this.#views;
  }

  #checkOurs({ buffer }: Views): void {
    if (buffer.byteLength === this.#byteLength) return;
    throw new CSliceError(
      'ERR_CSLICE_NO_VIEW',
      'The view of this slice was detached by someone else, who may still see its bytes',
    );
  }

  #live(): Keeper {
    if (this.#keeper === undefined) {
      throw new CSliceError('ERR_CSLICE_RELEASED', `This slice of ${this.#byteLength} bytes has been released`);
    }
    return this.#keeper;
  }

  /** False if the view had been taken away from us before. */
  #dropView(): boolean {
    const views = this.#views;
    if (views === undefined) return true;
    this.#views = undefined;
    return detachView(views.buffer, this.#byteLength);
  }

  /** The token under a slice that owns a reference. */
  #owned(why: string): Token {
    const token = tokenOf(this.#live());
    if (token === undefined) throw typeError(`a borrowed slice ${why}`);
    return token;
  }

  /** A view for the collector's sake: where the runtime forbids it, the slice works without. */
  #viewUnderPressure(): void {
    try {
      this.buffer;
    } catch {}
  }

  /** Detaches the view of a slice that lives on, or throws and leaves it. */
  #killViews(): void {
    const views = this.#views;
    if (views === undefined) return;
    this.#checkOurs(views);
    if (!detachView(views.buffer, this.#byteLength)) {
      throw new CSliceError('ERR_CSLICE_NO_VIEW', 'The view of this slice was locked by someone else');
    }
    this.#views = undefined;
  }

  /** What is done to a block as a whole must not come from a handle over a part of it. */
  #checkWhole(token: Token): void {
    if (this.#address !== slotAddress(token.slot) || this.#byteLength !== slotSize(token.slot)) {
      throw rangeError(`these ${this.#byteLength} bytes are a part of a block of ${slotSize(token.slot)}`);
    }
  }

  #range(start: number | undefined, end: number | undefined): [number, number] {
    this.#live();
    const from = checkIndex('start', start, 0, 0, this.#byteLength);
    return [from, checkIndex('end', end, this.#byteLength, from, this.#byteLength)];
  }

  #offsetOf(codec: { name: string; size: number }, byteOffset: number | undefined): number {
    this.#live();
    if (codec.size > this.#byteLength) {
      throw rangeError(`type ${codec.name} has ${codec.size} bytes, and the slice ${this.#byteLength}`);
    }
    return checkIndex('byteOffset', byteOffset, 0, 0, this.#byteLength - codec.size);
  }
}

// A handle and a view that never die. V8 forgets a hidden class once its last object is collected, and throws away every
// function that was optimized for it: a service whose slices all die between two collections would never get warm.
keepForever(makeImmortal());
