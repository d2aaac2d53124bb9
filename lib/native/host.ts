import { libraryError } from './locate.ts';
import { type Integer, libraryPath } from './symbols.ts';

/** The second door: what csrc/host.c exports to this thread, with the reason for each function there. */
export interface Host {
  detach(buffer: ArrayBuffer): void;
  view(address: Integer, length: number): ArrayBuffer | undefined;
  track(token: object, slot: number): number | undefined;
  sweep(slots: Uint32Array): number;
  listen(callback: () => void): Integer | undefined;
}

function open(): Host {
  const module = { exports: {} as Partial<Host> };
  try {
    process.dlopen(module, libraryPath);
  } catch (cause) {
    throw libraryError(`cannot be loaded (${(cause as Error).message})`, [libraryPath], cause);
  }
  if (module.exports.listen === undefined) {
    throw libraryError('found no usable Node-API in this process', [libraryPath]);
  }
  return module.exports as Host;
}

export const host: Host = open();
