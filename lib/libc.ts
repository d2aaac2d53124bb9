import { checkInteger, toInteger } from './core/check.ts';
import { CSliceError } from './errors.ts';
import { print as printAddress, random, srandom } from './native/symbols.ts';
import { Slice } from './slice.ts';

/** The functions of the C library that the article calls. */
export const libc = {
  /** C's `random()`: from 0 to 2³¹ − 1. One generator for the whole process, C code included. */
  random(): number {
    return random();
  },

  /** C's `srandom(seed)`: the same seed gives the same numbers. @throws {CSliceError} unless it is an unsigned int */
  srandom(seed: number): void {
    srandom(checkInteger('seed', seed, 0, 0xffff_ffff));
  },

  /**
   * Writes text to C's stdout by `fputs`, as it is, and flushes it, so that it stands in order with `console.log` where
   * Node writes synchronously (files, terminals and, but for Windows, pipes). The C copy of the text is freed.
   *
   * @throws {CSliceError} `ERR_CSLICE_RANGE` for a text with a NUL; an `Error` with the errno if C cannot write
   */
  print(text: string): void {
    using copy = Slice.fromString(text);
    const errno = printAddress(toInteger(copy.address));
    if (errno !== 0) throw new CSliceError('ERR_CSLICE_RANGE', `fputs to stdout failed with errno ${errno}`);
  },
} as const;
