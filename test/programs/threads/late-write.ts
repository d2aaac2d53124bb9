/**
 * Drops a buffer that a running C function writes to later, and lets other buffers take its memory. Says how many of
 * those were overwritten. With plain `.async()` of koffi the process may also die of it.
 */
import { setImmediate as turn } from 'node:timers/promises';
import koffi from 'koffi';
import { callAsync } from '../../../lib/index.ts';

const [how, path] = process.argv.slice(2) as ['plain' | 'held', string];
const byteLength = 8192;
const calls = 40;
const marker = 0x11;
const written = 0x5a;

const fillLater = koffi
  .load(path)
  .func('uint64_t threads_fill_later(uint8_t *memory, size_t size, int byte, int milliseconds)');

/** No variable holds the buffer: a callback would keep its scope, and with it the buffer. */
function start(): Promise<number> {
  if (how === 'held') return callAsync(fillLater, new Uint8Array(byteLength), byteLength, written, 300);
  return new Promise((resolve, reject) => {
    fillLater.async(new Uint8Array(byteLength), byteLength, written, 300, (error: unknown, sum: number) =>
      error ? reject(error) : resolve(sum),
    );
  });
}

const results = Promise.all(Array.from({ length: calls }, start));
const markers: Uint8Array[] = [];
for (let round = 0; round < 10; round++) {
  globalThis.gc?.();
  await turn();
  for (let i = 0; i < 2 * calls; i++) markers.push(new Uint8Array(byteLength).fill(marker));
}
const sums = await results;
const overwritten = markers.filter((bytes) => bytes.some((byte) => byte !== marker)).length;
const right = sums.filter((sum) => sum === byteLength * written).length;
console.log(JSON.stringify({ calls, overwritten, right }));
