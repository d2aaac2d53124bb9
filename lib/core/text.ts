import { constants } from 'node:buffer';
import { CSliceError, rangeError } from '../errors.ts';
import type { Integer } from '../native/host.ts';
import { stringAt, stringSize, wideStringAt } from '../native/symbols.ts';
import { toInteger } from './check.ts';

const Bytes = Uint8Array; // a program may put a class of its own in its place later

/** New memory of JavaScript's own. @throws {CSliceError} `ERR_CSLICE_NOMEM` */
export function newBytes(byteLength: number): Uint8Array<ArrayBuffer> {
  try {
    return new Bytes(byteLength);
  } catch (cause) {
    throw new CSliceError('ERR_CSLICE_NOMEM', `V8 has no ${byteLength} bytes`, { cause });
  }
}

interface Decoder {
  utf8Slice(this: Uint8Array, start: number, end: number): string;
}

/** Node's own decoder: no property of a view can take its place. */
const { utf8Slice } = Buffer.prototype as unknown as Decoder;
const { indexOf } = Uint8Array.prototype;

function tooLong(size: number, cause?: unknown): CSliceError {
  return rangeError(`a text of ${size} bytes is longer than a string can be (${constants.MAX_STRING_LENGTH})`, {
    cause,
  });
}

/** The UTF-8 text from `start` to the first NUL, or to before `end`. @throws {CSliceError} `ERR_CSLICE_RANGE` */
export function decodeUtf8(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): string {
  const nul = indexOf.call(bytes, 0, start);
  const stop = nul < 0 ? end : Math.min(nul, end);
  try {
    return utf8Slice.call(bytes, start, stop);
  } catch (cause) {
    throw tooLong(stop - start, cause);
  }
}

/** The C string at an address that is not NULL, by the width of its characters. @throws {CSliceError} `ERR_CSLICE_RANGE` */
export function textAt(width: 1 | 2 | 4, address: bigint | Integer): string {
  const at = toInteger(BigInt(address));
  const size = stringSize(at, width);
  if (size / width > constants.MAX_STRING_LENGTH) throw tooLong(size); // Node-API would abort the process
  return width === 1 ? stringAt(at) : wideStringAt(width, BigInt(address));
}
