/** The library of freed.c, in a process that was started with it preloaded. */
import koffi from 'koffi';

export interface FreedMemory {
  readonly library: ReturnType<typeof koffi.load>;
  /** Memory for a test to adopt; the library's `freed_end` gives it back. */
  make(byteLength: number): bigint;
  owns(address: bigint): boolean;
  /** How many blocks were written to after they had been given back, since the last call. */
  written(): number;
}

/** Watches the library of cslice, which has been loaded, from here on. */
export function watchFreed(path: string): FreedMemory {
  const library = koffi.load(path);
  if (library.func('int freed_watch(void)')() < 1) throw new Error('The library of cslice is not there to be watched');
  return {
    library,
    make: library.func('void *freed_make(size_t size)'),
    owns: library.func('int freed_owns(uintptr_t memory)'),
    written: library.func('int freed_written(void)'),
  };
}
