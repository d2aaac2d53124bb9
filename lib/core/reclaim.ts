import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sweep } from './lifetime.ts';

type Collector = () => void;

let collector: Collector | undefined;

/** A full collection, by a function that V8 only shows where it is asked for; undefined on other engines. */
function findCollector(): Collector {
  try {
    setFlagsFromString('--expose-gc');
    return (globalThis.gc as Collector | undefined) ?? (runInNewContext('gc') as Collector);
  } catch {
    return () => {};
  }
}

/**
 * The last resort of an allocation that failed: finds dead handles now rather than at the next collection, as Java
 * does for its direct buffers. Milliseconds. Returns whether anything was given back.
 */
export function reclaim(): boolean {
  if (sweep() > 0) return true;
  collector ??= findCollector();
  collector();
  return sweep() > 0;
}
