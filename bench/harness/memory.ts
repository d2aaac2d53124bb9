/** What live objects cost, in JavaScript's heap and in C's together. */
import koffi from 'koffi';
import { type Measurement, turn } from './measure.ts';

/** Bytes that the C allocator has handed out: exact with glibc, elsewhere what the process has resident. */
function nativeCounter(): () => number {
  try {
    const fields = ['arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks', 'fordblks'];
    const layout = Object.fromEntries([...fields, 'keepcost'].map((field) => [field, 'size_t']));
    const mallinfo = koffi.load(null).func('mallinfo2', koffi.struct(layout), []);
    return () => {
      const { uordblks, hblkhd } = mallinfo();
      return Number(uordblks) + Number(hblkhd);
    };
  } catch {
    return () => process.memoryUsage.rss();
  }
}

const native = nativeCounter();

async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await turn();
  }
}

/** Bytes for each of `count` live objects, what they point to included. */
export async function bytesPerLive(count: number, make: () => unknown): Promise<Measurement> {
  const live: unknown[] = new Array(count).fill(undefined);
  for (let i = 0; i < 2000; i++) make(); // compiles what will run, and fills the pools that exist once
  await settle();
  const before = { heap: process.memoryUsage().heapUsed, native: native() };
  for (let i = 0; i < count; i++) live[i] = make();
  await settle();
  const heap = (process.memoryUsage().heapUsed - before.heap) / count;
  const nativeBytes = (native() - before.native) / count;
  if (live.length !== count) throw new Error('the objects must outlive the measurement');
  return { value: heap + nativeBytes, details: { heap, native: nativeBytes } };
}
