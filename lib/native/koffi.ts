import { createRequire } from 'node:module';
import type Koffi from 'koffi';

/** koffi's types that it does not export by name. */
export type KoffiLibrary = ReturnType<typeof Koffi.load>;
export type KoffiFunction = ReturnType<KoffiLibrary['func']>;
export type TypeSpec = Parameters<typeof Koffi.sizeof>[0];
export type TypeObject = ReturnType<typeof Koffi.type>;

let loaded: typeof Koffi | undefined;

/**
 * koffi, loaded on first use: a worker thread that is terminated while koffi starts takes the whole process with it,
 * and most workers that use slices never need it.
 */
export function koffi(): typeof Koffi {
  loaded ??= createRequire(import.meta.url)('koffi') as typeof Koffi;
  return loaded;
}
