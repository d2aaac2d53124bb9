/** Values that most parameters must refuse, and the kinds of parameters with what each of them takes. */
import { constants } from 'node:buffer';
import { Slice } from '../../../lib/index.ts';

function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

function detachedView<T>(make: (buffer: ArrayBuffer) => T): T {
  const buffer = new ArrayBuffer(8);
  const view = make(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  return view;
}

function released(): Slice {
  const slice = Slice.alloc(8);
  slice.bytes[0] = 1;
  slice.release();
  return slice;
}

function bytesOfReleased(): Uint8Array {
  const slice = Slice.alloc(8);
  const { bytes } = slice;
  slice.release();
  return bytes;
}

const throwing = {
  detachedView: 'a DataView of a detached buffer',
  forgedSlice: 'an object with the prototype of a slice',
  forgedView: 'an object with the prototype of a Uint8Array',
  bare: 'an object without a prototype',
};

/** Reading a property of these throws a TypeError of the engine's. A function may pass that on. */
export const throwingValues: readonly string[] = [throwing.detachedView, throwing.forgedSlice, throwing.forgedView];

/** By what they are, each made anew. */
export const values: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  'a text': () => '8',
  'an empty text': () => '',
  'a text with a NUL': () => 'a\0b',
  '0n': () => 0n,
  '-1n': () => -1n,
  '2n ** 64n': () => 2n ** 64n,
  '-1': () => -1,
  '0.5': () => 0.5,
  NaN: () => Number.NaN,
  Infinity: () => Infinity,
  '-Infinity': () => -Infinity,
  '2 ** 53': () => 2 ** 53,
  '1e300': () => 1e300,
  'one more than any view': () => constants.MAX_LENGTH + 1,
  'a symbol': () => Symbol('8'),
  'an object': () => ({}),
  'an object with a value': () => ({ valueOf: () => 8, toString: () => '8' }),
  [throwing.bare]: () => Object.create(null),
  'an array': () => [],
  'an array of wrong things': () => [null, 5, {}],
  'a function': () => () => {},
  'a date': () => new Date(0),
  'a detached buffer': detached,
  'a view of a detached buffer': () => detachedView((buffer) => new Uint8Array(buffer)),
  [throwing.detachedView]: () => detachedView((buffer) => new DataView(buffer)),
  'a released slice': released,
  'the bytes of a released slice': bytesOfReleased,
  [throwing.forgedSlice]: () => Object.create(Slice.prototype),
  [throwing.forgedView]: () => Object.create(Uint8Array.prototype),
};

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

/** What a parameter is for. */
export type Kind =
  | 'length'
  | 'index'
  | 'limit'
  | 'address'
  | 'bytes'
  | 'text'
  | 'flag'
  | 'options'
  | 'settings'
  | 'members'
  | 'sized'
  | 'number'
  | 'owner'
  | 'destructor'
  | 'destructorOrNull'
  | 'parts'
  | 'optionalParts'
  | 'name'
  | 'label'
  | 'class'
  | 'type'
  | 'int'
  | 'library'
  | 'symbol'
  | 'function'
  | 'shared'
  | 'callback'
  | 'stream'
  | 'anything';

function propertyOf(value: unknown, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

/** Whether a parameter of this kind takes the value. For every other value the function must throw a CSliceError. */
export const takes: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  length: () => false,
  index: (value) => value === undefined,
  limit: (value) => value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0),
  address: () => false,
  bytes: () => false,
  text: (value) => typeof value === 'string' && !value.includes('\0'),
  flag: (value) => value === undefined || typeof value === 'boolean',
  options: (value) => value === undefined || isObject(value),
  settings: isObject,
  members: () => false,
  sized: (value) => typeof propertyOf(value, 'byteLength') === 'number',
  number: (value) => typeof value === 'number' || typeof value === 'bigint',
  owner: (value) => value === undefined || isObject(value) || typeof value === 'function',
  destructor: (value) => typeof value === 'function',
  destructorOrNull: (value) => value === null || typeof value === 'function',
  optionalParts: (value) => value === undefined || (Array.isArray(value) && value.length === 0),
  name: (value) => typeof value === 'string' && value !== '',
  label: (value) => typeof value === 'string',
  parts: (value) => Array.isArray(value) && value.length === 0,
  class: () => false,
  type: () => false,
  int: (value) => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31,
  library: () => false,
  symbol: () => false,
  function: () => false,
  shared: () => false,
  callback: (value) => typeof value === 'function',
  stream: () => false,
  anything: () => true,
};
