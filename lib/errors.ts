/** The stable codes by which a {@link CSliceError} is told apart. */
export type ErrorCode =
  | 'ERR_CSLICE_RELEASED'
  | 'ERR_CSLICE_RANGE'
  | 'ERR_CSLICE_TYPE'
  | 'ERR_CSLICE_NOMEM'
  | 'ERR_CSLICE_LIMIT'
  | 'ERR_CSLICE_NO_VIEW'
  | 'ERR_CSLICE_LIBRARY'
  | 'ERR_CSLICE_STREAM'
  | 'ERR_CSLICE_CALL';

/** What every function of this package throws. The code is stable; the message names the argument and its value. */
export class CSliceError extends Error {
  override readonly name = 'CSliceError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A C function said that it failed. */
export class CCallError extends CSliceError {
  /** The name of the C function. */
  readonly function: string;
  /** What the function returned. */
  readonly result: unknown;
  /** C's errno right after the call; it means something only if the function sets it. */
  readonly errno: number;

  constructor(name: string, reason: string, result: unknown, errno: number) {
    super('ERR_CSLICE_CALL', `${name} failed: ${reason}`);
    this.function = name;
    this.result = result;
    this.errno = errno;
  }
}

export function rangeError(message: string, options?: ErrorOptions): CSliceError {
  return new CSliceError('ERR_CSLICE_RANGE', message, options);
}

export function typeError(message: string, options?: ErrorOptions): CSliceError {
  return new CSliceError('ERR_CSLICE_TYPE', message, options);
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
