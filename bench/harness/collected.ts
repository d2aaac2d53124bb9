/** Blocks that end with a garbage collection: a batch, and the collection that ends it. */
import { type Measurement, turn } from './measure.ts';

/** Nanoseconds for one of `count` blocks that `batch` makes and lets go, their collection included. */
export async function perCollected(count: number, batch: () => void | Promise<void>): Promise<Measurement> {
  const rounds: number[] = [];
  for (let round = 0; round < 21; round++) {
    const start = performance.now();
    await batch();
    globalThis.gc?.();
    await turn();
    rounds.push(performance.now() - start);
  }
  rounds.sort((a, b) => a - b);
  return { value: ((rounds[rounds.length >> 1] as number) / count) * 1e6 };
}
