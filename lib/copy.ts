import { copyBetween, readBytesAt } from './core/block.ts';
import { bytesOfOther, checkIndex, checkRegion, toInteger } from './core/check.ts';
import { isSlice, liveReference, type Slice } from './slice.ts';

/**
 * What {@link copy} reads or writes: a slice, or JavaScript memory.
 *
 * @example
 * const source: cslice.Bytes = Uint8Array.of(1, 2);
 * const destination: cslice.Bytes = Slice.alloc(2);
 * copy(destination, source);
 */
export type Bytes = Slice | ArrayBuffer | ArrayBufferView;

/**
 * Copies bytes between slices and JavaScript memory, in any combination, from the start of each. The two may overlap.
 * Allocates nothing and makes no view.
 *
 * @param byteLength default: all of `source`
 * @throws {CSliceError} `ERR_CSLICE_RANGE` if it exceeds either side, `ERR_CSLICE_RELEASED`, `ERR_CSLICE_TYPE`
 * @example
 * using slice = Slice.alloc(4);
 * copy(slice, Uint8Array.of(1, 2, 3));
 * console.log(slice.bytes); // Uint8Array(4) [ 1, 2, 3, 0 ]
 */
export function copy(destination: Bytes, source: Bytes, byteLength?: number): void {
  const to = isSlice(destination) ? liveReference(destination) : bytesOfOther('destination', destination);
  const from = isSlice(source) ? liveReference(source) : bytesOfOther('source', source);
  const length = checkLengthOfCopy(byteLength, to, from);
  copyBetween(to, from, length);
}

interface Sized {
  readonly byteLength: number;
}

function checkLengthOfCopy(byteLength: number | undefined, destination: Sized, source: Sized): number {
  const most = Math.min(destination.byteLength, source.byteLength);
  return checkIndex('byteLength', byteLength === undefined ? source.byteLength : byteLength, 0, 0, most);
}

/**
 * A copy of `byteLength` bytes at `address`, in JavaScript's own memory (Go: `C.GoBytes`). The caller promises that
 * they are readable: nothing can check that.
 *
 * @throws {CSliceError} `ERR_CSLICE_RANGE` for NULL or a length that no array can have, `ERR_CSLICE_TYPE`
 * @example
 * const getenv = c.func('void *getenv(const char *name)');
 * const path = getenv('PATH'); // C's own memory
 * if (path !== null) console.log(copyBytes(path, 4).length); // 4
 */
export function copyBytes(address: bigint, byteLength: number): Uint8Array<ArrayBuffer> {
  checkRegion(address, byteLength);
  return readBytesAt(toInteger(address), byteLength);
}
