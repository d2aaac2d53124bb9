import { createRequire } from 'node:module';
import { types } from 'node:util';
import type Koffi from 'koffi';
import { CSliceError } from '../errors.ts';

/**
 * A library: what `koffi.load` returns.
 *
 * @example
 * const library = koffi.load(null); // a KoffiLibrary
 * const getpid = func(library, 'int getpid(void)');
 */
export type KoffiLibrary = ReturnType<typeof Koffi.load>;

/**
 * A C function that koffi has declared: what `lib.func(…)` returns.
 *
 * @example
 * const getpid = c.func('int getpid(void)'); // a KoffiFunction
 * console.log((await callAsync(getpid)) === process.pid); // true
 */
export type KoffiFunction = ReturnType<KoffiLibrary['func']>;

/**
 * A C type: its name, or what `koffi.struct`, `koffi.array` and their like return.
 *
 * @example
 * using slice = Slice.alloc(16);
 * slice.write('int', 0, 7); // by its name
 * const Pair = koffi.struct({ a: 'int', b: 'int' });
 * console.log(slice.read(Pair)); // { a: 7, b: 0 }
 */
export type TypeSpec = Parameters<typeof Koffi.sizeof>[0];

/** A C type as koffi describes it. */
export type TypeObject = ReturnType<typeof Koffi.type>;

let loaded: typeof Koffi | undefined;

/**
 * koffi, loaded on first use: a worker thread that is terminated while koffi starts takes the whole process with it,
 * and most workers that use slices never need it.
 *
 * @throws {CSliceError} `ERR_CSLICE_LIBRARY` where there is no koffi for this platform, or it was not installed
 */
export function koffi(): typeof Koffi {
  try {
    loaded ??= createRequire(import.meta.url)('koffi') as typeof Koffi;
  } catch (cause) {
    throw new CSliceError(
      'ERR_CSLICE_LIBRARY',
      `koffi, which calls C functions, cannot be loaded on ${process.platform}-${process.arch}: ` +
        `${(cause as Error).message}\nInstall it beside cslice, and leave both out of a bundle.`,
      { cause },
    );
  }
  return loaded;
}

/** What to add to an error of `library`, if another copy of koffi has loaded it: each copy knows its own types alone. */
export function strangerHint(library: unknown): string {
  const isOfKoffi = !types.isProxy(library) && Object.hasOwn(library as object, 'cdecl');
  if (!isOfKoffi) return '';
  const { load, version } = koffi();
  const isOurs = Object.getPrototypeOf(library) === Object.getPrototypeOf(load(null));
  return isOurs ? '' : `. lib is not of cslice's koffi, ${version}: npm ls koffi shows whether there is another one`;
}

/** Whether it can be loaded: there are CPUs without it. */
export function isKoffiThere(): boolean {
  try {
    koffi();
    return true;
  } catch {
    return false;
  }
}
