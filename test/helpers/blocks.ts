import { Slice } from '../../lib/index.ts';
import { c } from './c-library.ts';

export const malloc: (byteLength: number) => bigint = c.func('void *malloc(size_t size)');
const memset: (address: bigint, byte: number, byteLength: number) => void = c.func(
  'void *memset(uintptr_t memory, int byte, size_t size)',
);
export const free: (address: bigint) => void = c.func('void free(void *memory)');

export interface Watched {
  slice: Slice;
  /** A `[address, byteLength]` for each time that the destructor ran. Does not lead back to the slice. */
  ended: [bigint, number][];
}

/** A slice over memory from malloc, zeroed, with a JavaScript destructor that frees it and takes notes. */
export function watched(byteLength = 64): Watched {
  const address = malloc(Math.max(1, byteLength));
  memset(address, 0, byteLength);
  const ended: [bigint, number][] = [];
  const slice = Slice.adopt(address, byteLength, (at, length) => {
    ended.push([at, length]);
    free(at);
  });
  return { slice, ended };
}
