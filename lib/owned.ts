// biome-ignore-all lint/suspicious/noExplicitAny: koffi functions take and return whatever their declaration says
import { getSystemErrorName } from 'node:util';
import { checkInteger, checkLength, toInteger } from './core/check.ts';
import { type Destructor, NativeDestructor } from './core/destructor.ts';
import { CCallError, rangeError, show, typeError } from './errors.ts';
import type { KoffiFunction, TypeObject } from './native/koffi.ts';
import { blockUnref, lastErrno } from './native/symbols.ts';
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

/** One call: the arguments as C gets them, with room for what it writes. */
interface Call {
  readonly args: unknown[];
  result: unknown;
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
  const { pointer, size, destructor } = ownership;
  const shape = shapeOf(fn, ownership, pointer);
  const sizeOf = sizeReader(shape, size);
  checkDestructor(destructor);
  return (...args) => {
    const call = shape.call(args);
    const address = pointerAt(call, pointer);
    const error = shape.failed(call, address) ? shape.error(call) : undefined;
    let byteLength = 0;
    try {
      byteLength = sizeOf(call, args);
      if (error === undefined) return Slice.adopt(address as bigint, byteLength, destructor);
    } catch (cause) {
      if (address !== null) giveBack(address, byteLength, destructor);
      throw error ?? cause;
    }
    if (address !== null) giveBack(address, byteLength, destructor);
    throw error;
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
  const { pointer, destructor } = ownership;
  const shape = shapeOf(fn, ownership, pointer);
  checkDestructor(destructor);
  return (...args) => {
    const call = shape.call(args);
    const address = pointerAt(call, pointer);
    const error = shape.failed(call, address) ? shape.error(call) : undefined;
    const text = error !== undefined || address === null ? '' : readString(address);
    if (address !== null) giveBack(address, Buffer.byteLength(text) + 1, destructor);
    if (error !== undefined) throw error;
    return text;
  };
}

/** The same for a function that hands over a `cslice_block *` of `csrc/cslice.h`, which knows its size and its end. */
export function ownedBlock<F extends AnyFunction = AnyFunction>(
  fn: F | KoffiFunction,
  ownership: OwnedBlock = { pointer: 'result' },
): (...args: Inputs<F>) => Slice {
  const { pointer } = ownership;
  const shape = shapeOf(fn, ownership, pointer);
  return (...args) => {
    const call = shape.call(args);
    const block = pointerAt(call, pointer);
    const error = shape.failed(call, block) ? shape.error(call) : undefined;
    try {
      if (error === undefined) return Slice.fromBlock(block as bigint);
    } catch (cause) {
      blockUnref(toInteger(block as bigint));
      throw cause;
    }
    if (block !== null) blockUnref(toInteger(block));
    throw error;
  };
}

/** What a declaration says of a function, checked once. */
interface Shape {
  readonly parameters: readonly Parameter[];
  readonly result: TypeObject;
  call(given: readonly unknown[]): Call;
  failed(call: Call, pointer: bigint | null): boolean;
  error(call: Call): CCallError;
}

interface Parameter {
  readonly direction: string;
  readonly type: TypeObject;
}

function shapeOf(fn: AnyFunction | KoffiFunction, ownership: Failure, pointer: OutputPlace): Shape {
  const info = (fn as Partial<KoffiFunction>)?.info;
  if (typeof fn !== 'function' || info === undefined) throw typeError(`fn must be a koffi function, got ${show(fn)}`);
  const parameters = info.arguments as unknown as Parameter[];
  const { result } = info;
  checkPlace(pointer, { parameters, result }, /^Pointer$/, 'a pointer, such as void *');
  const inputs = parameters.filter(({ direction }) => direction !== 'Output').length;
  const { failed = failedByDefault(info.result.primitive), message } = ownership;
  return {
    parameters,
    result,
    call(given) {
      if (given.length !== inputs) throw typeError(`${info.name} takes ${inputs} arguments, got ${given.length}`);
      const next = given.values();
      const args = parameters.map(({ direction, type }) =>
        direction === 'Output' ? emptyOutput(type.ref?.primitive) : asPointer(next.next().value),
      );
      return { args, result: fn(...args) };
    },
    failed: (call, address) => failed(call.result) || address === null,
    error(call) {
      const errno = lastErrno(); // before anything else is called
      const why = message === undefined ? describe(call.result, errno) : message(call.result);
      return new CCallError(`${info.name} failed: ${why}`, call.result, errno);
    },
  };
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
function checkPlace(
  place: OutputPlace,
  shape: Pick<Shape, 'parameters' | 'result'>,
  primitives: RegExp,
  wanted: string,
): void {
  const type = typeAt(place, shape);
  if (type === undefined || !primitives.test(type.primitive)) {
    throw typeError(`${show(place)} must be ${wanted}, and is ${type === undefined ? 'no such thing' : type.name}`);
  }
}

function typeAt(
  place: OutputPlace,
  { parameters, result }: Pick<Shape, 'parameters' | 'result'>,
): TypeObject | undefined {
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

function sizeReader(shape: Shape, size: OwnedBytes['size']): (call: Call, args: readonly unknown[]) => number {
  if (typeof size === 'function') return (_, args) => size(...args);
  if (isConstant(size)) {
    const { bytes } = size;
    checkLength('size.bytes', bytes);
    return () => bytes;
  }
  checkPlace(size, shape, /^U?Int(16|32|64)$/, 'an integer, such as size_t');
  return (call) => sizeAt(call, size);
}

function checkDestructor(destructor: unknown): void {
  if (!(destructor instanceof NativeDestructor) && typeof destructor !== 'function') {
    throw typeError(`destructor must be made by destructor() or be a function, got ${show(destructor)}`);
  }
}

function valueAt({ args, result }: Call, place: OutputPlace): unknown {
  if (place === 'result') return result;
  if (typeof place === 'number') return (args[place] as unknown[])[0];
  return (args[place.argument] as Record<string, unknown>)[place.member];
}

function pointerAt(call: Call, place: OutputPlace): bigint | null {
  const value = valueAt(call, place);
  return typeof value === 'bigint' && value !== 0n ? value : null;
}

function sizeAt(call: Call, place: OutputPlace): number {
  const size = Number(valueAt(call, place) ?? 0);
  if (!Number.isSafeInteger(size) || size < 0) throw rangeError(`C reported a size of ${size} bytes`);
  return size;
}

/** Needs no memory itself, so it works for what could not be adopted too. */
function giveBack(address: bigint, byteLength: number, destructor: Destructor): void {
  if (typeof destructor === 'function') destructor(address, byteLength);
  else destructor.run(toInteger(address), byteLength);
}
