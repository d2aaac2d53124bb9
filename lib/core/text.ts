import { constants } from 'node:buffer';
import { CSliceError, rangeError } from '../errors.ts';

/** New memory of JavaScript's own. @throws {CSliceError} `ERR_CSLICE_NOMEM` */
export function newBytes(byteLength: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(byteLength);
  } catch (cause) {
    throw new CSliceError('ERR_CSLICE_NOMEM', `V8 has no ${byteLength} bytes`, { cause });
  }
}

/** The UTF-8 text in a range of bytes. @throws {CSliceError} `ERR_CSLICE_RANGE` for more than a string can hold */
export function decodeUtf8(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): string {
  try {
    return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
  } catch (cause) {
    const message = `the text of ${end - start} bytes is longer than a string can be (${constants.MAX_STRING_LENGTH})`;
    throw rangeError(message, { cause });
  }
}
