import { cannotBeLoaded, libraryError, libraryPath } from './locate.ts';

/** C's integers of 64 bits: a number where that is exact, as every address of today's user space is. */
export type Integer = number | bigint;

/** The second door: what csrc/host.c exports to this thread, with the reason for each function there. */
export interface Host {
  detach(buffer: ArrayBuffer): void;
  view(address: Integer, length: number): ArrayBuffer | undefined;
  track(token: object, slot: number): number | undefined;
  sweep(slots: Uint32Array): number;
  listen(callback: () => void): Integer | undefined;
}

export function openHost(): Host {
  const module = { exports: {} as Partial<Host> };
  try {
    process.dlopen(module, libraryPath);
  } catch (cause) {
    throw cannotBeLoaded(cause);
  }
  if (module.exports.listen === undefined) {
    throw libraryError('found no usable Node-API in this process', [libraryPath]);
  }
  return module.exports as Host;
}
