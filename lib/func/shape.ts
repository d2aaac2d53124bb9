/**
 * What calls need to know of a C type, read once: programs can pass an object of their own where koffi's is expected, and
 * its getters must not run in a call.
 */
import { show, typeError, unreadable } from '../errors.ts';

/** What kind of values a type takes. Numbers, since a switch over them is what a call can afford. */
export const kinds = {
  int8: 0,
  uint8: 1,
  int16: 2,
  uint16: 3,
  int32: 4,
  uint32: 5,
  int64: 6,
  uint64: 7,
  real: 8,
  bool: 9,
  string: 10,
  pointer: 11,
  function: 12,
  struct: 13,
} as const;

const kindsOfPrimitives: Readonly<Record<string, number>> = {
  Bool: kinds.bool,
  Int8: kinds.int8,
  UInt8: kinds.uint8,
  Int16: kinds.int16,
  Int16S: kinds.int16,
  UInt16: kinds.uint16,
  UInt16S: kinds.uint16,
  Int32: kinds.int32,
  Int32S: kinds.int32,
  UInt32: kinds.uint32,
  UInt32S: kinds.uint32,
  Int64: kinds.int64,
  Int64S: kinds.int64,
  UInt64: kinds.uint64,
  UInt64S: kinds.uint64,
  Float32: kinds.real,
  Float64: kinds.real,
  String: kinds.string,
  String16: kinds.string,
  String32: kinds.string,
  Pointer: kinds.pointer,
  Callback: kinds.function,
};

export interface Shape {
  readonly name: string;
  readonly primitive: string;
  readonly kind: number;
  readonly size: number;
  /** Of a pointer or an array: what it points to, or has. */
  readonly ref: Shape | undefined;
  /** Of a record or union. */
  readonly members: readonly Member[] | undefined;
  /** Of a function: what it returns. */
  readonly result: Shape | undefined;
}

export interface Member {
  readonly name: string;
  readonly offset: number;
  readonly shape: Shape;
}

/** Whether values of the type are addresses. */
export function isAddress({ kind }: Shape): boolean {
  return kind >= kinds.string && kind <= kinds.function;
}

/** @throws {CSliceError} `ERR_CSLICE_TYPE` for what is no koffi type, or cannot be read */
export function shapeOf(type: unknown): Shape {
  try {
    return read(type, new Map(), 0);
  } catch (cause) {
    throw unreadable('type', cause);
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

interface KoffiType {
  readonly name?: unknown;
  readonly primitive?: unknown;
  readonly size?: unknown;
  readonly ref?: unknown;
  readonly members?: object;
  readonly proto?: { readonly result?: unknown };
}

const deepest = 64;

/** `known`: a type may point to itself. */
function read(type: unknown, known: Map<unknown, Shape>, depth: number): Shape {
  const earlier = known.get(type);
  if (earlier !== undefined) return earlier;
  const { name, primitive, size, ref, members, proto } = (type ?? {}) as KoffiType;
  if (typeof type !== 'object' || typeof name !== 'string' || typeof primitive !== 'string' || !isSize(size)) {
    throw typeError(`type must be a koffi type or its name, got ${show(type)}`);
  }
  if (depth === deepest) throw typeError(`type must not be nested deeper than ${deepest} levels`);
  const kind = Object.hasOwn(kindsOfPrimitives, primitive) ? (kindsOfPrimitives[primitive] as number) : kinds.struct;
  const shape: Writable<Shape> = { name, primitive, kind, size, ref: undefined, members: undefined, result: undefined };
  known.set(type, shape);
  const part = (each: unknown): Shape => read(each, known, depth + 1);
  if (ref !== undefined) shape.ref = part(ref);
  if (members !== undefined) shape.members = Object.values(members).map((member) => memberOf(member, size, part));
  const result = proto?.result;
  if (result !== undefined) shape.result = part(result);
  return shape;
}

function memberOf(
  member: { name?: unknown; offset?: unknown; type?: unknown },
  size: number,
  part: (type: unknown) => Shape,
): Member {
  const { name, offset, type } = member;
  const shape = part(type);
  if (typeof name !== 'string' || !isSize(offset) || offset + shape.size > size) {
    throw typeError(`type must be as koffi made it: its members do not fit`);
  }
  return { name, offset, shape };
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
