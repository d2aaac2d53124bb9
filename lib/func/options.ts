/** An ownership as its declaration has it, read once and checked: no getter of the caller's runs in a call. */
import { checkLength, elementsOf } from '../core/check.ts';
import { checkDestructor, type Destructor, destructor } from '../core/destructor.ts';
import { readOptions } from '../core/options.ts';
import { rangeError, show, typeError } from '../errors.ts';
import type { KoffiLibrary } from '../native/koffi.ts';
import { isInteger, isPointer, type Place, placeAt } from './places.ts';
import type { DeclaredParameter, Prototype } from './prototype.ts';
import { isAddress, kinds } from './shape.ts';

type AnyFunction = (...args: unknown[]) => unknown;

export type Returns = 'bytes' | 'string' | 'handle' | 'block' | 'view' | undefined;

const common = ['returns', 'failed', 'message'];
const keysOf: Readonly<Record<string, readonly string[]>> = {
  bytes: [...common, 'keeps', 'from', 'size', 'free'],
  string: [...common, 'keeps', 'from', 'free'],
  handle: [...common, 'keeps', 'from', 'free'],
  block: [...common, 'from'],
  view: [...common, 'keeps', 'from', 'size', 'until'],
  undefined: [...common, 'keeps', 'by'],
};
const allKeys = ['returns', 'from', 'size', 'free', 'keeps', 'until', 'by', 'failed', 'message'];

export interface Options {
  readonly returns: Returns;
  /** Where the pointer is; undefined for a function that hands over nothing. */
  readonly from: Place | undefined;
  readonly size: Place | AnyFunction | number | undefined;
  readonly free: Destructor | undefined;
  readonly failed: AnyFunction | undefined;
  /** What tells a failure where the declaration says nothing. */
  readonly failedByDefault: 'nonzero' | 'negative' | 'never';
  readonly message: AnyFunction | string | undefined;
  /** Indices of parameters. */
  readonly keeps: readonly number[];
  readonly until: readonly number[];
  readonly by: number | undefined;
}

/** @throws {CSliceError} for a declaration that does not fit the prototype */
export function readOwnership(lib: KoffiLibrary, prototype: Prototype, ownership: unknown): Options {
  const given: Record<string, unknown> = readOptions('ownership', ownership as Record<string, unknown>, allKeys);
  const returns = given.returns as Returns;
  if (returns !== undefined && !(typeof returns === 'string' && Object.hasOwn(keysOf, returns))) {
    const known = Object.keys(keysOf).filter((key) => key !== 'undefined');
    throw rangeError(`returns must be one of ${known.join(', ')}, got ${show(returns)}`);
  }
  const allowed = keysOf[String(returns)] as readonly string[];
  for (const [key, value] of Object.entries(given)) {
    if (value !== undefined && !allowed.includes(key)) {
      throw typeError(
        `ownership: ${key} does not go with returns: ${show(returns)}, which takes ${allowed.join(', ')}`,
      );
    }
  }
  const from = returns === undefined ? undefined : fromOf(prototype, given.from);
  const size = allowed.includes('size') ? sizeOf(prototype, given.size) : undefined;
  checkFunction('failed', given.failed);
  if (typeof given.message !== 'string') checkFunction('message', given.message);
  const keeps = namesOf(prototype, 'keeps', given.keeps);
  for (const index of keeps) checkKept(prototype.parameters[index] as DeclaredParameter);
  return {
    returns,
    from,
    size,
    free: allowed.includes('free') ? freeOf(lib, returns, given) : undefined,
    failed: given.failed as AnyFunction | undefined,
    failedByDefault: failedByDefault(prototype, returns, size, given.message !== undefined),
    message: given.message as AnyFunction | string | undefined,
    keeps,
    until: namesOf(prototype, 'until', given.until),
    by: given.by === undefined ? undefined : indexOf(prototype, 'by', given.by),
  };
}

function fromOf(prototype: Prototype, from: unknown): Place {
  if (from !== undefined && typeof from !== 'string') throw typeError(`from must be a string, got ${show(from)}`);
  const place = placeAt(prototype, 'from', from ?? 'result');
  if (place.index >= 0 && !place.isCell) {
    throw rangeError(`from: ${show(from)} is not an _Out_ parameter of ${prototype.name}`);
  }
  if (!isPointer(place)) throw typeError(`from: ${show(from ?? 'result')} of ${prototype.name} is no pointer`);
  return place;
}

function sizeOf(prototype: Prototype, size: unknown): Options['size'] {
  if (typeof size === 'function') return size as AnyFunction;
  if (typeof size === 'number') return checkLength('size', size);
  if (typeof size !== 'string') throw typeError(`size must be a name, a number or a function, got ${show(size)}`);
  const place = placeAt(prototype, 'size', size);
  if (!isInteger(place)) throw typeError(`size: ${show(size)} of ${prototype.name} is no integer`);
  return place;
}

function freeOf(lib: KoffiLibrary, returns: Returns, { free }: Record<string, unknown>): Destructor | undefined {
  if (typeof free === 'string') return destructor(lib, free);
  if (free === null && returns !== 'bytes') return undefined;
  if (free === undefined || free === null) {
    const orNull = returns === 'bytes' ? '' : ', or null if C keeps it';
    throw typeError(`free must be the name of a function, a destructor or a function${orNull}, got ${show(free)}`);
  }
  checkDestructor(free);
  return free;
}

function checkFunction(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'function') return;
  throw typeError(`${name} must be a function${name === 'message' ? ' or a string' : ''}, got ${show(value)}`);
}

function namesOf(prototype: Prototype, option: string, names: unknown): readonly number[] {
  if (names === undefined) return [];
  return elementsOf(option, names as unknown[]).map((name) => indexOf(prototype, option, name));
}

function indexOf({ name, parameters }: Prototype, option: string, parameter: unknown): number {
  const index = parameters.findIndex((candidate) => candidate.name === parameter);
  if (index < 0) throw rangeError(`${option}: ${name} has no parameter ${show(parameter)}`);
  return index;
}

function checkKept({ name, direction, shape }: DeclaredParameter): void {
  if (direction !== 'in' || !isAddress(shape)) {
    throw typeError(`keeps: ${name} is no pointer that is passed in`);
  }
}

function failedByDefault(
  { result }: Prototype,
  returns: Returns,
  size: Options['size'],
  hasMessage: boolean,
): Options['failedByDefault'] {
  const { kind } = result.shape;
  const isSigned = kind === kinds.int8 || kind === kinds.int16 || kind === kinds.int32 || kind === kinds.int64;
  if (typeof size === 'object' && size.index === -1) return isSigned ? 'negative' : 'never';
  if (returns === undefined && !hasMessage) return 'never';
  return isSigned && kind !== kinds.int64 ? 'nonzero' : 'never';
}
