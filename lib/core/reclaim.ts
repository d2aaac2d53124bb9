import { createRequire } from 'node:module';
import { sweep } from './lifetime.ts';
import { releaseAside } from './reuse.ts';

type Collector = () => void;

let collector: Collector | undefined;

/** A full collection, by a function that V8 only shows where it is asked for; undefined on other engines. */
function findCollector(): Collector {
  try {
    const require = createRequire(import.meta.url);
    require('node:v8').setFlagsFromString('--expose-gc');
    return (globalThis.gc as Collector | undefined) ?? require('node:vm').runInNewContext('gc');
  } catch {
    return () => {};
  }
}

/**
 * The last resort of an allocation that failed: finds dead handles now rather than at the next collection, as Java
 * does for its direct buffers. Milliseconds. Returns whether anything was given back.
 */
export function reclaim(): boolean {
  releaseAside();
  if (sweep() > 0) return true;
  collector ??= findCollector();
  collector();
  return sweep() > 0;
}
