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

/** A full garbage collection: milliseconds. What it finds dead is given back when it returns. */
export function collectGarbage(): void {
  if (direct) {
    host.collect();
    return;
  }
  collector ??= findCollector();
  collector();
  collector(); // V8 frees what the first one found on a thread of its own, which the second one waits for
}

const offerStep = 8 << 20;
let allocatedSinceOffer = 0;

/**
 * For Deno: lets V8 collect its young objects if the buffers among them hold much memory. It looks at that only when it
 * allocates an ArrayBuffer of its own, and buffers over C memory would wait for a full collection.
 */
export function offerCollection(byteLength: number): void {
  if (direct) return;
  allocatedSinceOffer += byteLength;
  if (allocatedSinceOffer < offerStep) return;
  allocatedSinceOffer = 0;
  new ArrayBuffer(1);
}
