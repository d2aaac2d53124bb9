import { codecOf, type Place, prepareValue } from './codec/codec.ts';
import { allocate, allocateWith } from './core/block.ts';
import {
  advance,
  bytesOf,
  checkIndex,
  checkInteger,
  checkLength,
  checkText,
  elementSizeOf,
  remainder,
} from './core/check.ts';
import { runDestructors } from './core/destructor.ts';
import { inspectAs } from './core/inspect.ts';
import { readOptions } from './core/options.ts';
import { type Reference, viewOf } from './core/reference.ts';
import { CSliceError, rangeError, show, typeError } from './errors.ts';
import type { TypeSpec } from './native/koffi.ts';
import { isSlice, liveReference, type ViewConstructor } from './slice.ts';

/**
 * How an arena takes its memory.
 *
 * @example
 * using arena = new Arena({ slabBytes: 1 << 20 });
 */
export interface ArenaOptions {
  /** The size of the blocks that allocations are cut from. Default 64 KiB. */
  slabBytes?: number;
}

/**
 * How {@link Arena.alloc} places its bytes.
 *
 * @example
 * using arena = new Arena();
 * const line = arena.alloc(64, { alignment: 64 });
 */
export interface ArenaAllocOptions {
  /** A power of two in bytes. Default 16. */
  alignment?: number;
}

const defaultSlabBytes = 64 * 1024;
const defaultAlignment = 16;
const largestSlab = 2 ** 30; // so that offsets are small integers

/**
 * Many small C values with one release. Allocations are views into zeroed blocks ("slabs"): aligned, never overlapping,
 * and all ended by the release. One that is larger than a quarter of a slab gets a block of its own.
 *
 * An arena that is dropped is collected block by block, each when no view of it is left.
 *
 * Every method throws a {@link CSliceError}: `ERR_CSLICE_RELEASED` after the release, `ERR_CSLICE_RANGE` and
 * `ERR_CSLICE_TYPE` for wrong arguments, `ERR_CSLICE_NOMEM` when memory is exhausted.
 *
 * @example
 * using arena = new Arena();
 * const path = arena.string('/tmp/file'); // UTF-8 and a NUL
 * const numbers = arena.array(Float64Array, 100);
 * console.log(arena.address(path) > 0n, numbers.length); // true 100
 */
export class Arena implements Disposable {
  readonly #slabBytes: number;
  readonly #slabs = new Map<ArrayBufferLike, Reference>();
  readonly #children = new Set<Arena>();
  #parent: Arena | undefined;
  /** The slab that small allocations come from. `#size` is -1 where there is none. */
  #slab: Reference | undefined;
  #used = 0;
  #size = -1;
  #released = false;

  /** An arena without memory: the first allocation makes its first slab. */
  constructor(options: ArenaOptions = {}) {
    const { slabBytes } = readOptions('options', options, ['slabBytes']);
    this.#slabBytes = checkIndex('slabBytes', slabBytes, defaultSlabBytes, 64, largestSlab);
  }

  /** Whether the arena has been released. */
  get released(): boolean {
    return this.#released;
  }

  /** What the arena has of C memory, used or not, without the arenas below it. */
  get allocatedBytes(): number {
    let sum = 0;
    for (const { byteLength } of this.#slabs.values()) sum += byteLength;
    return sum;
  }

  /** Zeroed bytes. */
  alloc(byteLength: number, options?: ArenaAllocOptions): Uint8Array<ArrayBuffer> {
    checkLength('byteLength', byteLength);
    const bytes = this.#bytes(byteLength, options === undefined ? defaultAlignment : alignmentOf(options));
    runDestructors();
    return bytes;
  }

  /** A zeroed typed array. `length` is in elements. */
  array<T>(type: ViewConstructor<T>, length: number): T {
    const elementSize = elementSizeOf('type', type);
    checkLength('length', length);
    const { buffer, byteOffset } = this.#bytes(checkLength('byteLength', length * elementSize), defaultAlignment);
    const view = viewOf(type, buffer, byteOffset, length); // first: a destructor may release this arena
    runDestructors();
    return view;
  }

  /** The text in UTF-8 and a NUL. */
  string(text: string): Uint8Array<ArrayBuffer> {
    const bytes = this.#text(text);
    runDestructors();
    return bytes;
  }

  /**
   * A C value, as koffi would encode it: a struct, an array of structs, a number. Strings that pointer members get are
   * put into the arena too, and views of the arena and slices stand for their addresses.
   *
   * @param type a koffi type or its name
   * @example
   * const Entry = koffi.struct({ id: 'int', name: 'const char *' });
   * using arena = new Arena();
   * const entry = arena.struct(Entry, { id: 1, name: 'one' });
   * console.log(koffi.decode(arena.address(entry), Entry)); // { id: 1, name: 'one' }
   */
  struct(type: TypeSpec, value: unknown): Uint8Array<ArrayBuffer> {
    const codec = codecOf(type);
    const prepared = prepareValue(codec, value, this.#place);
    const bytes = this.#bytes(codec.size, codec.alignment);
    codec.write(new DataView(bytes.buffer, bytes.byteOffset, codec.size), 0, prepared);
    runDestructors();
    return bytes;
  }

  /** Where the bytes of a view are that this arena made, or of any view into one. */
  address(view: ArrayBufferView): bigint {
    this.#live();
    const { buffer, byteOffset } = bytesOf('view', ArrayBuffer.isView(view) ? view : undefined);
    const slab = this.#slabs.get(buffer);
    if (slab === undefined) throw typeError(`view must be a view that this arena made, got ${show(view)}`);
    return BigInt(slab.address) + BigInt(byteOffset);
  }

  /** An arena that is released with this one, or before it. */
  arena(options?: ArenaOptions): Arena {
    this.#live();
    const child = new Arena(options);
    this.#live(); // again: a getter of the options may have released it
    child.#parent = this;
    this.#children.add(child);
    return child;
  }

  /** Detaches every view and frees all memory. Does nothing the second time. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    if (this.#parent !== undefined) this.#parent.#children.delete(this);
    for (const child of this.#children) child.release();
    const slabs = [...this.#slabs.values()];
    this.#children.clear();
    this.#slabs.clear();
    this.#slab = undefined;
    this.#size = -1;
    for (const slab of slabs) slab.end();
    runDestructors();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  #live(): void {
    if (this.#released) throw new CSliceError('ERR_CSLICE_RELEASED', 'This arena has been released');
  }

  #text(text: string): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes(checkText(text), 1);
    encoder.encodeInto(text, bytes);
    return bytes;
  }

  /** Room for so many bytes. A new slab may run destructors, after which everything is looked at again. */
  #bytes(byteLength: number, alignment: number): Uint8Array<ArrayBuffer> {
    this.#live();
    const start = this.#startFor(alignment);
    if (this.#slab === undefined || start + byteLength > this.#size || !this.#slab.isLive) {
      return this.#bytesOfNewSlab(byteLength, alignment); // also where someone has moved the slab
    }
    this.#used = start + byteLength;
    return new Uint8Array(this.#slab.show(), start, byteLength);
  }

  /** Slabs start at multiples of 16, so a stricter alignment is reckoned from the address. */
  #startFor(alignment: number): number {
    if (alignment <= defaultAlignment) return (this.#used + alignment - 1) & -alignment;
    if (this.#slab === undefined) return 0;
    const rest = remainder(advance(this.#slab.address, this.#used), alignment);
    return this.#used + (rest === 0 ? 0 : alignment - rest);
  }

  #bytesOfNewSlab(byteLength: number, alignment: number): Uint8Array<ArrayBuffer> {
    const isLarge = byteLength > this.#slabBytes / 4; // the small ones keep their slab
    const size = isLarge ? byteLength : this.#slabBytes;
    const slab =
      alignment > defaultAlignment ? allocateWith(size, { zero: true, alignment }, 'arena') : allocate(size, 'arena');
    const buffer = slab.show();
    slab.lock();
    if (this.#released) {
      slab.end(); // by a destructor that ran for want of memory
      this.#live();
    }
    this.#slabs.set(buffer, slab);
    if (!isLarge) {
      this.#slab = slab;
      this.#size = size;
      this.#used = byteLength;
    }
    return new Uint8Array(buffer, 0, byteLength);
  }

  readonly #place: Place = (value) => {
    if (typeof value === 'string') return this.address(this.#text(value));
    if (isSlice(value)) return BigInt(liveReference(value).address);
    return ArrayBuffer.isView(value) ? this.address(value) : undefined;
  };
}

inspectAs(Arena, (arena) => ({ allocatedBytes: arena.allocatedBytes, released: arena.released }));

const encoder = new TextEncoder();
const largestAlignment = 2 ** 30;

function alignmentOf(options: ArenaAllocOptions): number {
  const { alignment = defaultAlignment } = readOptions('options', options, ['alignment']);
  checkInteger('alignment', alignment, 1, largestAlignment);
  if (!Number.isInteger(Math.log2(alignment))) throw rangeError(`alignment must be a power of two, got ${alignment}`);
  return alignment;
}
