/**
 * C values in a DataView, by koffi's own type descriptions. koffi's decode and encode would do, but for three things:
 * they segfault in a worker that is being terminated, know no bounds, and cost several times as much.
 */

import { textAt } from '../core/text.ts';
import { isOurs, rangeError, show, typeError, unreadable } from '../errors.ts';
import type { TypeObject, TypeSpec } from '../native/koffi.ts';
import { typeByName } from '../native/symbols.ts';
import { readType, scalarLayout, type TypeLayout } from './type-layout.ts';

/** Finds memory for what a pointer is given that is no address: text, a view. `undefined`: it cannot. */
export type Place = (value: unknown) => bigint | undefined;

/**
 * Reads and writes one C type. The caller has checked that the bytes are in bounds. A value is prepared before it is
 * written: its getters run then, so that nothing comes between the check of the place and the writing.
 */
export interface Codec {
  readonly name: string;
  readonly size: number;
  readonly alignment: number;
  read(view: DataView, offset: number): unknown;
  /** What is to be written, read once and checked. @throws {CSliceError} for a value that does not fit */
  prepare(value: unknown, place?: Place): unknown;
  /** Writes what {@link prepare} gave. */
  write(view: DataView, offset: number, prepared: unknown): void;
}

/** As they are now: a program may put functions of its own in their place, which would get the view. */
const { getUint8, setUint8, getUint32, setUint32, getBigUint64, setBigUint64 } = DataView.prototype;

/** With its article. */
function a(name: string): string {
  return /^([aeio]|unsigned)/.test(name) ? `an ${name}` : `a ${name}`;
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const codecs = new WeakMap<TypeObject, Codec>();
const codecsByName = new Map<string, Codec>();

/**
 * What {@link Codec.prepare} gives of a value of the user's, whose getters and traps may throw.
 *
 * @throws {CSliceError}
 */
export function prepareValue(codec: Codec, value: unknown, place?: Place): unknown {
  try {
    return codec.prepare(value, place);
  } catch (cause) {
    throw unreadable('value', cause);
  }
}

/** @throws {CSliceError} `ERR_CSLICE_TYPE` for a type that koffi does not know or that has no size */
export function codecOf(spec: TypeSpec): Codec {
  if (typeof spec === 'string') {
    let codec = codecsByName.get(spec);
    if (codec === undefined) {
      codec = compileByName(spec);
      codecsByName.set(spec, codec);
    }
    return codec;
  }
  return codecOfType(spec as TypeObject);
}

/** The usual names of C's own numbers, so that a worker thread need not start koffi for them. */
const primitives: Record<string, string> = {
  bool: 'Bool',
  char: 'Int8',
  'signed char': 'Int8',
  uchar: 'UInt8',
  'unsigned char': 'UInt8',
  short: 'Int16',
  ushort: 'UInt16',
  'unsigned short': 'UInt16',
  int: 'Int32',
  uint: 'UInt32',
  'unsigned int': 'UInt32',
  float: 'Float32',
  float32: 'Float32',
  double: 'Float64',
  float64: 'Float64',
  'long long': 'Int64',
  'unsigned long long': 'UInt64',
};
for (const bits of [8, 16, 32, 64]) {
  primitives[`int${bits}`] = primitives[`int${bits}_t`] = `Int${bits}`;
  primitives[`uint${bits}`] = primitives[`uint${bits}_t`] = `UInt${bits}`;
}

function compileByName(name: string): Codec {
  const primitive = Object.hasOwn(primitives, name) ? primitives[name] : undefined;
  if (primitive !== undefined) return compile(scalarLayout(name, primitive));
  return codecOfType(knownType(name));
}

function knownType(name: string): TypeObject {
  try {
    return typeByName(name);
  } catch (cause) {
    throw isOurs(cause) ? cause : typeError(`type ${show(name)} is not known to koffi`, { cause });
  }
}

function codecOfType(type: TypeObject): Codec {
  let codec = codecs.get(type);
  if (codec === undefined) {
    codec = compile(readType(type));
    codecs.set(type, codec);
  }
  return codec;
}

type Compiler = (type: TypeLayout) => Codec;

function integer(bits: 8 | 16 | 32, signed: boolean, swapped = false): Compiler {
  const lowest = signed ? -(2 ** (bits - 1)) : 0;
  const highest = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  const order = littleEndian !== swapped;
  const method = `${signed ? 'Int' : 'Uint'}${bits}` as const;
  const get = DataView.prototype[`get${method}`];
  const set = DataView.prototype[`set${method}`];
  return ({ name, size, alignment }) => ({
    name,
    size,
    alignment,
    read: (view, offset) => get.call(view, offset, order),
    prepare(value) {
      if (typeof value !== 'number') throw typeError(`${a(name)} must be a number, got ${show(value)}`);
      if (!Number.isInteger(value) || value < lowest || value > highest) {
        throw rangeError(`${a(name)} must be an integer from ${lowest} to ${highest}, got ${value}`);
      }
      return value;
    },
    write: (view, offset, prepared) => set.call(view, offset, prepared as number, order),
  });
}

/** As in koffi: a number where that is exact, else a bigint; both are taken. */
function integer64(signed: boolean, swapped = false): Compiler {
  const order = littleEndian !== swapped;
  const get = signed ? DataView.prototype.getBigInt64 : DataView.prototype.getBigUint64;
  const set = signed ? DataView.prototype.setBigInt64 : DataView.prototype.setBigUint64;
  const lowest = signed ? -(1n << 63n) : 0n;
  const highest = signed ? (1n << 63n) - 1n : (1n << 64n) - 1n;
  return ({ name, size, alignment }) => ({
    name,
    size,
    alignment,
    read(view, offset) {
      const value = get.call(view, offset, order);
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    },
    prepare: (value) => toBigInt(name, value, lowest, highest),
    write: (view, offset, prepared) => set.call(view, offset, prepared as bigint, order),
  });
}

function toBigInt(name: string, value: unknown, lowest: bigint, highest: bigint): bigint {
  if (typeof value !== 'bigint' && typeof value !== 'number') {
    throw typeError(`${a(name)} must be a number or a bigint, got ${show(value)}`);
  }
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw rangeError(`${a(name)} must be a safe integer or a bigint, got ${value}`);
  }
  const exact = BigInt(value);
  if (exact < lowest || exact > highest) {
    throw rangeError(`${a(name)} must be from ${lowest} to ${highest}, got ${exact}`);
  }
  return exact;
}

function float(bits: 32 | 64): Compiler {
  const get = DataView.prototype[`getFloat${bits}`];
  const set = DataView.prototype[`setFloat${bits}`];
  return ({ name, size, alignment }) => ({
    name,
    size,
    alignment,
    read: (view, offset) => get.call(view, offset, littleEndian),
    prepare(value) {
      if (typeof value !== 'number') throw typeError(`${a(name)} must be a number, got ${show(value)}`);
      return value;
    },
    write: (view, offset, prepared) => set.call(view, offset, prepared as number, littleEndian),
  });
}

function boolean({ name, size, alignment }: TypeLayout): Codec {
  return {
    name,
    size,
    alignment,
    read: (view, offset) => getUint8.call(view, offset) !== 0,
    prepare(value) {
      if (typeof value !== 'boolean') throw typeError(`${a(name)} must be a boolean, got ${show(value)}`);
      return value;
    },
    write: (view, offset, prepared) => setUint8.call(view, offset, prepared ? 1 : 0),
  };
}

function readPointer(view: DataView, offset: number, size: number): bigint {
  return size === 8
    ? getBigUint64.call(view, offset, littleEndian)
    : BigInt(getUint32.call(view, offset, littleEndian));
}

function preparePointer(size: number, name: string, value: unknown): bigint {
  if (typeof value === 'object' && value !== null) {
    throw typeError(`${a(name)} must be an address (a bigint, such as slice.address) or null, got ${show(value)}`);
  }
  return toBigInt(name, value ?? 0n, 0n, (1n << BigInt(size * 8)) - 1n);
}

function writePointer(view: DataView, offset: number, size: number, address: bigint): void {
  if (size === 8) setBigUint64.call(view, offset, address, littleEndian);
  else setUint32.call(view, offset, Number(address), littleEndian);
}

/** An address, or null. Where it points is not looked at. */
function pointer({ name, size, alignment }: TypeLayout): Codec {
  return {
    name,
    size,
    alignment,
    read: (view, offset) => readPointer(view, offset, size) || null,
    prepare: (value, place) => preparePointer(size, name, place?.(value) ?? value),
    write: (view, offset, prepared) => writePointer(view, offset, size, prepared as bigint),
  };
}

/** Reads the C string that the pointer points to; only an address can be written, since someone must own the bytes. */
function string(width: 1 | 2 | 4): Compiler {
  return ({ name, size, alignment }) => ({
    name,
    size,
    alignment,
    read(view, offset) {
      const address = readPointer(view, offset, size);
      if (address === 0n) return null;
      return textAt(width, address);
    },
    prepare(value, place) {
      const address = place?.(value) ?? value;
      if (typeof address === 'string') {
        throw typeError(`${a(name)} must be the address of a C string that outlives it, got ${show(address)}`);
      }
      return preparePointer(size, name, address);
    },
    write: (view, offset, prepared) => writePointer(view, offset, size, prepared as bigint),
  });
}

function record({ name, size, alignment, members: described = [] }: TypeLayout): Codec {
  const members = described.map((member) => ({
    name: member.name,
    offset: member.offset,
    codec: compile(member.type),
  }));
  return {
    name,
    size,
    alignment,
    read(view, offset) {
      const value: Record<string, unknown> = {};
      for (const member of members) value[member.name] = member.codec.read(view, offset + member.offset);
      return value;
    },
    /** Members that the value lacks keep their bytes. */
    prepare(value, place) {
      if (typeof value !== 'object' || value === null)
        throw typeError(`${a(name)} must be an object, got ${show(value)}`);
      const given = value as Record<string, unknown>;
      const prepared = members.map((member) => {
        const part = given[member.name];
        return part === undefined ? undefined : { part: member.codec.prepare(part, place) };
      });
      const unknown = Object.keys(given).find((key) => !members.some((member) => member.name === key));
      if (unknown !== undefined) throw typeError(`a ${name} has no member ${show(unknown)}`);
      return prepared;
    },
    write(view, offset, prepared) {
      (prepared as ({ part: unknown } | undefined)[]).forEach((given, i) => {
        const { codec, offset: at } = members[i] as (typeof members)[number];
        if (given !== undefined) codec.write(view, offset + at, given.part);
      });
    },
  };
}

type TypedArrayClass = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => { slice(): unknown };

const typedArrays: Record<string, TypedArrayClass> = {
  Int8: Int8Array,
  UInt8: Uint8Array,
  Int16: Int16Array,
  UInt16: Uint16Array,
  Int32: Int32Array,
  UInt32: Uint32Array,
  Int64: BigInt64Array,
  UInt64: BigUint64Array,
  Float32: Float32Array,
  Float64: Float64Array,
};

/** Decodes to what koffi decodes to: a copy as typed array, Buffer, string or plain array. */
function array({ name, size, alignment, elements }: TypeLayout): Codec {
  const { type, length, hint } = elements as NonNullable<TypeLayout['elements']>;
  const element = compile(type);
  const readAll = (view: DataView, offset: number): unknown[] =>
    Array.from({ length }, (_, i) => element.read(view, offset + i * element.size));
  const prepareAll = (values: ArrayLike<unknown>, place?: Place): unknown[] => {
    const count = values.length;
    if (!Number.isInteger(count) || count < 0) throw typeError(`${a(name)} must be an array, got ${show(values)}`);
    if (count > length) throw rangeError(`a ${name} has ${length} elements, got ${count}`);
    return Array.from({ length: count }, (_, i) => element.prepare(values[i], place));
  };
  const read = readerByHint(hint, type.primitive, size, readAll, element.size);
  return {
    name,
    size,
    alignment,
    read,
    /** Elements that the value lacks keep their bytes; a string is followed by a NUL where there is room. */
    prepare(value, place) {
      if (typeof value === 'string' && hint === 'String') {
        // A character of UTF-32 stands for two of JavaScript's at most. A long text is not taken apart to count it.
        if (value.length > 2 * length) throw rangeError(`a ${name} has ${length} elements, got ${show(value)}`);
        return prepareAll(charactersOf(value, element.size, length));
      }
      if (typeof value === 'object' && value !== null && 'length' in value) {
        return prepareAll(value as ArrayLike<unknown>, place);
      }
      throw typeError(`${a(name)} must be an array, got ${show(value)}`);
    },
    write(view, offset, prepared) {
      (prepared as unknown[]).forEach((part, i) => {
        element.write(view, offset + i * element.size, part);
      });
    },
  };
}

/** Not by the buffer's own `slice`, which a program can replace. */
function copyBytes(view: DataView, offset: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, size).slice();
}

function readerByHint(
  hint: TypeObject['hint'],
  primitive: string,
  size: number,
  readAll: (view: DataView, offset: number) => unknown[],
  width: number,
): Codec['read'] {
  const TypedArray = typedArrays[primitive];
  switch (hint) {
    case 'Typed':
      if (TypedArray === undefined) return readAll; // swapped integers and pointers have no typed array
      return (view, offset) => new TypedArray(copyBytes(view, offset, size).buffer, 0, size / width);
    case 'Buffer':
      return (view, offset) => Buffer.from(copyBytes(view, offset, size).buffer);
    case 'String':
      if (!/^Int(8|16|32)$/.test(primitive)) return readAll; // texts, not the characters of one
      return (view, offset) => untilNul(copyBytes(view, offset, size), width);
    default:
      return readAll;
  }
}

function untilNul(bytes: Uint8Array<ArrayBufferLike>, width: number): string {
  if (width === 1) {
    const end = bytes.indexOf(0);
    return Buffer.from(bytes.buffer, 0, end < 0 ? bytes.length : end).toString('utf8');
  }
  const units = width === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
  let text = '';
  for (const unit of units) {
    if (unit === 0) break;
    text += width === 2 ? String.fromCharCode(unit) : String.fromCodePoint(unit > 0x10ffff ? 0xfffd : unit);
  }
  return text;
}

function charactersOf(text: string, width: number, length: number): number[] {
  const units =
    width === 1
      ? Array.from(Buffer.from(text, 'utf8'), (byte) => (byte << 24) >> 24)
      : width === 2
        ? Array.from({ length: text.length }, (_, i) => (text.charCodeAt(i) << 16) >> 16)
        : Array.from(text, (character) => character.codePointAt(0) as number);
  if (units.length < length) units.push(0);
  return units;
}

/**
 * C does not say which member is the live one. Reading gives an object that decodes a member when it is asked for, from
 * a copy of the bytes: a pointer that is none must not be followed. Writing takes an object with one member.
 */
function union(type: TypeLayout): Codec {
  const { name, size, alignment, members = [] } = type;
  const codecsOfMembers = members.map((member) => ({ name: member.name, codec: compile(member.type) }));
  const { prepare, write } = record(type);
  return {
    name,
    size,
    alignment,
    read(view, offset) {
      const copy = new DataView(copyBytes(view, offset, size).buffer);
      const value = {};
      for (const { name: member, codec } of codecsOfMembers) {
        const get = (): unknown => codec.read(copy, 0);
        Object.defineProperty(value, member, { get, enumerable: true });
      }
      return value;
    },
    prepare(value, place) {
      const given = typeof value === 'object' && value !== null ? Object.keys(value) : [];
      if (given.length !== 1) throw typeError(`${a(name)} must be an object with one member, got ${given.length}`);
      return prepare(value, place);
    },
    write,
  };
}

const compilers: Record<string, Compiler> = {
  Bool: boolean,
  Int8: integer(8, true),
  UInt8: integer(8, false),
  Int16: integer(16, true),
  UInt16: integer(16, false),
  Int16S: integer(16, true, true),
  UInt16S: integer(16, false, true),
  Int32: integer(32, true),
  UInt32: integer(32, false),
  Int32S: integer(32, true, true),
  UInt32S: integer(32, false, true),
  Int64: integer64(true),
  UInt64: integer64(false),
  Int64S: integer64(true, true),
  UInt64S: integer64(false, true),
  Float32: float(32),
  Float64: float(64),
  Pointer: pointer,
  Callback: pointer,
  String: string(1),
  String16: string(2),
  String32: string(4),
  Record: record,
  Union: union,
  Array: array,
};

function compile(type: TypeLayout): Codec {
  return (compilers[type.primitive] as Compiler)(type);
}
