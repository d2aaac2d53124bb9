import type { Writable } from 'node:stream';
import { types } from 'node:util';
import type { Codec } from './codec/codec.ts';
import { codecOf, prepareValue } from './codec/codec.ts';
import { StructArray } from './codec/structs.ts';
import {
  addressOfBytes,
  adopt,
  allocate,
  allocateCopy,
  allocateUninitialized,
  allocateWith,
  attach,
  borrow,
  disown,
  holdersOfReference,
  type Layout,
  permanent,
  readBytes,
  refer,
  release,
  resize,
  share,
  take,
  writeBytes,
} from './core/block.ts';
import {
  bytesOf,
  bytesOfOther,
  checkAddress,
  checkIndex,
  checkLength,
  checkRange,
  checkRegion,
  checkText,
  elementSizeOf,
  elementsOf,
  remainder,
  toInteger,
} from './core/check.ts';
import { Conversions } from './core/conversions.ts';
import { checkDestructor, type Destructor, runDestructors } from './core/destructor.ts';
import { isHeld, isLent, lend, untilNextEnd } from './core/holds.ts';
import { letHooksRun } from './core/in-use.ts';
import { inspectAs } from './core/inspect.ts';
import { type Lease, leaseOf } from './core/lease.ts';
import { readOptions } from './core/options.ts';
import { Reference, viewOf } from './core/reference.ts';
import { decodeUtf8 } from './core/text.ts';
import { checkWritable, writeTo } from './core/write-to.ts';
import { CSliceError, rangeError, show, typeError } from './errors.ts';
import { hasViews, type Integer } from './native/host.ts';
import type { TypeSpec } from './native/koffi.ts';
import { type Holders, noteView, useLabels } from './record/record.ts';

/**
 * How {@link Slice.alloc} makes a block.
 *
 * @example
 * using page = Slice.alloc(4096, { zero: false, alignment: 4096 });
 */
export interface AllocOptions {
  /** Fill the block with zeros. Default true. Without it the bytes are whatever the C allocator had there. */
  zero?: boolean;
  /** A power of two in bytes. Default 16, which is also what smaller ones get. */
  alignment?: number;
  /** To whom the block is attributed, in place of the label of `withLabel()`. See `stats({ by: 'label' })`. */
  label?: string;
}

/**
 * A typed array class, such as `Float64Array`, or `DataView`.
 *
 * @example
 * using slice = Slice.alloc(64);
 * const doubles = slice.view(Float64Array);
 * const header = slice.view(DataView, 0, 8);
 */
export interface ViewConstructor<T> {
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
  /** A DataView has none. */
  readonly BYTES_PER_ELEMENT?: number;
}

const encoder = new TextEncoder();

function layoutOf(options: AllocOptions): Layout {
  const { zero = true, alignment = 16, label } = readOptions('options', options, ['zero', 'alignment', 'label']);
  if (typeof zero !== 'boolean') throw typeError(`zero must be a boolean, got ${show(zero)}`);
  if (typeof alignment !== 'number') throw typeError(`alignment must be a number, got ${show(alignment)}`);
  if (!Number.isSafeInteger(alignment) || alignment < 1 || !Number.isInteger(Math.log2(alignment))) {
    throw rangeError(`alignment must be a power of two, got ${alignment}`);
  }
  if (label === undefined) return { zero, alignment };
  if (typeof label !== 'string') throw typeError(`label must be a string, got ${show(label)}`);
  useLabels();
  return { zero, alignment, label };
}

let referenceIn: (slice: Slice) => Reference;
let addressIn: (value: object) => Integer | undefined;
let isOne: (value: object) => value is Slice;
let make: (reference: Reference) => Slice;

/** Whether a value is a slice, and not a proxy of one or an object that imitates it. */
export function isSlice(value: unknown): value is Slice {
  return typeof value === 'object' && value !== null && isOne(value);
}

/** The slice that owns a reference from here on. */
export function newSlice(reference: Reference): Slice {
  return make(reference);
}

/** What a slice refers to, for other modules of this package. @throws {CSliceError} `ERR_CSLICE_RELEASED` */
export function liveReference(slice: Slice): Reference {
  return referenceIn(slice);
}

/** For calls into C alone: where the bytes of a live slice are, without a bigint; undefined for anything else. */
export function addressOf(value: object): Integer | undefined {
  return addressIn(value);
}

/**
 * The owner of a run of bytes in C memory (or a borrower: see {@link Slice.borrow}).
 *
 * The bytes live until `release()`, the end of a `using` scope, or a garbage collection after the slice and every view
 * are unreachable. A release detaches every view: their length is 0, and the slice cannot reach the memory again. Memory
 * that an operation of Node may be using is freed once it cannot be in use any more.
 *
 * `buffer` may be moved like any ArrayBuffer, by a transfer list, a byte stream or `structuredClone`. That releases the
 * slice, and the block is freed after the buffer that has received its bytes.
 *
 * Every method throws a {@link CSliceError} with the code `ERR_CSLICE_RELEASED` after the release, `ERR_CSLICE_TYPE`
 * for an argument of the wrong type and `ERR_CSLICE_RANGE` for one out of range, before C is called.
 *
 * @example
 * using slice = Slice.fromString('hello'); // a block of C memory: UTF-8 and a NUL
 * slice.bytes[0] = 0x48; // the block's own bytes
 * console.log(slice.text()); // Hello
 */
export class Slice extends Conversions implements Disposable, AsyncDisposable {
  #reference: Reference | undefined;
  #byteLength: number;

  private constructor(reference: Reference) {
    super();
    if (!(reference instanceof Reference)) {
      throw typeError('A Slice is made by Slice.alloc, adopt, borrow, fromBytes or fromString');
    }
    this.#reference = reference;
    this.#byteLength = reference.byteLength;
  }

  static {
    referenceIn = (slice) => slice.#live();
    addressIn = (value) => {
      const reference = #reference in value ? value.#reference : undefined;
      if (reference === undefined || (reference.seen && !reference.isLive)) return undefined; // no code outside of this library can have moved an unseen one
      return reference.address;
    };
    isOne = (value): value is Slice => #reference in value;
    make = (reference) => new Slice(reference);
  }

  /**
   * A new block of C memory, zeroed and aligned to 16 unless the options say otherwise. C may hand it to `free()`
   * after {@link disown}. Costs one call into C, and none below 1 KiB where a block of that size has been released.
   *
   * @param byteLength bytes; 0 is allowed
   * @throws {CSliceError} `ERR_CSLICE_NOMEM` when memory is exhausted, `ERR_CSLICE_LIMIT` past the configured limit
   * @example
   * using slice = Slice.alloc(64);
   * slice.bytes[0] = 7;
   */
  static alloc(byteLength: number, options?: AllocOptions): Slice {
    checkLength('byteLength', byteLength);
    const slice = new Slice(options === undefined ? allocate(byteLength) : allocateWith(byteLength, layoutOf(options)));
    runDestructors();
    return slice;
  }

  /**
   * A block with a copy of the given bytes (Go: `C.CBytes`).
   *
   * @throws {CSliceError} as {@link Slice.alloc}
   * @example
   * using slice = Slice.fromBytes(Uint8Array.of(1, 2, 3));
   */
  static fromBytes(source: ArrayBuffer | ArrayBufferView): Slice {
    const slice = new Slice(allocateCopy(bytesOf('source', source)));
    runDestructors();
    return slice;
  }

  /**
   * A block with the text in UTF-8 and a NUL after it (Go: `C.CString`). `byteLength` counts the NUL.
   *
   * @throws {CSliceError} `ERR_CSLICE_RANGE` if the text contains a NUL, which would end it early for C
   * @example
   * using slice = Slice.fromString('text');
   * console.log(slice.byteLength, slice.text()); // 5 text
   */
  static fromString(text: string): Slice {
    const byteLength = checkText(text);
    const reference = allocateUninitialized(byteLength);
    writeBytes(reference, 0, encoder.encode(`${text}\0`), byteLength);
    const slice = new Slice(reference);
    runDestructors();
    return slice;
  }

  /**
   * Takes ownership of memory that C allocated (Go: `newSlice` with `SetFinalizer`). Copies nothing.
   *
   * `destructor` runs exactly once, in this thread: at the release, after a collection, or (a native one) at the end of
   * the thread. If this throws, the memory is still the caller's.
   *
   * @param destructor a C function (see `destructor()`), or a JavaScript one, called with address and size. What a
   *   JavaScript one throws is reported as a process warning and stops nothing.
   * @throws {CSliceError} `ERR_CSLICE_NOMEM`
   * @example
   * const malloc = c.func('void *malloc(size_t size)');
   * using slice = Slice.adopt(malloc(64), 64, destructor(c, 'free'));
   */
  static adopt(address: bigint, byteLength: number, destructor: Destructor): Slice {
    checkRegion(address, byteLength);
    checkDestructor(destructor);
    return new Slice(adopt(address, byteLength, destructor));
  }

  /**
   * A handle over memory that somebody else frees (the article's slice over a C buffer). Copies nothing, frees
   * nothing. The caller promises that the memory lives until the release of this slice; `owner`, if given, is kept
   * from being collected for as long as the slice or a view of it is reachable.
   *
   * @example
   * using owner = Slice.fromString('text');
   * using slice = Slice.borrow(owner.address, 4, owner);
   * console.log(slice.byteLength); // 4
   */
  static borrow(address: bigint, byteLength: number, owner?: object): Slice {
    checkRegion(address, byteLength);
    if (owner !== undefined && (typeof owner !== 'object' || owner === null) && typeof owner !== 'function') {
      throw typeError(`owner must be an object, got ${show(owner)}`);
    }
    return new Slice(borrow(toInteger(address), byteLength, owner));
  }

  /**
   * Takes over a reference to a block that C made with `csrc/cslice.h`. Copies nothing.
   *
   * @param block a `cslice_block *`, whose reference this slice takes over, and gives back at its release
   * @throws {CSliceError} `ERR_CSLICE_RANGE` for a block that is too long to view or of another copy of the library,
   *   `ERR_CSLICE_NOMEM`; the reference is still the caller's then
   */
  static fromBlock(block: bigint): Slice {
    return new Slice(take(toInteger(checkAddress('block', block))));
  }

  /**
   * A slice over the memory of a SharedArrayBuffer, which gives its address for C. It keeps the memory. Copies nothing.
   * The buffer may come from {@link toSharedBuffer} of any thread, or from JavaScript.
   *
   * @example
   * const cells = new SharedArrayBuffer(8);
   * using slice = Slice.attach(cells);
   * slice.write('int', 4, 7); // as C would, at slice.address + 4n
   * console.log(new Int32Array(cells)[1]); // 7
   */
  static attach(shared: SharedArrayBuffer): Slice {
    if (!types.isSharedArrayBuffer(shared)) {
      throw typeError(`shared must be a SharedArrayBuffer, got ${show(shared)}`);
    }
    const bytes = bytesOf('shared', shared);
    const { byteLength } = bytes;
    if (byteLength === 0) return Slice.alloc(0);
    return new Slice(attach(shared, addressOfBytes(bytes), byteLength));
  }

  /**
   * A new block with the bytes of all parts, in order.
   *
   * @throws {CSliceError} as {@link Slice.alloc}
   * @example
   * using parts = Slice.concat([Slice.fromBytes(Uint8Array.of(1)), Uint8Array.of(2, 3)]);
   * console.log(parts.bytes); // Uint8Array(3) [ 1, 2, 3 ]
   */
  static concat(parts: readonly (Slice | ArrayBuffer | ArrayBufferView)[]): Slice {
    // Every part is read once. What it was then is what is copied, or it is an error.
    const sources = elementsOf('parts', parts).map((part) => {
      const source = isSlice(part) ? part : bytesOfOther('part', part);
      const { byteLength } = isSlice(source) ? source.#live() : source;
      return { source, byteLength };
    });
    const total = sources.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const whole = allocateUninitialized(checkLength('the sum of the parts', total));
    let at = 0;
    for (const { source, byteLength } of sources) {
      writeBytes(whole, at, isSlice(source) ? source.#live() : source, byteLength); // a destructor may have released it
      at += byteLength;
    }
    const slice = new Slice(whole);
    runDestructors();
    return slice;
  }

  /** Bytes; readable after the release too. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** Whether this slice has ended: by `release()`, `disown()`, or a move of its bytes to another buffer. */
  get released(): boolean {
    return this.#reference === undefined || !this.#reference.isLive;
  }

  /** Where the bytes are. Valid for C until the release; it keeps nothing alive. */
  get address(): bigint {
    return BigInt(this.#live().address);
  }

  /**
   * The block's own bytes, as the same ArrayBuffer every time. Copies nothing. It keeps the block alive until the
   * release, which detaches it. A transfer of it moves the block, and releases the slice.
   *
   * @throws {CSliceError} `ERR_CSLICE_NO_VIEW` where the runtime forbids ArrayBuffers over C memory
   */
  get buffer(): ArrayBuffer {
    return this.#shown().show();
  }

  /** The block's own bytes as a Uint8Array, the same object every time. Copies nothing; detached at the release. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#shown().bytes;
  }

  /**
   * A typed array or DataView over the block's own bytes. Copies nothing; detached at the release.
   *
   * @param byteOffset default 0; a multiple of the element size from an address that is one
   * @param length in elements (bytes for a DataView). Default: all that fit
   * @example
   * using slice = Slice.alloc(64);
   * slice.view(Float64Array)[0] = 0.5;
   * slice.view(DataView, 8).setUint16(0, 7, true);
   */
  view<T>(type: ViewConstructor<T>, byteOffset?: number, length?: number): T {
    const elementSize = elementSizeOf('type', type);
    letHooksRun();
    const reference = this.#live();
    const start = checkIndex('byteOffset', byteOffset, 0, 0, reference.byteLength);
    const fitting = Math.floor((reference.byteLength - start) / elementSize);
    const count = checkIndex('length', length, fitting, 0, fitting);
    if (start % elementSize !== 0 || remainder(reference.address, elementSize) !== 0) {
      throw rangeError(
        `byteOffset ${start} from address 0x${reference.address.toString(16)} is not a multiple of ${elementSize}, ` +
          'the element size',
      );
    }
    const view = viewOf(type, reference.show(), start, count);
    if (reference.recorded && reference.isLive) noteView(reference, view); // the class may have ended it
    return view;
  }

  /**
   * A Node Buffer over the same bytes, with a reference of its own: it outlives the release, and the block is freed
   * after its collection. This is what to give to Node: to a stream, a socket, a file. Copies nothing.
   *
   * @param start default 0
   * @param end the bytes before it; default all
   * @example
   * const slice = Slice.fromString('text');
   * const buffer = slice.toBuffer(0, 4);
   * slice.release();
   * console.log(buffer.toString()); // text
   */
  toBuffer(start?: number, end?: number): Buffer<ArrayBuffer> {
    letHooksRun();
    const reference = this.#live();
    const [from, to] = checkRange(reference, start, end);
    reference.buffered = true;
    return Buffer.from(refer(reference, from, to - from, 'Buffer').show(), 0, to - from);
  }

  /**
   * The same bytes as a SharedArrayBuffer, with a reference of its own: for `Atomics`, and for any number of threads by
   * `postMessage`. Copies nothing. The block is freed after the last thread has dropped the buffer.
   *
   * @throws {CSliceError} `ERR_CSLICE_NO_VIEW` in Bun and Deno, which have no shared buffers over C memory,
   *   `ERR_CSLICE_TYPE` for a borrowed slice
   * @example
   * using slice = Slice.alloc(8);
   * const cells = new Int32Array(slice.toSharedBuffer()); // or to a worker, by postMessage
   * console.log(Atomics.add(cells, 0, 5), slice.view(Int32Array)[0]); // 0 5
   */
  toSharedBuffer(): SharedArrayBuffer {
    return share(this.#counted('cannot be shared'));
  }

  /**
   * What holds this slice's block: the slice itself, views, Buffers, subslices, leases, pins, loans, SharedArrayBuffers, and
   * how many holders are unknown. With `configure({ track: true })` each one is named, with where it was made; of a block
   * that was made before, or without tracking, what is known. Keeps none of them alive.
   *
   * What was dropped is named until the event loop has turned after its collection.
   *
   * @throws {CSliceError} `ERR_CSLICE_RELEASED`
   * @example
   * configure({ track: true });
   * using slice = Slice.alloc(64);
   * const buffer = slice.toBuffer();
   * console.log(slice.holders().map(({ holder }) => holder)); // [ 'slice', 'Buffer' ]
   */
  holders(): Holders[] {
    const reference = this.#live();
    const told = holdersOfReference(reference);
    if (isLent(reference)) told.push({ holder: 'loan', count: 1, type: undefined, stack: [] });
    return told;
  }

  /**
   * A copy of the bytes from `start` (default 0) to before `end` (default all), in JavaScript's own memory (Go: `C.GoBytes`).
   *
   * @example
   * const slice = Slice.fromString('text');
   * const bytes = slice.copy(0, 2);
   * slice.release();
   * console.log(bytes); // Uint8Array(2) [ 116, 101 ]
   */
  copy(start?: number, end?: number): Uint8Array<ArrayBuffer> {
    const reference = this.#live();
    const [from, to] = checkRange(reference, start, end);
    return readBytes(reference, from, to);
  }

  /**
   * Copies bytes from JavaScript's memory or another slice to `byteOffset` (default 0) of this one: the counterpart of
   * {@link copy}. The two may overlap. Makes no view.
   *
   * @throws {CSliceError} `ERR_CSLICE_RANGE` if they do not fit
   * @example
   * using slice = Slice.alloc(16);
   * slice.copyFrom(new Uint8Array([1, 2, 3]), 8);
   */
  copyFrom(source: Slice | ArrayBuffer | ArrayBufferView, byteOffset?: number): void {
    const reference = this.#live();
    const from = isSlice(source) ? source.#live() : bytesOfOther('source', source);
    const { byteLength } = from;
    const most = reference.byteLength - byteLength;
    if (most < 0) throw rangeError(`source has ${byteLength} bytes, and the slice ${reference.byteLength}`);
    writeBytes(reference, checkIndex('byteOffset', byteOffset, 0, 0, most), from, byteLength);
  }

  /**
   * The UTF-8 text from `start` to the first NUL, or to before `end` (Go: `C.GoString`). A copy.
   *
   * @example
   * using slice = Slice.fromString('one, two');
   * console.log(slice.text(5)); // two
   */
  text(start?: number, end?: number): string {
    const reference = this.#live();
    const [from, to] = checkRange(reference, start, end);
    return hasViews ? decodeUtf8(reference.bytes, from, to) : decodeUtf8(this.copy(from, to), 0, to - from);
  }

  /**
   * The C value at `byteOffset` (default 0) as koffi would decode it: numbers, structs, arrays. A copy; pointers come
   * as addresses, C strings as text. 64-bit integers are numbers where that is exact, else bigints.
   *
   * @param type a koffi type or its name
   * @example
   * const Point = koffi.struct({ x: 'int', y: 'double' });
   * using slice = Slice.alloc(koffi.sizeof(Point));
   * slice.write(Point, 0, { x: 1, y: 0.5 });
   * console.log(slice.read(Point), slice.read('int')); // { x: 1, y: 0.5 } 1
   */
  // biome-ignore lint/suspicious/noExplicitAny: what it is depends on the C type
  read(type: TypeSpec, byteOffset?: number): any {
    this.#live();
    const codec = codecOf(type);
    const reference = this.#live();
    return codec.read(reference.cells, offsetOf(reference, codec, byteOffset));
  }

  /**
   * Writes a C value at `byteOffset`. Numbers must fit their type. Struct members that `value` lacks keep their bytes;
   * one that the struct lacks is refused.
   *
   * @param type a koffi type or its name
   * @example
   * using slice = Slice.alloc(16);
   * slice.write('uint64_t', 8, 2n ** 63n);
   */
  write(type: TypeSpec, byteOffset: number, value: unknown): void {
    const codec = codecOf(type);
    offsetOf(this.#live(), codec, byteOffset);
    const prepared = prepareValue(codec, value);
    const reference = this.#live(); // again: a getter of the value may have resized or released this slice
    codec.write(reference.cells, offsetOf(reference, codec, byteOffset), prepared);
  }

  /**
   * A slice over the bytes from `start` (default 0) to before `end` (default all), with a reference and a life of its
   * own: it outlives this one. Copies nothing; one call into C.
   *
   * @throws {CSliceError} `ERR_CSLICE_NOMEM`
   * @example
   * const slice = Slice.fromString('one, two');
   * using two = slice.subslice(5);
   * slice.release();
   * console.log(two.text()); // two
   */
  subslice(start?: number, end?: number): Slice {
    const reference = this.#live();
    const [from, to] = checkRange(reference, start, end);
    reference.divide();
    return new Slice(refer(reference, from, to - from, 'subslice'));
  }

  /**
   * An array of C structs in place from `byteOffset` (default 0): elements are read and written one by one. Copies
   * nothing.
   *
   * @param type a koffi type or its name
   * @param length elements; default: all that fit
   * @example
   * const Point = koffi.struct({ x: 'int', y: 'int' });
   * using slice = Slice.alloc(10 * koffi.sizeof(Point));
   * for (const [i] of [...slice.structs(Point)].entries()) slice.structs(Point).set(i, { x: i });
   */
  structs<T = unknown>(type: TypeSpec, byteOffset?: number, length?: number): StructArray<T> {
    this.#live();
    const codec = codecOf(type);
    const { byteLength } = this.#live();
    const start = checkIndex('byteOffset', byteOffset, 0, 0, byteLength);
    const fitting = Math.floor((byteLength - start) / codec.size);
    const count = checkIndex('length', length, fitting, 0, fitting);
    return new StructArray<T>(codec, () => this.#live().cells, start, count);
  }

  /**
   * The `cslice_block *` under this slice, for C code that takes a reference of its own with `cslice_block_ref` while
   * the slice lives. It keeps nothing alive by itself.
   *
   * @throws {CSliceError} `ERR_CSLICE_TYPE` for a borrowed slice
   */
  get block(): bigint {
    const reference = this.#counted('has no block');
    reference.tell();
    return BigInt(reference.block);
  }

  /**
   * Lends the bytes to an operation: until the promise that `use` returns has settled, the views live and the memory
   * stays, even if the slice is released in the meantime. Copies nothing.
   *
   * @returns what the promise resolves to; rejects with what it rejects with, or `use` throws
   * @example
   * const file = await open('package.json');
   * using slice = Slice.alloc(64);
   * await slice.lend((bytes) => file.read(bytes));
   * await file.close();
   * console.log(slice.text(0, 1)); // {
   */
  lend<T>(use: (bytes: Uint8Array<ArrayBuffer>) => PromiseLike<T> | T): Promise<T> {
    this.#live();
    if (typeof use !== 'function') throw typeError(`use must be a function, got ${show(use)}`);
    return lend(() => this.#live(), shownBytes, use);
  }

  /**
   * Writes the bytes to a Node stream, which is not ended. Copies nothing. The slice may be released in the meantime.
   * With a socket, a file or an HTTP/1 response the memory is free again as soon as this resolves; other streams may pass
   * the chunk on, so their memory is freed after the chunk has been collected.
   *
   * @param start default 0
   * @param end the bytes before it; default all
   * @returns a promise that resolves when the stream has done with the bytes, and rejects if it fails or is destroyed
   * @example
   * const stream = new PassThrough();
   * using slice = Slice.fromString('text');
   * await slice.writeTo(stream);
   * console.log(stream.read()?.toString('utf8', 0, 4)); // text
   */
  writeTo(writable: Writable, start?: number, end?: number): Promise<void> {
    checkRange(this.#live(), start, end);
    return writeTo(checkWritable(writable), () => this.#live(), start, end);
  }

  /**
   * Changes the size with C's `realloc`: the bytes are kept as far as they fit, new ones are zero, and the address may
   * change. Every view is detached. While Node may be using a view, or a Buffer of {@link toBuffer} lives, the bytes are
   * copied to a new block instead.
   *
   * @throws {CSliceError} `ERR_CSLICE_STATE` for memory that `alloc` did not make, a part of it, or while others hold or
   *   lend it, `ERR_CSLICE_TYPE` for a borrowed or rented slice, `ERR_CSLICE_NOMEM`, `ERR_CSLICE_LIMIT`; then the bytes
   *   are unchanged, and the views may be detached
   * @example
   * using slice = Slice.fromBytes(Uint8Array.of(1, 2));
   * slice.resize(4);
   * console.log(slice.bytes); // Uint8Array(4) [ 1, 2, 0, 0 ]
   */
  resize(byteLength: number): void {
    this.#live();
    resize(() => this.#live(), checkLength('byteLength', byteLength));
    this.#byteLength = byteLength;
    runDestructors();
  }

  /**
   * Holds the block while C works on it in the background: a `release()` in the meantime still detaches the views
   * at once, and the memory is freed when the last lease ends. Copies nothing; one call into C.
   *
   * @throws {CSliceError} `ERR_CSLICE_NOMEM`
   * @example
   * const slice = Slice.alloc(64);
   * const lease = slice.lease(); // C works with lease.address in the background
   * slice.release(); // detaches the views
   * lease.release(); // frees the memory
   */
  lease(): Lease {
    return leaseOf(this.#live());
  }

  /**
   * Detaches every view and frees the memory now; borrowed memory is only forgotten. Does nothing the second time.
   * Memory that Node may be using is freed when the old view has been collected, and lent memory after the loan. A block
   * below 1 KiB that had no views may be kept for this thread's next slice: see `configure({ reuseBytes })`.
   *
   * @example
   * const slice = Slice.alloc(64);
   * const view = slice.bytes;
   * slice.release();
   * console.log(view.length, slice.released); // 0 true
   */
  release(): void {
    const reference = this.#reference;
    if (reference === undefined) return;
    this.#reference = undefined;
    release(reference);
    runDestructors();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** Waits until no loan and no lease of this slice is left, then releases it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let reference = this.#reference; reference !== undefined && isHeld(reference); reference = this.#reference) {
      await untilNextEnd(reference);
    }
    this.release();
  }

  /**
   * Ends this handle and its views without giving the memory back: C owns it from here, and frees it with `free()` if
   * it came from {@link Slice.alloc}, else with what the destructor would have called. A destructor does not run.
   * Operations of Node that were given a view must be over: nothing keeps C from freeing the memory under them.
   *
   * @returns the address; in guard mode it may be another one than before, where `free()` can free the bytes
   * @throws {CSliceError} `ERR_CSLICE_TYPE` for a borrowed slice and for one that `keeps` something (see `func()`),
   *   `ERR_CSLICE_STATE` while others hold the block too
   * @example
   * const free = c.func('void free(void *memory)');
   * const address = Slice.alloc(64).disown();
   * free(address); // the memory is C's now
   */
  disown(): bigint {
    const address = disown(() => this.#live());
    this.#reference = undefined;
    return BigInt(address);
  }

  #live(): Reference {
    const reference = this.#reference;
    if (reference === undefined || !reference.isLive) {
      throw new CSliceError('ERR_CSLICE_RELEASED', `This slice of ${this.#byteLength} bytes has been released`);
    }
    return reference;
  }

  /** The same, once code outside of this library may have its buffer. */
  #shown(): Reference {
    const reference = this.#live();
    if (reference.seen) return reference;
    letHooksRun();
    const live = this.#live(); // again: a hook may have released or moved it
    live.show();
    return live;
  }

  /** The reference of a slice whose block is counted. */
  #counted(why: string): Reference {
    const reference = this.#live();
    if (reference.block === 0) throw typeError(`a borrowed slice ${why}`);
    return reference;
  }
}

inspectAs(Slice, (slice) => {
  const { byteLength, released } = slice;
  return released ? { byteLength, released } : { byteLength, address: slice.address, released };
});

function shownBytes(reference: Reference): Uint8Array<ArrayBuffer> {
  reference.show();
  return reference.bytes;
}

function offsetOf({ byteLength }: Reference, codec: Codec, byteOffset?: number): number {
  if (codec.size > byteLength) {
    throw rangeError(`type ${codec.name} has ${codec.size} bytes, and the slice ${byteLength}`);
  }
  return checkIndex('byteOffset', byteOffset, 0, 0, byteLength - codec.size);
}

// A handle and a view that never die. V8 forgets a hidden class once its last object is collected, and throws away every
// function that was optimized for it: a service whose slices all die between two collections would never get warm.
// It is over memory that lives as long as the thread, and is never read.
const undying = permanent();
export const immortal: Slice = newSlice(undying);
if (hasViews) undying.bytes; // by the reference: code outside of this library gets none
