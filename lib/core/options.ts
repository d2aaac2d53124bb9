import { show, typeError, unreadable } from '../errors.ts';

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
    const copy = {} as T;
    for (const key of known) copy[key] = options[key];
    for (const key of Object.keys(options)) {
      if (!(known as readonly string[]).includes(key)) {
        throw typeError(`${name} has no ${show(key)}; it may have ${known.join(', ')}`);
      }
    }
    return copy;
  } catch (cause) {
    throw unreadable(name, cause);
  }
}
