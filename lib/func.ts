/** C functions, declared a line each: their types, and who owns what they hand over. */
import { describeError, errorOf, show, typeError, unreadable } from './errors.ts';
import { parameterOf } from './func/arguments.ts';
import { type Callee, callAsyncHeld, callHeld, wrap } from './func/calls.ts';
import { type Options, readOwnership } from './func/options.ts';
import { isSimple, OwningFunction } from './func/ownership.ts';
import { Cells } from './func/places.ts';
import { koffiSpecOf, type Prototype, parsePrototype } from './func/prototype.ts';
import { isAddress } from './func/shape.ts';
import type { CFunction, Ownership, RawResult } from './func/types.ts';
import { type KoffiFunction, type KoffiLibrary, koffi, strangerHint, type TypeSpec } from './native/koffi.ts';

/**
 * A C function, typed by its prototype.
 *
 * Where the prototype has a pointer, the function takes a `Slice`, a `Handle` of that type, any buffer or view, a
 * `SharedArrayBuffer`, an address or `null`; a string where it has a `const char *`; an array or object where koffi takes
 * one. Arguments are checked before C is called. Types that koffi does not know are opaque behind a pointer.
 *
 * `ownership` says what C hands over: `bytes`, `string`, `handle`, `block` or a `view` of what a handle owns. The
 * `_Out_` parameters that it names are left out of the calls. A failed call throws a {@link CCallError}, after what C
 * handed over in spite of it has been given back.
 *
 * `.async()` does the same on another thread, with everything that C works on held until it is done.
 *
 * @param lib what `koffi.load` returned
 * @param prototype in koffi's language
 * @throws {CSliceError} `ERR_CSLICE_TYPE` or `ERR_CSLICE_RANGE` for a declaration that does not fit; calls throw them
 *   for arguments, `ERR_CSLICE_RELEASED` for what has been released, and what {@link Slice.adopt} throws
 * @example
 * const strdup = func(c, 'char *strdup(const char *text)', { returns: 'bytes', size: (text) => text.length + 1, free: 'free' });
 * using text = strdup('C allocated this'); // a Slice, which calls free()
 * console.log(text.text());
 */
export function func<const S extends string>(lib: KoffiLibrary, prototype: S): CFunction<S>;
export function func<const S extends string, const O extends Ownership<RawResult<S>>>(
  lib: KoffiLibrary,
  prototype: S,
  ownership: O,
): CFunction<S, O>;
export function func(lib: KoffiLibrary, prototype: string, ownership?: unknown): CFunction<string, unknown> {
  const declare = declarerOf(lib);
  const parsed = parsePrototype(prototype);
  const options = ownership === undefined ? undefined : readOwnership(lib, parsed, ownership);
  const size = typeof options?.size === 'object' ? options.size : undefined;
  const cells = new Cells(parsed, options?.from, size);
  const { call, callAsync } =
    options === undefined ? plain(declare, parsed, cells) : owning(declare, parsed, options, cells);
  Object.defineProperty(call, 'name', { value: parsed.name });
  Object.defineProperty(call, 'length', { value: parsed.parameters.filter((_, i) => !cells.has(i)).length });
  Object.defineProperty(call, 'async', { value: callAsync });
  return call as unknown as CFunction<string, unknown>;
}

type AnyFunction = (...args: unknown[]) => unknown;

interface Ways {
  readonly call: AnyFunction;
  readonly callAsync: AnyFunction;
}

function plain(declare: Declare, prototype: Prototype, cells: Cells): Ways {
  const callee = calleeOf(declare, prototype, cells, undefined);
  return { call: wrap(callee, (args) => callHeld(callee, args)), callAsync: (...args) => callAsyncHeld(callee, args) };
}

function owning(declare: Declare, prototype: Prototype, options: Options, cells: Cells): Ways {
  const callee = calleeOf(declare, prototype, cells, options);
  const fn = new OwningFunction(callee, prototype, options, cells);
  const call: AnyFunction = isSimple(options)
    ? wrap({ ...callee, conclude: (result) => fn.conclude(result) }, (args) => fn.call(args))
    : (...args) => fn.call(args);
  return { call, callAsync: (...args) => fn.callAsync(args) };
}

/** The function as koffi calls it: what an ownership takes comes as an address. */
function calleeOf(declare: Declare, prototype: Prototype, cells: Cells, options: Options | undefined): Callee {
  const { name, result, parameters, variadic } = prototype;
  const address = koffi().type('void *');
  const specs: TypeSpec[] = parameters.map((parameter, i) => (cells.has(i) ? address : koffiSpecOf(parameter)));
  if (variadic) specs.push('...');
  const handsOver = options?.from?.index === -1;
  const fn = declare(prototype, handsOver ? address : result.type, specs);
  const given = parameters.filter((_, i) => !cells.has(i)).map((parameter) => parameterOf(name, parameter));
  const isPlain = !variadic && (options === undefined || isSimple(options));
  const numbers = isPlain ? withNumbers(declare, prototype, fn, handsOver) : fn;
  const start = variadic ? undefined : fn.async;
  return { name, fn, start, numbers, parameters: given, variadic, conclude: undefined };
}

/** The function once more, with integers for pointers. Where there are none it is the same. */
function withNumbers(declare: Declare, prototype: Prototype, fn: KoffiFunction, returnsNumber: boolean): KoffiFunction {
  const { result, parameters } = prototype;
  const isPointer = parameters.map(({ shape }) => isAddress(shape));
  if (!isPointer.includes(true) && !returnsNumber) return fn;
  const specs = parameters.map(({ type }, i) => (isPointer[i] ? 'uintptr_t' : type));
  return declare(prototype, returnsNumber ? 'uintptr_t' : result.type, specs);
}

/** Binds the function of a prototype, with other types. */
type Declare = (prototype: Prototype, result: TypeSpec, parameters: TypeSpec[]) => KoffiFunction;

/** By `lib.func`, which is read once. */
function declarerOf(lib: KoffiLibrary): Declare {
  const bind = bindingOf(lib);
  return ({ name, convention }, result, parameters) => {
    try {
      const words = convention === undefined ? [name] : [convention, name];
      return Reflect.apply(bind, lib, [...words, result, parameters]);
    } catch (cause) {
      const reason = describeError(cause, 'message');
      const code = /cannot find/i.test(reason) ? 'ERR_CSLICE_RANGE' : 'ERR_CSLICE_TYPE';
      throw errorOf(code, `${name} cannot be declared: ${reason}${strangerHint(lib)}`, { cause });
    }
  };
}

function bindingOf(lib: KoffiLibrary): KoffiLibrary['func'] {
  try {
    const bind = lib?.func;
    if (typeof bind === 'function') return bind;
  } catch (cause) {
    throw unreadable('lib', cause);
  }
  throw typeError(`lib must be a library loaded by koffi, got ${show(lib)}`);
}
