import { constants } from 'node:buffer';
import { types } from 'node:util';
import { rangeError, show, typeError, unreadable } from '../errors.ts';
import type { Integer } from '../native/symbols.ts';

const Bytes = Uint8Array; // a program may put a class of its own in its place later

/** The longest ArrayBuffer of this runtime. Making a longer view aborts the process, so it is checked before. */
export const longestView: number = constants.MAX_LENGTH;

/** A count of bytes or elements that a view can have. */
export function checkLength(name: string, value: unknown): number {
  if (typeof value !== 'number') throw typeError(`${name} must be a number, got ${show(value)}`);
  if (!Number.isSafeInteger(value) || value < 0 || value > longestView) {
    throw rangeError(`${name} must be an integer from 0 to ${longestView}, got ${value}`);
  }
  return value;
}

/** An integer from `lowest` to `highest`; `undefined` stands for `fallback`. */
export function checkIndex(name: string, value: unknown, fallback: number, lowest: number, highest: number): number {
  return value === undefined ? fallback : checkInteger(name, value, lowest, highest);
}

export function checkInteger(name: string, value: unknown, lowest: number, highest: number): number {
  if (typeof value !== 'number') throw typeError(`${name} must be a number, got ${show(value)}`);
  if (!Number.isInteger(value) || value < lowest || value > highest) {
    throw rangeError(`${name} must be an integer from ${lowest} to ${highest}, got ${value}`);
  }
  return value;
}

/** From where to where in so many bytes. */
export function checkRange(
  { byteLength }: { readonly byteLength: number },
  start: number | undefined,
  end: number | undefined,
): [number, number] {
  const from = checkIndex('start', start, 0, 0, byteLength);
  return [from, checkIndex('end', end, byteLength, from, byteLength)];
}

const highestAddress = (1n << 64n) - 1n;

/** An address other than NULL. */
export function checkAddress(name: string, value: unknown): bigint {
  if (typeof value !== 'bigint') throw typeError(`${name} must be a bigint, got ${show(value)}`);
  if (value <= 0n || value > highestAddress) {
    throw rangeError(`${name} must be an address from 0x1 to 0x${highestAddress.toString(16)}, got ${value}`);
  }
  return value;
}

/** An address and a length that do not wrap around the end of memory. */
export function checkRegion(address: unknown, byteLength: unknown): asserts address is bigint {
  const start = checkAddress('address', address);
  const length = checkLength('byteLength', byteLength);
  if (start + BigInt(length) > highestAddress) {
    throw rangeError(`byteLength ${length} from address 0x${start.toString(16)} passes the end of memory`);
  }
}

/** The size in bytes of a text as a C string: in UTF-8, with its NUL. */
export function checkText(text: unknown): number {
  if (typeof text !== 'string') throw typeError(`text must be a string, got ${show(text)}`);
  const nul = text.indexOf('\0');
  if (nul >= 0) throw rangeError(`text must not contain a NUL, which ends a C string; found one at ${nul}`);
  return checkLength('the text in UTF-8', Buffer.byteLength(text) + 1);
}

/** The cheapest exact form for crossing into C. */
export function toInteger(address: bigint): Integer {
  return address <= Number.MAX_SAFE_INTEGER ? Number(address) : address;
}

export function advance(address: Integer, byteOffset: number): Integer {
  return typeof address === 'number' ? address + byteOffset : address + BigInt(byteOffset);
}

export function remainder(address: Integer, divisor: number): number {
  return typeof address === 'number' ? address % divisor : Number(address % BigInt(divisor));
}

/**
 * The bytes of any buffer or view that is not detached, as a view of our own with a length that does not follow the
 * buffer's. No copy.
 */
export function bytesOf(name: string, source: unknown, known = 'an ArrayBuffer or a view of one'): Uint8Array {
  try {
    const bytes = asBytes(source);
    if (bytes?.byteLength === 0) new Bytes(bytes.buffer); // throws for a detached buffer, whose length is 0
    if (bytes !== undefined) return bytes;
  } catch {
    throw typeError(`${name} must not be detached`);
  }
  throw typeError(`${name} must be ${known}, got ${show(source)}`);
}

/** The same for what takes slices too, by a caller that has looked for those. */
export function bytesOfOther(name: string, source: unknown): Uint8Array {
  return bytesOf(name, source, 'a Slice, an ArrayBuffer or a view of one');
}

/** A getter that no subclass and no own property of the view can shadow: C will read as far as it says. */
function getterOf<T>(prototype: object, key: string): (view: ArrayBufferView) => T {
  const get = Object.getOwnPropertyDescriptor(prototype, key)?.get as () => T;
  return (view) => get.call(view);
}

function gettersOf(prototype: object) {
  return {
    buffer: getterOf<ArrayBuffer>(prototype, 'buffer'),
    byteOffset: getterOf<number>(prototype, 'byteOffset'),
    byteLength: getterOf<number>(prototype, 'byteLength'),
  };
}

const ofTypedArray = gettersOf(Object.getPrototypeOf(Uint8Array.prototype));
const ofDataView = gettersOf(DataView.prototype);

/** The language's own getters, which no property of the object can hide. */
export const lengthOfBytes: (array: NodeJS.TypedArray) => number = ofTypedArray.byteLength;

function lengthGetter<T extends object>(prototype: T): (this: T) => number {
  return Object.getOwnPropertyDescriptor(prototype, 'byteLength')?.get as (this: T) => number;
}

export const byteLengthOf: (this: ArrayBuffer) => number = lengthGetter(ArrayBuffer.prototype);
const sharedLengthOf = lengthGetter(SharedArrayBuffer.prototype);

function asBytes(source: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(source)) {
    const { buffer, byteOffset, byteLength } = types.isDataView(source) ? ofDataView : ofTypedArray;
    return new Bytes(buffer(source), byteOffset(source), byteLength(source));
  }
  if (types.isSharedArrayBuffer(source)) return new Bytes(source, 0, sharedLengthOf.call(source));
  return types.isAnyArrayBuffer(source) ? new Bytes(source, 0, byteLengthOf.call(source as ArrayBuffer)) : undefined;
}

/** A copy of an array, whose elements are read here once. */
export function elementsOf<T>(name: string, array: readonly T[]): T[] {
  try {
    if (Array.isArray(array)) return Array.from(array);
  } catch (cause) {
    throw unreadable(name, cause);
  }
  throw typeError(`${name} must be an array, got ${show(array)}`);
}

/** The size in bytes of an element of a typed array class; 1 for DataView. Classes of other realms are fine. */
export function elementSizeOf(name: string, type: unknown): number {
  try {
    if (typeof type === 'function') {
      const size = (type as { BYTES_PER_ELEMENT?: unknown }).BYTES_PER_ELEMENT;
      if (size === 1 || size === 2 || size === 4 || size === 8) return size;
      if (type.prototype?.[Symbol.toStringTag] === 'DataView') return 1;
    }
  } catch (cause) {
    throw unreadable(name, cause);
  }
  throw typeError(`${name} must be a typed array class or DataView, got ${show(type)}`);
}
