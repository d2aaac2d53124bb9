/**
 * The stable codes by which a {@link CSliceError} is told apart.
 *
 * @example
 * const code: cslice.ErrorCode = 'ERR_CSLICE_RELEASED';
 */
export type ErrorCode =
  /** A value is out of range. Such an error is a `RangeError` too. */
  | 'ERR_CSLICE_RANGE'
  /** A value has the wrong type. Such an error is a `TypeError` too. */
  | 'ERR_CSLICE_TYPE'
  /** A handle was used after its release, or after its bytes were moved. */
  | 'ERR_CSLICE_RELEASED'
  /** The handle cannot do that as long as others hold, share or lend its memory, or do not own it. */
  | 'ERR_CSLICE_STATE'
  /** Memory is exhausted. */
  | 'ERR_CSLICE_NOMEM'
  /** The allocation would pass the limit that `configure()` has set. */
  | 'ERR_CSLICE_LIMIT'
  /** All of a fixed number are in use: the blocks of a pool, the callbacks that koffi can register. */
  | 'ERR_CSLICE_EXHAUSTED'
  /** The runtime forbids ArrayBuffers over C memory, or the buffer is locked. */
  | 'ERR_CSLICE_NO_VIEW'
  /** The C library of this package cannot be loaded. */
  | 'ERR_CSLICE_LIBRARY'
  /** A stream was closed before it had taken all bytes. */
  | 'ERR_CSLICE_STREAM'
  /** A C function reported a failure: see {@link CCallError}. */
  | 'ERR_CSLICE_CALL';

const hasInstance = Function.prototype[Symbol.hasInstance];

/**
 * What every function of this package throws. The code is stable; the message names the argument and its value. An error
 * with the code `ERR_CSLICE_RANGE` is a `RangeError`, and one with `ERR_CSLICE_TYPE` a `TypeError`; `instanceof
 * CSliceError` is true for them too.
 *
 * @example
 * const slice = Slice.alloc(8);
 * slice.release();
 * try {
 *   slice.bytes;
 * } catch (error) {
 *   if (error instanceof CSliceError) console.log(error.code); // ERR_CSLICE_RELEASED
 * }
 */
export class CSliceError extends Error {
  /** `CSliceError`, for every error of this package: it stands before the message where the error is printed. */
  override readonly name: string = 'CSliceError';
  /** What kind of error it is. */
  readonly code: ErrorCode;

  constructor(
    code: Exclude<ErrorCode, 'ERR_CSLICE_RANGE' | 'ERR_CSLICE_TYPE'>,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
  }

  static override [Symbol.hasInstance](value: unknown): value is CSliceError {
    // biome-ignore-start lint/complexity/noThisInStatic: subclasses inherit this method
    if (hasInstance.call(this, value)) return true;
    return this === CSliceError && (value instanceof CSliceRangeError || value instanceof CSliceTypeError);
    // biome-ignore-end lint/complexity/noThisInStatic: subclasses inherit this method
  }
}

// With the name and the fields of a CSliceError, which cannot be their base too.

const CSliceRangeError = class CSliceError extends RangeError {
  override readonly name: string = 'CSliceError';
  readonly code: ErrorCode = 'ERR_CSLICE_RANGE';
};

const CSliceTypeError = class CSliceError extends TypeError {
  override readonly name: string = 'CSliceError';
  readonly code: ErrorCode = 'ERR_CSLICE_TYPE';
};

/**
 * A C function said that it failed.
 *
 * @example
 * const realpath = func(c, 'char *realpath(const char *path, char *resolved)', { returns: 'string', free: 'free' });
 * try {
 *   realpath('/no/such/file', null);
 * } catch (error) {
 *   if (error instanceof CCallError) console.log(error.function, error.errno); // realpath 2
 * }
 */
export class CCallError extends CSliceError {
  /** The name of the C function. */
  readonly function: string;
  /** The value that it returned. */
  readonly result: unknown;
  /** C's errno right after the call; it means something only if the function sets it. */
  readonly errno: number;

  static override [Symbol.hasInstance](value: unknown): value is CCallError {
    // biome-ignore lint/complexity/noThisInStatic: subclasses inherit this method
    return hasInstance.call(this, value);
  }

  constructor(name: string, reason: string, result: unknown, errno: number) {
    super('ERR_CSLICE_CALL', `${name} failed: ${reason}`);
    this.function = name;
    this.result = result;
    this.errno = errno;
  }
}

/** An error of that code, of the right class. */
export function errorOf(code: ErrorCode, message: string, options?: ErrorOptions): CSliceError {
  if (code === 'ERR_CSLICE_RANGE') return rangeError(message, options);
  return code === 'ERR_CSLICE_TYPE' ? typeError(message, options) : new CSliceError(code, message, options);
}

export function rangeError(message: string, options?: ErrorOptions): CSliceError {
  return new CSliceRangeError(message, options);
}

/** What the state of a handle forbids: the message says what has to happen first. */
export function stateError(message: string, options?: ErrorOptions): CSliceError {
  return new CSliceError('ERR_CSLICE_STATE', message, options);
}

export function typeError(message: string, options?: ErrorOptions): CSliceError {
  return new CSliceTypeError(message, options);
}

/**
 * What to throw where a getter or a proxy of the user's may have thrown `error`: that as the cause of `ERR_CSLICE_TYPE`,
 * or an error of this package as it is.
 */
export function unreadable(name: string, error: unknown): CSliceError {
  if (isOurs(error)) return error;
  return typeError(`${name} cannot be read: ${describeError(error, 'message')}`, { cause: error });
}

/** Whether an error is of this package. What users throw may be a proxy that throws when it is looked at. */
export function isOurs(error: unknown): error is CSliceError {
  try {
    return error instanceof CSliceError;
  } catch {
    return false;
  }
}

/** A short rendering of any value for a message: never throws, never long. */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    case 'bigint':
      return `${value}n`;
    case 'function':
      return describeFunction(value);
    case 'object':
      return value === null ? 'null' : describeObject(value);
    default:
      return String(value);
  }
}

function describeFunction(value: object): string {
  const name = read(value, 'name');
  return typeof name === 'string' && name !== '' ? `function ${name}` : 'function (anonymous)';
}

function describeObject(value: object): string {
  const maker = read(value, 'constructor');
  const name = typeof maker === 'function' ? read(maker, 'name') : undefined;
  return typeof name === 'string' && name !== '' ? `an instance of ${name}` : 'an object';
}

/** A property of any object, which may be a proxy or have a getter that throws. */
function read(value: object, key: string): unknown {
  try {
    return Reflect.get(value, key);
  } catch {
    return undefined;
  }
}

/** What an error of the user's says, whatever it is: its stack or its message, or a short rendering. */
export function describeError(error: unknown, part: 'stack' | 'message' = 'stack'): string {
  const text = typeof error === 'object' && error !== null ? read(error, part) : undefined;
  return typeof text === 'string' ? text : show(error);
}
