import { dlopen, type Fn } from 'node:ffi';
import { libcName } from '../../harness/libc.ts';

const functions = dlopen(libcName, {
  malloc: { arguments: ['u64'], return: 'pointer' },
  free: { arguments: ['pointer'], return: 'void' },
}).functions;

export const malloc: Fn = functions.malloc;
export const free: Fn = functions.free;
