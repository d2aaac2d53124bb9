import { createRequire } from 'node:module';

interface Addon {
  alloc(byteLength: number): ArrayBuffer;
  detach(buffer: ArrayBuffer): void;
  finalized(): number;
}

/** Compiled by the runner beside this file's own output. */
export const addon: Addon = createRequire(import.meta.url)('./addon.node');
