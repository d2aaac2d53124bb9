import { libcName } from '../../harness/libc.ts';

export type Pointer = { readonly __pointer: unique symbol };
export type Fn = (...args: (bigint | Pointer)[]) => Pointer;

/** What is used of Deno here. */
interface DenoFfi {
  dlopen<Name extends string>(
    path: string,
    symbols: Record<Name, { parameters: string[]; result: string }>,
  ): { symbols: Record<Name, Fn> };
  readonly UnsafePointerView: {
    getArrayBuffer(pointer: Pointer, byteLength: number): ArrayBuffer;
  };
}

const { Deno } = globalThis as unknown as { Deno: DenoFfi };

// usize takes bigints here, and is several times as fast as the types that take numbers.
const functions = Deno.dlopen(libcName, {
  malloc: { parameters: ['usize'], result: 'pointer' },
  free: { parameters: ['pointer'], result: 'void' },
}).symbols;

export const malloc: Fn = functions.malloc;
export const free: Fn = functions.free;
export const UnsafePointerView: DenoFfi['UnsafePointerView'] = Deno.UnsafePointerView;
