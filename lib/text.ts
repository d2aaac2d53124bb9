import { checkAddress } from './core/check.ts';
import { textAt } from './core/text.ts';

/**
 * The text of a NUL-terminated UTF-8 string at `address` (Go: `C.GoString`). A copy; C's string is left as it is. The
 * caller promises that it is there and ends: nothing can check that.
 *
 * @throws {CSliceError} `ERR_CSLICE_RANGE` for NULL, `ERR_CSLICE_TYPE`
 * @example
 * const getenv = c.func('void *getenv(const char *name)');
 * const path = getenv('PATH'); // C's own memory
 * if (path !== null) console.log(readString(path) === process.env.PATH); // true
 */
export function readString(address: bigint): string {
  return textAt(1, checkAddress('address', address));
}
