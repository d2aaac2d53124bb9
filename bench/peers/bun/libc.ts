import { dlopen, type Fn } from 'bun:ffi';
import { libcName } from '../../harness/libc.ts';

const functions = dlopen(libcName, {
  malloc: { args: ['usize'], returns: 'ptr' },
  free: { args: ['ptr'], returns: 'void' },
}).symbols;

export const malloc: Fn = functions.malloc;
export const free: Fn = functions.free;
