import { types } from 'node:util';
import type { Lease } from './core/lease.ts';
import { CSliceError, show, typeError } from './errors.ts';
import type { KoffiFunction } from './native/koffi.ts';
import { type Pin, pin } from './pin.ts';
import { Slice } from './slice.ts';

type Hold = Lease | Pin;

/**
 * Calls a koffi function on another thread, and keeps what it works on until C returns: slices are leased and passed
 * by address, buffers and typed arrays are pinned, also inside arrays and objects. koffi's own `.async()` keeps
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
    checkCall(fn, args);
    const holds: Hold[] = [];
    const end = (): void => {
      for (const hold of holds) hold.release();
    };
    try {
      const passed = args.map((argument) => prepare(argument, holds));
      fn.async(...passed, (error: Error | null, result: unknown) => {
        end();
        if (error) reject(failure(error));
        else resolve(result);
      });
    } catch (error) {
      end();
      throw error instanceof CSliceError ? error : failure(error as Error);
    }
  });
}

function checkCall(fn: KoffiFunction, args: unknown[]): void {
  if (typeof fn !== 'function' || typeof fn.async !== 'function' || fn.info === undefined) {
    throw typeError(`fn must be a koffi function with a fixed number of arguments, got ${show(fn)}`);
  }
  const expected = fn.info.arguments.length;
  if (args.length !== expected) {
    throw typeError(`${fn.info.name} takes ${expected} arguments, got ${args.length}`);
  }
}

/** The argument as koffi takes it, with what it reaches held. */
function prepare(argument: unknown, holds: Hold[]): unknown {
  if (argument instanceof Slice) {
    const lease = argument.lease();
    holds.push(lease);
    return lease.address;
  }
  holdNested(argument, holds, 0);
  return argument;
}

const deepest = 8;

function holdNested(value: unknown, holds: Hold[], depth: number): void {
  if (typeof value !== 'object' || value === null || depth > deepest) return;
  if (ArrayBuffer.isView(value) || types.isArrayBuffer(value)) {
    holds.push(pin(value));
  } else if (value instanceof Slice) {
    throw typeError('a slice inside an object cannot be passed: hold a lease and pass its address');
  } else if (!types.isExternal(value)) {
    for (const part of Object.values(value)) holdNested(part, holds, depth + 1);
  }
}

function failure(cause: Error): CSliceError {
  const code = /too many/i.test(cause.message) ? 'ERR_CSLICE_LIMIT' : 'ERR_CSLICE_TYPE';
  return new CSliceError(code, `The asynchronous call failed: ${cause.message}`, { cause });
}
