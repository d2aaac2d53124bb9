/** JavaScript functions that C keeps and calls later: an update hook, a user-defined function, a sink for data. */
import { checkLength, toInteger } from './core/check.ts';
import { readOptions } from './core/options.ts';
import { noHolds, own, uncounted } from './core/owner.ts';
import { CSliceError, describeError, rangeError, show, typeError, unreadable } from './errors.ts';
import { guarded } from './func/arguments.ts';
import { type Prototype, parsePrototype } from './func/prototype.ts';
import { kinds } from './func/shape.ts';
import { countCallback } from './func/trap.ts';
import type { CallbackParameters, CallbackResult } from './func/types.ts';
import { type Callback, newCallback } from './handle.ts';
import { koffi } from './native/koffi.ts';
import { Slice } from './slice.ts';

/**
 * What the length of a view is: the name of a parameter, or a function of all the arguments.
 *
 * @example
 * const size: cslice.ViewSize = (_data, width, height) => 4 * width * height;
 * using draw = callback('void draw(uint8_t *data, int width, int height)', { views: { data: size } }, (data) => {
 *   console.log(data.length);
 * });
 */
// biome-ignore lint/suspicious/noExplicitAny: the arguments are those of the prototype
export type ViewSize = string | ((...args: any[]) => number);

/**
 * How a callback gets its arguments.
 *
 * @example
 * using sink = callback('size_t sink(char *data, size_t size)', { views: { data: 'size' } }, (data, size) => {
 *   console.log(data.slice());
 *   return size;
 * }); // data has length 0 once the callback has returned
 */
export interface CallbackOptions {
  /** Pointers that come as a `Uint8Array`, which is detached when the callback returns, and where their sizes are. */
  views?: Readonly<Record<string, ViewSize>>;
}

type AnyFunction = (...args: unknown[]) => unknown;

/**
 * A JavaScript function for C to call, for as long as this object is reachable or something keeps it: name it in `keeps`
 * of the function that gets it. C calls it in the thread that made it.
 *
 * If it throws, C gets zero, no callback runs until C has returned, and then the call throws the same error.
 *
 * @param prototype of the function that C expects, as C has it
 * @throws {CSliceError} `ERR_CSLICE_TYPE` or `ERR_CSLICE_RANGE` for a wrong argument, `ERR_CSLICE_EXHAUSTED` when koffi has
 *   too many callbacks
 * @example
 * const qsort = func(c, 'void qsort(void *base, size_t count, size_t size, void *compare)');
 * using compare = callback('int compare(const void *a, const void *b)', (a, b) => {
 *   return koffi.decode(a, 'int') - koffi.decode(b, 'int');
 * });
 * const numbers = Int32Array.of(3, 1, 2);
 * qsort(numbers, 3, 4, compare);
 * console.log(numbers); // Int32Array(3) [ 1, 2, 3 ]
 */
export function callback<const S extends string>(
  prototype: S,
  fn: (...args: CallbackParameters<S, undefined>) => CallbackResult<S>,
): Callback;
export function callback<const S extends string, const O extends CallbackOptions>(
  prototype: S,
  options: O,
  fn: (...args: CallbackParameters<S, O>) => CallbackResult<S>,
): Callback;
export function callback(prototype: string, second: unknown, third?: unknown): Callback {
  const fn = third === undefined ? second : third;
  if (typeof fn !== 'function') throw typeError(`fn must be a function, got ${show(fn)}`);
  const parsed = parsePrototype(prototype);
  if (parsed.variadic) throw typeError(`prototype ${show(prototype)}: a callback cannot be variadic`);
  const sizes = sizesOf(parsed, third === undefined ? {} : second);
  return register(parsed, viewed(parsed, sizes, fn as AnyFunction), sizes);
}

interface Sized {
  /** Of the pointer among the parameters. */
  readonly index: number;
  readonly size: number | AnyFunction;
}

function sizesOf({ name, parameters }: Prototype, options: unknown): Sized[] {
  const { views = {} } = readOptions('options', options as CallbackOptions, ['views']);
  if (typeof views !== 'object' || views === null) throw typeError(`views must be an object, got ${show(views)}`);
  const indexOf = (parameter: string): number => {
    const index = parameters.findIndex((candidate) => candidate.name === parameter);
    if (index < 0) throw rangeError(`views: ${name} has no parameter ${show(parameter)}`);
    return index;
  };
  return entriesOf('views', views).map(([pointer, size]) => {
    const index = indexOf(pointer);
    const kind = parameters[index]?.shape.kind;
    if (kind !== kinds.pointer && kind !== kinds.string) {
      throw typeError(`views: ${pointer} of ${name} is no pointer`);
    }
    if (typeof size === 'function') return { index, size: size as AnyFunction };
    if (typeof size !== 'string')
      throw typeError(`views: the size of ${pointer} must be a name or a function, got ${show(size)}`);
    return { index, size: indexOf(size) };
  });
}

/** Read once. @throws {CSliceError} `ERR_CSLICE_TYPE` */
function entriesOf(name: string, object: object): [string, unknown][] {
  try {
    return Object.entries(object);
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

/** `fn` with views for pointers, which end when it has returned or thrown. */
function viewed(prototype: Prototype, sizes: readonly Sized[], fn: AnyFunction): AnyFunction {
  if (sizes.length === 0) return fn;
  return (...args) => {
    const given = [...args];
    const slices: Slice[] = [];
    try {
      for (const { index, size } of sizes) {
        const pointer = args[index];
        const named = `the size of ${prototype.parameters[index]?.name}`;
        const value: unknown = typeof size === 'number' ? Number(args[size]) : size(...args);
        if (typeof value !== 'number') throw typeError(`${named} must be a number, got ${show(value)}`);
        const length = checkLength(named, value);
        if (pointer === null || length === 0) given[index] = new Uint8Array(0);
        else {
          const slice = Slice.borrow(pointer as bigint, length);
          slices.push(slice);
          given[index] = slice.bytes;
        }
      }
      return fn(...given);
    } finally {
      for (const slice of slices) slice.release();
    }
  };
}

function register(prototype: Prototype, fn: AnyFunction, sizes: readonly Sized[]): Callback {
  const { pointer, proto, register, unregister, types } = koffi();
  const { convention, result, parameters } = prototype;
  const raw = pointer(types.void as ReturnType<typeof pointer>);
  const parts = parameters.map(({ type }, i) => (sizes.some(({ index }) => index === i) ? raw : type));
  const type = convention === undefined ? proto(result.type, parts) : proto(convention, result.type, parts);
  const guard = guarded(fn, result.shape, undefined);
  let running = 0;
  const held: AnyFunction = (...args) => {
    running++;
    try {
      return guard(...args);
    } finally {
      running--;
    }
  };
  const address = registered(() => register(held, pointer(type)));
  countCallback(1);
  const end = own(
    uncounted,
    toInteger(address),
    () => {
      countCallback(-1);
      if (running === 0) unregister(address);
      else setImmediate(unregister, address); // koffi still needs it to return to C
    },
    noHolds,
  );
  return newCallback(end);
}

function registered(register: () => bigint): bigint {
  try {
    return register();
  } catch (cause) {
    throw new CSliceError(
      'ERR_CSLICE_EXHAUSTED',
      `The callback was not registered: ${describeError(cause, 'message')}`,
      {
        cause,
      },
    );
  }
}
