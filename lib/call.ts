import { types } from 'node:util';
import type { Lease } from './core/lease.ts';
import { CSliceError, describeError, isOurs, show, typeError, unreadable } from './errors.ts';
import type { KoffiFunction, TypeObject } from './native/koffi.ts';
import { type Pin, pin } from './pin.ts';
import { isSlice, type Slice, sliceLease } from './slice.ts';

type Hold = Lease | Pin;

/**
 * Calls a koffi function on another thread, and keeps what it works on until C returns: slices are leased and passed
 * by address, buffers and typed arrays are pinned, also inside arrays and structs. koffi's own `.async()` keeps
 * neither, so memory that is dropped or released in the meantime is freed under the running function.
 *
 * Copies what koffi copies (strings, structs). The promise rejects if koffi refuses the call, and all holds end.
 *
 * @throws {CSliceError} (as a rejection) `ERR_CSLICE_TYPE` for wrong or too few arguments, `ERR_CSLICE_RELEASED` for a
 *   released slice, `ERR_CSLICE_LIMIT` when koffi has too many calls under way
 * @example
 * const n = await callAsync(read, fd, slice, slice.byteLength);
 */
// biome-ignore lint/suspicious/noExplicitAny: what C returns depends on the function
export function callAsync(fn: KoffiFunction, ...args: unknown[]): Promise<any> {
  return new Promise((resolve, reject) => {
    const callee = calleeOf(fn);
    if (args.length !== callee.parameters.length) {
      throw typeError(`${callee.name} takes ${callee.parameters.length} arguments, got ${args.length}`);
    }
    const holds: Hold[] = [];
    const end = (): void => {
      for (const hold of holds) hold.release();
    };
    try {
      const passed = args.map((argument, i) => prepare(argument, callee.parameters[i] as Parameter, holds));
      const done = (error: Error | null, result: unknown): void => {
        end();
        if (error) reject(failure(error));
        else resolve(result);
      };
      Reflect.apply(callee.start, fn, [...passed, done]);
    } catch (error) {
      end();
      throw isOurs(error) ? error : failure(error);
    }
  });
}

interface Parameter {
  readonly direction: string;
  readonly type: TypeObject;
}

interface Callee {
  readonly start: KoffiFunction['async'];
  readonly name: string;
  readonly parameters: readonly Parameter[];
}

/** What is needed of a koffi function, read once. */
function calleeOf(fn: KoffiFunction): Callee {
  try {
    const start = typeof fn === 'function' ? fn.async : undefined;
    const info = typeof start === 'function' ? fn.info : undefined;
    if (start !== undefined && info !== undefined) {
      const parameters = Array.from(info.arguments as unknown as Parameter[], ({ direction, type }) => ({
        direction,
        type,
      }));
      return { start, name: String(info.name), parameters };
    }
  } catch (cause) {
    throw unreadable('fn', cause);
  }
  throw typeError(`fn must be a koffi function with a fixed number of arguments, got ${show(fn)}`);
}

/** The argument as koffi takes it, with what it reaches held. */
function prepare(argument: unknown, { direction, type }: Parameter, holds: Hold[]): unknown {
  if (direction === 'Input') return snapshot(argument, type, holds, 0);
  if (isSlice(argument)) return leased(argument, holds);
  snapshot(argument, type, holds, 0); // for the holds: koffi fills the argument itself
  return argument;
}

function leased(slice: Slice, holds: Hold[]): bigint {
  const lease = sliceLease(slice);
  holds.push(lease);
  return lease.address;
}

const deepest = 64;

/**
 * What koffi would read of a value, read once: a getter may give koffi another buffer than the one that is held. Only
 * the containers are new; buffers are the caller's.
 */
function snapshot(value: unknown, type: TypeObject | undefined, holds: Hold[], depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (isSlice(value)) return leased(value, holds);
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) {
    holds.push(pin(value as ArrayBuffer));
    return value;
  }
  if (types.isExternal(value)) throw typeError('a value of koffi.as() cannot be held: pin its buffer, and pass that');
  if (depth === deepest) throw typeError(`an argument must not be nested deeper than ${deepest} levels`);
  const part = type?.primitive === 'Pointer' || type?.primitive === 'Array' ? type.ref : type;
  if (Array.isArray(value)) {
    return Array.from({ length: value.length }, (_, i) => snapshot(value[i], part, holds, depth + 1));
  }
  const members = part?.members;
  if (members === undefined || part?.primitive === 'Union') return withHeldParts(value, holds, depth);
  const copy: Record<string, unknown> = {};
  for (const { name, type: memberType } of Object.values(members)) {
    const member = (value as Record<string, unknown>)[name];
    if (member !== undefined) copy[name] = snapshot(member, memberType, holds, depth + 1);
  }
  return copy;
}

/** A union knows which of its members it holds, so koffi must get the very object. */
function withHeldParts(value: object, holds: Hold[], depth: number): object {
  for (const part of Object.values(value)) snapshot(part, undefined, holds, depth + 1);
  return value;
}

function failure(cause: unknown): CSliceError {
  const message = describeError(cause, 'message');
  const code = /too many/i.test(message) ? 'ERR_CSLICE_LIMIT' : 'ERR_CSLICE_TYPE';
  return new CSliceError(code, `The asynchronous call failed: ${message}`, { cause });
}
