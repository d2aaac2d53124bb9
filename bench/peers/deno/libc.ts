import { libcName } from '../../harness/libc.ts';

// usize takes bigints here, and is several times as fast as the types that take numbers.
const functions = Deno.dlopen(libcName, {
  malloc: { parameters: ['usize'], result: 'pointer' },
  free: { parameters: ['pointer'], result: 'void' },
}).symbols;

export const malloc: Deno.Fn = functions.malloc;
export const free: Deno.Fn = functions.free;
