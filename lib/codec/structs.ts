import { checkInteger } from '../core/check.ts';
import { rangeError } from '../errors.ts';
import { type Codec, prepareValue } from './codec.ts';

/**
 * C structs (or other values) one after the other in a slice, in place. Made by `slice.structs()`. Nothing is decoded
 * but what is asked for. Every use throws `ERR_CSLICE_RELEASED` once the slice is released.
 *
 * @example
 * const Point = koffi.struct({ x: 'int', y: 'int' });
 * using slice = Slice.alloc(1000 * koffi.sizeof(Point));
 * const points = slice.structs<{ x: number; y: number }>(Point);
 * points.set(1, { x: 3, y: 4 });
 * console.log(points.length, points.get(1)); // 1000 { x: 3, y: 4 }
 */
export class StructArray<T = unknown> implements Iterable<T> {
  readonly #codec: Codec;
  readonly #view: () => DataView;
  readonly #start: number;
  /** How many elements there are. */
  readonly length: number;

  constructor(codec: Codec, view: () => DataView, start: number, length: number) {
    this.#codec = codec;
    this.#view = view;
    this.#start = start;
    this.length = length;
  }

  /** A copy of one element. @throws {CSliceError} `ERR_CSLICE_RANGE` */
  get(index: number): T {
    const view = this.#view();
    return this.#codec.read(view, this.#offsetOf(index, view)) as T;
  }

  /**
   * Overwrites one element; struct members that `value` lacks keep their bytes.
   *
   * @throws {CSliceError} `ERR_CSLICE_TYPE`, `ERR_CSLICE_RANGE`, `ERR_CSLICE_RELEASED`
   */
  set(index: number, value: Partial<T>): void {
    this.#offsetOf(index, this.#view());
    const prepared = prepareValue(this.#codec, value);
    const view = this.#view(); // again: a getter of the value may have changed the slice
    this.#codec.write(view, this.#offsetOf(index, view), prepared);
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = 0; i < this.length; i++) yield this.get(i);
  }

  #offsetOf(index: number, view: DataView): number {
    const offset = this.#start + checkInteger('index', index, 0, this.length - 1) * this.#codec.size;
    if (offset + this.#codec.size > view.byteLength)
      throw rangeError(`index ${index} is past the end of the resized slice`);
    return offset;
  }
}
