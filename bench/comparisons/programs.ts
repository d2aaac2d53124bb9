import type { Args, Program, RuntimeName } from './types.ts';

const on =
  (runtime: RuntimeName) =>
  (name: string, file: string, ...args: Args): Program => ({ name, runtime, file, args });

type Maker = ReturnType<typeof on>;

export const node: Maker = on('node');
export const node26: Maker = on('node26');
export const bun: Maker = on('bun');
export const deno: Maker = on('deno');
export const ffiRs: Maker = on('ffi-rs');

export const cslice = (file: string, ...args: Args): Program => node('cslice', `cases/${file}`, ...args);
export const go = (byteLength: number): Program => on('go')('Go newSlice + finalizer', 'peers/go', byteLength);
export const cffi = (work: string, byteLength: number): Program =>
  on('python')('Python cffi', 'peers/cffi/peer', work, byteLength);

export const KiB = 1024;
export const MiB: number = 1024 * KiB;
export const GiB: number = 1024 * MiB;
