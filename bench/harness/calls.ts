/** The C functions that the comparisons of calls call, and how each is called. */
import koffi from 'koffi';
import type { Measurement } from './measure.ts';

export type Library = ReturnType<typeof koffi.load>;

export const prototypes = {
  numbers: 'int abs(int x)',
  slice: 'void *memset(void *memory, int byte, size_t size)',
  slices: 'int memcmp(const void *a, const void *b, size_t size)',
  async: 'int abs(int x)',
} as const;

export const libc: Library = koffi.load(null);

export type Kind = keyof typeof prototypes | 'handle';

const atOnce = 64;
const rounds = 200;

/** Nanoseconds for a call of many that are under way at once: the median of several rounds. */
export async function perCall(call: () => unknown): Promise<Measurement> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    await Promise.all(Array.from({ length: atOnce }, call));
    times.push(Number(process.hrtime.bigint() - start) / atOnce);
  }
  times.sort((a, b) => a - b);
  return { value: times[rounds / 2] as number };
}
