// biome-ignore-all lint/suspicious/noExplicitAny: koffi functions take and return whatever their declaration says
import { getSystemErrorName } from 'node:util';
import { checkInteger, checkLength, toInteger } from './core/check.ts';
import { checkDestructor, type Destructor, giveBackTo } from './core/destructor.ts';
import { CCallError, CSliceError, rangeError, show, typeError } from './errors.ts';
import type { KoffiFunction, TypeObject } from './native/koffi.ts';
import { blockUnref, clearErrno, lastErrno, stringSize } from './native/symbols.ts';
import { Slice } from './slice.ts';
import { readString } from './text.ts';

/**
 * Where a value is after the call: what the function returned, the argument of that index (from 0, an `_Out_`
 * parameter), or a member of the struct that such an argument points to.
 */
export type OutputPlace = 'result' | number | { argument: number; member: string };

/** What tells a failed call, and why it failed. */
interface Failure {
  /** Tells from the result whether the call failed. Default: a NULL pointer, and for `int` results not 0. */
  failed?: (result: unknown) => boolean;
  /** The library's own message for a failed call. Default: the errno. */
  message?: (result: unknown) => string;
}

/** How a C function hands over memory that its caller must give back. */
export interface OwnedBytes extends Failure {
  pointer: OutputPlace;
  /** Bytes. A place, a constant, or a function of the arguments as the caller gave them. */
  size: OutputPlace | { bytes: number } | ((...args: unknown[]) => number);
  destructor: Destructor;
}

/** How a C function hands over a C string that its caller must give back. */
export interface OwnedString extends Failure {
  pointer: OutputPlace;
  destructor: Destructor;
}

/** How a C function hands over a `cslice_block *`, with a reference that its caller must give back. */
export interface OwnedBlock extends Failure {
  pointer: OutputPlace;
}

/** The parameters of `F` that are not filled by the call itself. */
type Inputs<F> = F extends (...args: infer A) => unknown ? (any[] extends A ? unknown[] : InputsOf<A>) : unknown[];
type InputsOf<A extends unknown[]> = A extends [infer First, ...infer Rest]
  ? First extends Out
    ? InputsOf<Rest>
    : [First | (First extends bigint ? Slice : never), ...InputsOf<Rest>]
  : [];

/** Marks an `_Out_` parameter in the TypeScript type of a koffi function: the caller of an owned function gives none. */
export type Out = { readonly cslice: 'out' } & unknown[];

type AnyFunction = (...args: any[]) => any;

/** One call that C has answered. */
interface Call {
  readonly args: unknown[];
  readonly result: unknown;
  /** What C handed over, if anything. */
  readonly address: bigint | null;
}

/**
 * Makes a C function that hands over memory into one that returns a {@link Slice}. Copies nothing.
 *
 * The function's `_Out_` parameters are left out of its calls. A slice may be given wherever a pointer is expected. A
 * failed call throws, after what C handed over in spite of it has been given back.
 *
 * @param fn a koffi function; its declaration says which parameters are `_Out_`
 * @throws {CSliceError} `ERR_CSLICE_TYPE` or `ERR_CSLICE_RANGE` for a declaration that does not fit the function; its
 *   calls throw a {@link CCallError} (`ERR_CSLICE_CALL`), or what {@link Slice.adopt} throws
 * @example
 * const readAll = ownedBytes(lib.func('int read_all(const char *path, _Out_ void **data, _Out_ size_t *size)'), {
 *   pointer: 1,
 *   size: 2,
 *   destructor: destructor(lib, 'free_all'),
 * });
 * using bytes = readAll('/etc/hostname');
 */
export function ownedBytes<F extends AnyFunction = AnyFunction>(
  fn: F | KoffiFunction,
  ownership: OwnedBytes,
): (...args: Inputs<F>) => Slice {
  const shape = shapeOf(fn, ownership);
  const { destructor } = ownership;
  const sizeOf = sizeReader(shape, ownership.size);
  checkDestructor(destructor);
  return (...args) => {
    const call = shape.call(args);
    const { address } = call;
    let byteLength = 0;
    try {
      const error = shape.errorOf(call);
      byteLength = sizeOf(call, args);
      if (error !== undefined) throw error;
      return Slice.adopt(address as bigint, byteLength, destructor);
    } catch (error) {
      if (address !== null) giveBackTo(destructor, address, byteLength);
      throw asOurs(error);
    }
  };
}

/**
 * Makes a C function that hands over a C string into one that returns it as a JavaScript string (a copy), with C's
 * given back. The rest is as for {@link ownedBytes}.
 */
export function ownedString<F extends AnyFunction = AnyFunction>(
  fn: F | KoffiFunction,
  ownership: OwnedString,
): (...args: Inputs<F>) => string {
  const shape = shapeOf(fn, ownership);
  const { destructor } = ownership;
  checkDestructor(destructor);
  return (...args) => {
    const call = shape.call(args);
    const { address } = call;
    try {
      const error = shape.errorOf(call);
      if (error !== undefined) throw error;
      return readString(address as bigint);
    } catch (error) {
      throw asOurs(error);
    } finally {
      if (address !== null) giveBackTo(destructor, address, stringSize(toInteger(address), 1));
    }
  };
}

/** The same for a function that hands over a `cslice_block *` of `csrc/cslice.h`, which knows its size and its end. */
export function ownedBlock<F extends AnyFunction = AnyFunction>(
  fn: F | KoffiFunction,
  ownership: OwnedBlock = { pointer: 'result' },
): (...args: Inputs<F>) => Slice {
  const shape = shapeOf(fn, ownership);
  return (...args) => {
    const call = shape.call(args);
    const { address: block } = call;
    try {
      const error = shape.errorOf(call);
      if (error !== undefined) throw error;
      return Slice.fromBlock(block as bigint);
    } catch (error) {
      if (block !== null) blockUnref(toInteger(block));
      throw asOurs(error);
    }
  };
}

/** What a declaration says of a function, checked once. */
interface Shape extends Outputs {
  call(given: readonly unknown[]): Call;
  /** The error of a failed call. To be asked before anything else is called, which might change the errno. */
  errorOf(call: Call): CCallError | undefined;
}

interface Outputs {
  readonly parameters: readonly Parameter[];
  readonly result: TypeObject;
}

interface Parameter {
  readonly direction: string;
  readonly type: TypeObject;
}

function shapeOf(fn: AnyFunction | KoffiFunction, ownership: Failure & { pointer: OutputPlace }): Shape {
  const info = (fn as Partial<KoffiFunction>)?.info;
  if (typeof fn !== 'function' || info === undefined) throw typeError(`fn must be a koffi function, got ${show(fn)}`);
  if (typeof ownership !== 'object' || ownership === null) {
    throw typeError(`ownership must be an object, got ${show(ownership)}`);
  }
  const outputs = { parameters: info.arguments as unknown as Parameter[], result: info.result };
  const { pointer, failed = failedByDefault(info.result.primitive), message } = ownership;
  checkPlace(pointer, outputs, /^Pointer$/, 'a pointer, such as void *');
  checkFunction('failed', failed);
  if (message !== undefined) checkFunction('message', message);
  return {
    ...outputs,
    call(given) {
      const args = argumentsOf(info.name, outputs.parameters, given);
      const result = callC(fn as KoffiFunction, args);
      return { args, result, address: pointerAt(args, result, pointer) };
    },
    errorOf({ result, address }) {
      const errno = lastErrno();
      if (!failed(result) && address !== null) return undefined;
      const why = message === undefined ? describe(result, errno) : message(result);
      return new CCallError(`${info.name} failed: ${why}`, result, errno);
    },
  };
}

/** The arguments as C gets them: what the caller gave, and room for each output. */
function argumentsOf(name: string, parameters: readonly Parameter[], given: readonly unknown[]): unknown[] {
  const inputs = parameters.filter(({ direction }) => direction !== 'Output').length;
  if (given.length !== inputs) throw typeError(`${name} takes ${inputs} arguments, got ${given.length}`);
  const next = given.values();
  return parameters.map(({ direction, type }) =>
    direction === 'Output' ? emptyOutput(type.ref?.primitive) : asPointer(next.next().value),
  );
}

/** koffi refuses arguments before it calls C, so there is nothing to give back. */
function callC(fn: KoffiFunction, args: unknown[]): unknown {
  clearErrno();
  try {
    return fn(...args);
  } catch (cause) {
    throw new CSliceError('ERR_CSLICE_TYPE', `${fn.info.name} was not called: ${(cause as Error).message}`, { cause });
  }
}

/** Whatever the functions of a declaration throw reaches the caller as one kind of error. */
function asOurs(error: unknown): CSliceError {
  if (error instanceof CSliceError) return error;
  return new CSliceError(
    'ERR_CSLICE_TYPE',
    `a function of the declaration threw: ${error instanceof Error ? error.message : show(error)}`,
    { cause: error },
  );
}

function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw typeError(`${name} must be a function, got ${show(value)}`);
}

function emptyOutput(primitive: string | undefined): unknown {
  return primitive === 'Record' || primitive === 'Union' ? {} : [null];
}

function asPointer(value: unknown): unknown {
  return value instanceof Slice ? value.address : value;
}

function failedByDefault(primitive: string): (result: unknown) => boolean {
  return /^Int(8|16|32)$/.test(primitive) ? (result) => result !== 0 : () => false;
}

function describe(result: unknown, errno: number): string {
  return errno === 0 ? `it returned ${show(result)}` : `${getSystemErrorName(-errno)} (errno ${errno})`;
}

function isConstant(size: OwnedBytes['size']): size is { bytes: number } {
  return typeof size === 'object' && size !== null && 'bytes' in size;
}

/** The C type of what is at a place: koffi must hand it over as it is, and not convert it to something of its own. */
function checkPlace(place: OutputPlace, outputs: Outputs, primitives: RegExp, wanted: string): void {
  const type = typeAt(place, outputs);
  if (type === undefined || !primitives.test(type.primitive)) {
    throw typeError(`${show(place)} must be ${wanted}, and is ${type === undefined ? 'no such thing' : type.name}`);
  }
}

function typeAt(place: OutputPlace, { parameters, result }: Outputs): TypeObject | undefined {
  if (place === 'result') return result;
  const index = typeof place === 'object' && place !== null ? place.argument : place;
  checkInteger('the index of an argument', index, 0, parameters.length - 1);
  const parameter = parameters[index];
  if (parameter === undefined || parameter.direction === 'Input') {
    throw rangeError(`argument ${index} is not an _Out_ parameter of the function`);
  }
  const { ref } = parameter.type;
  return typeof place === 'object' ? ref?.members?.[place.member]?.type : ref;
}

function sizeReader(outputs: Outputs, size: OwnedBytes['size']): (call: Call, args: readonly unknown[]) => number {
  if (typeof size === 'function') return (_, args) => checkLength('size', size(...args));
  if (isConstant(size)) {
    const bytes = checkLength('size.bytes', size.bytes);
    return () => bytes;
  }
  checkPlace(size, outputs, /^U?Int(16|32|64)$/, 'an integer, such as size_t');
  return ({ args, result }) => checkLength('the size that C tells', Number(valueAt(args, result, size)));
}

function valueAt(args: unknown[], result: unknown, place: OutputPlace): unknown {
  if (place === 'result') return result;
  if (typeof place === 'number') return (args[place] as unknown[])[0];
  return (args[place.argument] as Record<string, unknown>)[place.member];
}

function pointerAt(args: unknown[], result: unknown, place: OutputPlace): bigint | null {
  const value = valueAt(args, result, place);
  return typeof value === 'bigint' && value !== 0n ? value : null;
}
