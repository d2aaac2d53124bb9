import {
  advance,
  bytesOf,
  checkIndex,
  checkInteger,
  checkLength,
  elementSizeOf,
  remainder,
  toInteger,
} from './core/check.ts';
import { codecOf, type Place } from './core/codec.ts';
import { CSliceError, rangeError, show, typeError } from './errors.ts';
import type { TypeSpec } from './native/koffi.ts';
import { Slice, type ViewConstructor } from './slice.ts';

export interface ArenaOptions {
  /** The size of the blocks that allocations are cut from. Default 64 KiB. */
  slabBytes?: number;
}

export interface ArenaAllocOptions {
  /** A power of two in bytes. Default 16. */
  alignment?: number;
}

const defaultSlabBytes = 64 * 1024;
const defaultAlignment = 16;
const largestSlab = 2 ** 30; // so that offsets are small integers

/**
 * Many small C values with one release. Allocations are views into zeroed blocks ("slabs"): aligned, never overlapping,
 * and all dead after the release. One that is larger than a quarter of a slab gets a block of its own.
 *
 * An arena that is dropped is collected block by block, each when no view of it is left.
 *
 * Every method throws a {@link CSliceError}: `ERR_CSLICE_RELEASED` after the release, `ERR_CSLICE_RANGE` and
 * `ERR_CSLICE_TYPE` for wrong arguments, `ERR_CSLICE_NOMEM` when memory is exhausted.
 *
 * @example
 * using arena = new Arena();
 * const path = arena.string('/tmp/file');
 * open(arena.address(path), 0);
 */
export class Arena implements Disposable {
  readonly #slabBytes: number;
  readonly #slabs = new Map<ArrayBufferLike, Slice>();
  readonly #children = new Set<Arena>();
  #parent: Arena | undefined;
  /** The slab that small allocations come from. `#size` is -1 where there is none. */
  #slab: ArrayBuffer | undefined;
  #used = 0;
  #size = -1;
  /** Where the last reservation starts in its buffer. */
  #start = 0;
  #released = false;

  constructor(options: ArenaOptions = {}) {
    if (typeof options !== 'object' || options === null) {
      throw typeError(`options must be an object, got ${show(options)}`);
    }
    this.#slabBytes = checkIndex('slabBytes', options.slabBytes, defaultSlabBytes, 64, largestSlab);
  }

  get released(): boolean {
    return this.#released;
  }

  /** Zeroed bytes. */
  alloc(byteLength: number, options?: ArenaAllocOptions): Uint8Array<ArrayBuffer> {
    checkLength('byteLength', byteLength);
    const alignment = options === undefined ? defaultAlignment : alignmentOf(options);
    const buffer = this.#reserve(byteLength, alignment);
    return new Uint8Array(buffer, this.#start, byteLength);
  }

  /** A zeroed typed array. `length` is in elements. */
  array<T>(type: ViewConstructor<T>, length: number): T {
    const elementSize = elementSizeOf('type', type);
    checkLength('length', length);
    const buffer = this.#reserve(checkLength('byteLength', length * elementSize), defaultAlignment);
    return new type(buffer, this.#start, length);
  }

  /** The text in UTF-8 and a NUL. */
  string(text: string): Uint8Array<ArrayBuffer> {
    if (typeof text !== 'string') throw typeError(`text must be a string, got ${show(text)}`);
    const nul = text.indexOf('\0');
    if (nul >= 0) throw rangeError(`text must not contain a NUL, which ends a C string; found one at ${nul}`);
    const byteLength = Buffer.byteLength(text);
    const bytes = this.alloc(byteLength + 1, byteAligned);
    Buffer.from(bytes.buffer, bytes.byteOffset, byteLength).write(text);
    return bytes;
  }

  /**
   * A C value, as koffi would encode it: a struct, an array of structs, a number. Strings that pointer members get are
   * put into the arena too, and views of the arena and slices stand for their addresses.
   *
   * @param type a koffi type or its name
   */
  struct(type: TypeSpec, value: unknown): Uint8Array<ArrayBuffer> {
    const codec = codecOf(type);
    const buffer = this.#reserve(codec.size, codec.alignment);
    const bytes = new Uint8Array(buffer, this.#start, codec.size);
    codec.write(new DataView(buffer, this.#start, codec.size), 0, value, this.#place);
    return bytes;
  }

  /** Where the bytes of a view are that this arena made, or of any view into one. */
  address(view: ArrayBufferView): bigint {
    this.#live();
    const { buffer, byteOffset } = bytesOf('view', ArrayBuffer.isView(view) ? view : undefined);
    const slab = this.#slabs.get(buffer);
    if (slab === undefined) throw typeError(`view must be a view that this arena made, got ${show(view)}`);
    return slab.address + BigInt(byteOffset);
  }

  /** An arena that is released with this one, or before it. */
  arena(options?: ArenaOptions): Arena {
    this.#live();
    const child = new Arena(options);
    child.#parent = this;
    this.#children.add(child);
    return child;
  }

  /** Kills every view and gives all memory back. Does nothing the second time. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    if (this.#parent !== undefined) this.#parent.#children.delete(this);
    for (const child of this.#children) child.release();
    for (const slab of this.#slabs.values()) slab.release();
    this.#children.clear();
    this.#slabs.clear();
    this.#slab = undefined;
    this.#size = -1;
  }

  [Symbol.dispose](): void {
    this.release();
  }

  #live(): void {
    if (this.#released) throw new CSliceError('ERR_CSLICE_RELEASED', 'This arena has been released');
  }

  /** The buffer with room for the bytes; `#start` says where in it. */
  #reserve(byteLength: number, alignment: number): ArrayBuffer {
    if (alignment > defaultAlignment) return this.#reserveAligned(byteLength, alignment);
    const start = (this.#used + alignment - 1) & -alignment;
    const slab = this.#slab;
    if (start + byteLength > this.#size || slab?.byteLength !== this.#size) {
      return this.#reserveAnew(byteLength, defaultAlignment); // also where someone has moved the slab
    }
    this.#used = start + byteLength;
    this.#start = start;
    return slab;
  }

  /** Slabs start at multiples of 16, so a stricter alignment is reckoned from the address. */
  #reserveAligned(byteLength: number, alignment: number): ArrayBuffer {
    this.#live();
    const slab = this.#slab === undefined ? undefined : this.#slabs.get(this.#slab);
    if (slab === undefined) return this.#reserveAnew(byteLength, alignment);
    const rest = remainder(advance(toInteger(slab.address), this.#used), alignment);
    const start = this.#used + (rest === 0 ? 0 : alignment - rest);
    if (start + byteLength > this.#size) return this.#reserveAnew(byteLength, alignment);
    this.#used = start + byteLength;
    this.#start = start;
    return slab.buffer;
  }

  #reserveAnew(byteLength: number, alignment: number): ArrayBuffer {
    this.#live();
    this.#start = 0;
    if (byteLength > this.#slabBytes / 4) return this.#addSlab(byteLength, alignment); // the small ones keep their slab
    this.#slab = this.#addSlab(this.#slabBytes, alignment);
    this.#size = this.#slabBytes;
    this.#used = byteLength;
    return this.#slab;
  }

  #addSlab(byteLength: number, alignment: number): ArrayBuffer {
    const slab = Slice.alloc(byteLength, alignment > defaultAlignment ? { alignment } : undefined);
    try {
      this.#slabs.set(slab.buffer, slab);
      return slab.buffer;
    } catch (error) {
      slab.release();
      throw error;
    }
  }

  readonly #place: Place = (value) => {
    if (typeof value === 'string') return this.address(this.string(value));
    if (value instanceof Slice) return value.address;
    return ArrayBuffer.isView(value) ? this.address(value) : undefined;
  };
}

const byteAligned: ArenaAllocOptions = { alignment: 1 };
const largestAlignment = 2 ** 30;

function alignmentOf(options: ArenaAllocOptions): number {
  if (typeof options !== 'object' || options === null)
    throw typeError(`options must be an object, got ${show(options)}`);
  const { alignment = defaultAlignment } = options;
  checkInteger('alignment', alignment, 1, largestAlignment);
  if (!Number.isInteger(Math.log2(alignment))) throw rangeError(`alignment must be a power of two, got ${alignment}`);
  return alignment;
}
