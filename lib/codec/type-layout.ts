/**
 * The layout of a C type, from koffi's object for it. Programs can change parts of such an object, or pass one of their
 * own, and its numbers say where the codecs read and write: so all of it is read once, and checked.
 */

import { longestView } from '../core/check.ts';
import { show, typeError, unreadable } from '../errors.ts';
import type { TypeObject } from '../native/koffi.ts';

export interface TypeLayout {
  readonly name: string;
  /** One of {@link scalarSizes}, or `Record`, `Union`, `Array`. */
  readonly primitive: string;
  readonly size: number;
  readonly alignment: number;
  /** Of a record or union; each lies within its size. */
  readonly members?: readonly Member[];
  /** Of an array, whose elements have just its size. */
  readonly elements?: Elements;
}

interface Member {
  readonly name: string;
  readonly offset: number;
  readonly type: TypeLayout;
}

interface Elements {
  readonly type: TypeLayout;
  readonly length: number;
  readonly hint: TypeObject['hint'];
}

const ofPointer = [4, 8] as const;

/** The sizes that each type without parts can have. */
const scalarSizes: Record<string, readonly number[]> = {
  Bool: [1],
  Float32: [4],
  Float64: [8],
  Pointer: ofPointer,
  Callback: ofPointer,
  String: ofPointer,
  String16: ofPointer,
  String32: ofPointer,
};
for (const form of ['Int', 'UInt']) {
  scalarSizes[`${form}8`] = [1];
  for (const bits of [16, 32, 64]) scalarSizes[`${form}${bits}`] = scalarSizes[`${form}${bits}S`] = [bits / 8];
}

/** The layout of a number that has the alignment of its size. */
export function scalarLayout(name: string, primitive: string): TypeLayout {
  const size = scalarSizes[primitive]?.[0] as number;
  return { name, primitive, size, alignment: size };
}

/** @throws {CSliceError} `ERR_CSLICE_TYPE` for what is no koffi type, cannot be read, or has no size */
export function readType(type: unknown): TypeLayout {
  try {
    return read(type);
  } catch (cause) {
    throw unreadable('type', cause);
  }
}

function read(type: unknown): TypeLayout {
  const { name, primitive, size, alignment, members, ref, length, hint } = (type ?? {}) as Partial<TypeObject>;
  if (typeof type !== 'object' || typeof name !== 'string' || typeof primitive !== 'string') {
    throw typeError(`type must be a koffi type or its name, got ${show(type)}`);
  }
  const isScalar = Object.hasOwn(scalarSizes, primitive);
  if (!isScalar && !['Record', 'Union', 'Array'].includes(primitive)) {
    throw typeError(`type ${name} has no bytes to read or write`);
  }
  if (!isCount(size) || !isCount(alignment) || !Number.isInteger(Math.log2(alignment))) throw inconsistent(name);
  const own = { name, primitive, size, alignment };
  if (isScalar) {
    if (scalarSizes[primitive]?.includes(size)) return own;
  } else if (primitive === 'Array') {
    const elements = { type: read(ref), length: length as number, hint };
    if (isCount(length) && length * elements.type.size === size) return { ...own, elements };
  } else {
    const parts = Object.values(members ?? {}).map(readMember);
    if (parts.every(({ offset, type: part }) => offset + part.size <= size)) return { ...own, members: parts };
  }
  throw inconsistent(name);
}

function readMember({ name, offset, type }: { name?: unknown; offset?: unknown; type?: unknown }): Member {
  if (typeof name !== 'string' || (offset !== 0 && !isCount(offset))) throw inconsistent(show(name));
  return { name, offset, type: read(type) };
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= longestView;
}

function inconsistent(name: string): Error {
  return typeError(`type ${name} must be as koffi made it: its size, alignment or parts do not fit together`);
}
