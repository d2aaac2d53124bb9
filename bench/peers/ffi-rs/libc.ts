import { createRequire } from 'node:module';
import { libcName } from '../../harness/libc.ts';

export type External = { readonly __external: unique symbol };
type Signature = { library: string; retType: number; paramsType: number[] };

type Fn = (values: [number | External]) => External;

interface FfiRs {
  readonly DataType: { readonly External: number; readonly U64: number; readonly Void: number };
  open(options: { library: string; path: string }): void;
  define<Name extends string>(functions: Record<Name, Signature>): Record<Name, Fn>;
  createExternalBuffer(pointer: External, byteLength: number): Buffer;
}

/** Where `npm run bench:peers` puts it, build/peers, seen from build/bench/peers/ffi-rs. */
const require = createRequire(new URL('../../../peers/package.json', import.meta.url));
const { DataType, ...ffi }: FfiRs = require('ffi-rs');

const library = 'libc';
ffi.open({ library, path: libcName });

const functions = ffi.define({
  malloc: { library, retType: DataType.External, paramsType: [DataType.U64] },
  free: { library, retType: DataType.Void, paramsType: [DataType.External] },
});

export const malloc: Fn = functions.malloc;
export const free: Fn = functions.free;
export const createExternalBuffer: FfiRs['createExternalBuffer'] = ffi.createExternalBuffer;
