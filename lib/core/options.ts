import { CSliceError, show, typeError } from '../errors.ts';

/**
 * A copy of an options object, each option read once. So getters run here and nowhere else, and cannot answer a check
 * otherwise than the use. Unknown names are refused.
 *
 * @throws {CSliceError} `ERR_CSLICE_TYPE`
 */
export function readOptions<T extends object>(name: string, options: T, known: readonly (keyof T & string)[]): T {
  if (typeof options !== 'object' || options === null)
    throw typeError(`${name} must be an object, got ${show(options)}`);
  try {
    const unknown = Object.keys(options).find((key) => !(known as readonly string[]).includes(key));
    if (unknown !== undefined) throw typeError(`${name} has no ${show(unknown)}; it may have ${known.join(', ')}`);
    return Object.fromEntries(known.map((key) => [key, options[key]])) as T;
  } catch (cause) {
    throw cause instanceof CSliceError ? cause : typeError(`${name} cannot be read`, { cause });
  }
}

/** A copy of an array of the caller's, each element read once. @throws {CSliceError} `ERR_CSLICE_TYPE` */
export function readArray(name: string, array: unknown): readonly unknown[] {
  try {
    if (Array.isArray(array)) return Array.from(array);
  } catch (cause) {
    throw typeError(`${name} cannot be read`, { cause });
  }
  throw typeError(`${name} must be an array, got ${show(array)}`);
}
