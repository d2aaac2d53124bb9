import { createRequire } from 'node:module';
import { direct, host } from '../native/host.ts';

let collector: (() => void) | undefined;

/** A full collection on other runtimes, by a function that V8 only shows where it is asked for. */
function findCollector(): () => void {
  const { Bun: bun, gc } = globalThis as { Bun?: { gc(now: boolean): void }; gc?: () => void };
  if (bun !== undefined) return () => bun.gc(true);
  if (gc !== undefined) return () => gc();
  try {
    const require = createRequire(import.meta.url);
    require('node:v8').setFlagsFromString('--expose-gc');
    return require('node:vm').runInNewContext('gc');
  } catch {
    return () => {};
  }
}

/** A full garbage collection: milliseconds. The blocks that it finds unreachable are freed when this returns. */
export function collectGarbage(): void {
  if (direct) {
    host.collect();
    return;
  }
  collector ??= findCollector();
  collector();
  collector(); // V8 frees what the first one found on a thread of its own, which the second one waits for
}

const offerStep = 4 << 20;

/** In buffers that were made and have not been ended by scope since the last offer. */
let bytesSinceOffer = 0;

/**
 * Notes a new buffer, and lets V8 collect its young objects where the buffers among them hold much memory. V8 looks at
 * that only when it allocates the memory of an ArrayBuffer itself: without this, buffers over C memory would wait for a
 * full collection. What is "much" is V8's choice: 32 MiB in Node 20 and 22.
 */
export function noteMade(byteLength: number): void {
  if (bytesSinceOffer >= offerStep) {
    bytesSinceOffer = 0;
    new ArrayBuffer(1);
  }
  bytesSinceOffer += byteLength;
}

export function noteEnded(byteLength: number): void {
  bytesSinceOffer = Math.max(0, bytesSinceOffer - byteLength);
}
