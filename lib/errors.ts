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

export function typeError(message: string): CSliceError {
  return new CSliceError('ERR_CSLICE_TYPE', message);
}

/** A short rendering of any value for a message: never throws, never long. */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    case 'bigint':
      return `${value}n`;
    case 'function':
      return `function ${value.name || '(anonymous)'}`;
    case 'object':
      return value === null ? 'null' : describeObject(value);
    default:
      return String(value);
  }
}

function describeObject(value: object): string {
  try {
    return `an instance of ${value.constructor.name}`;
  } catch {
    return 'an object';
  }
}
