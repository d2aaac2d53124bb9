/** The library of threads.c, which compile.ts makes, for a test and for the processes and threads that it starts. */
import koffi from 'koffi';
import type { Destructor } from '../../lib/index.ts';
import { destructor, Slice } from '../../lib/index.ts';

type Func = ReturnType<ReturnType<typeof koffi.load>['func']>;

export interface Counts {
  started: number;
  finished: number;
  freed: number;
  /** Memory given back while a function worked on it. */
  freedInUse: number;
}

/** In milliseconds, as an argument of fillLater: until the gate opens. */
export const untilGateOpens = -1;

export interface Library {
  path: string;
  /** Waits, then fills, then returns the sum of the bytes. */
  fillLater: Func;
  fillJobLater: Func;
  /** Looks at memory, all of one byte, for some microseconds. Returns how often it saw another byte. */
  look: Func;
  free: Destructor;
  counts(): Counts;
  /** What fillLater waits for where it is told to wait for a negative time. */
  gate(open: boolean): void;
  poke(address: bigint, byte: number): void;
  peek(address: bigint): number;
  /** A slice over memory of C that this library gives back. */
  adopt(byteLength: number): Slice;
}

export function openThreads(path: string): Library {
  const library = koffi.load(path);
  const counts = library.func('void threads_counts(void *counts)');
  const make = library.func('void *threads_make(size_t size)');
  const job = koffi.struct({ memory: 'uint8_t *', size: 'size_t', byte: 'int', milliseconds: 'int' });
  const free = destructor(library, 'threads_free');
  return {
    path,
    fillLater: library.func('uint64_t threads_fill_later(uint8_t *memory, size_t size, int byte, int milliseconds)'),
    fillJobLater: library.func('threads_fill_job_later', 'uint64_t', [job]),
    look: library.func('uint64_t threads_look(const uint8_t *memory, size_t size, int byte, int microseconds)'),
    free,
    counts() {
      const numbers = new BigUint64Array(4);
      counts(numbers);
      const [started, finished, freed, freedInUse] = Array.from(numbers, Number) as [number, number, number, number];
      return { started, finished, freed, freedInUse };
    },
    gate: library.func('void threads_gate(bool open)'),
    poke: library.func('void threads_poke(uintptr_t address, uint8_t byte)'),
    peek: library.func('uint8_t threads_peek(uintptr_t address)'),
    adopt: (byteLength) => Slice.adopt(make(byteLength), byteLength, free),
  };
}
