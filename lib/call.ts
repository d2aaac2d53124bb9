import { show, typeError, unreadable } from './errors.ts';
import { type Parameter, parameterOfKoffi } from './func/arguments.ts';
import { type Callee, callAsyncHeld } from './func/calls.ts';
import type { Direction } from './func/prototype.ts';
import { shapeOf } from './func/shape.ts';
import type { KoffiFunction } from './native/koffi.ts';

/**
 * Calls a koffi function on another thread, and keeps what it works on until C returns: slices and handles are leased
 * and passed by address, buffers and typed arrays are pinned, also inside arrays and structs. koffi's own `.async()`
 * keeps none, so memory that is dropped or released in the meantime is freed under the running function. Functions that
 * are declared by `func()` have an `async` of their own, which does the same.
 *
 * Copies what koffi copies (strings, structs). The promise rejects if koffi refuses the call, and all holds end.
 *
 * @throws {CSliceError} (as a rejection) `ERR_CSLICE_TYPE` for wrong or too few arguments, `ERR_CSLICE_RANGE` for numbers
 *   that their type cannot have, `ERR_CSLICE_RELEASED` for a released slice, `ERR_CSLICE_EXHAUSTED` when koffi has too many
 *   calls under way that are not of this package: a call waits for the end of those that are
 * @example
 * const memset = c.func('void *memset(void *memory, int byte, size_t size)');
 * const slice = Slice.alloc(1 << 20);
 * const done = callAsync(memset, slice, 7, slice.byteLength);
 * slice.release(); // its memory stays until C has returned
 * await done;
 */
// biome-ignore lint/suspicious/noExplicitAny: what C returns depends on the function
export async function callAsync(fn: KoffiFunction, ...args: unknown[]): Promise<any> {
  return callAsyncHeld(calleeOf(fn), args);
}

const directions: ReadonlyMap<unknown, Direction> = new Map([
  ['Input', 'in'],
  ['Output', 'out'],
  ['Input/Output', 'inout'],
]);

interface KoffiParameter {
  readonly direction: string;
  readonly type: unknown;
}

/** What is needed of a koffi function, read once. */
function calleeOf(fn: KoffiFunction): Callee {
  try {
    const start = typeof fn === 'function' ? fn.async : undefined;
    const info = typeof start === 'function' ? fn.info : undefined;
    if (start !== undefined && info !== undefined) {
      const name = String(info.name);
      const parameters = Array.from(
        info.arguments as unknown as KoffiParameter[],
        ({ direction, type }, i): Parameter =>
          parameterOfKoffi(name, i, directions.get(direction) ?? 'in', shapeOf(type)),
      );
      return { name, fn, start, numbers: fn, parameters, variadic: false, conclude: undefined };
    }
  } catch (cause) {
    throw unreadable('fn', cause);
  }
  throw typeError(`fn must be a koffi function with a fixed number of arguments, got ${show(fn)}`);
}
