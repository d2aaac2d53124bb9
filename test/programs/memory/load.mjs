// The programs of this directory are plain JavaScript and import the package by its name, so that what they measure is
// the built package, without a loader. They print one line of JSON.
import { setImmediate as turn } from 'node:timers/promises';

/** In MiB, of the whole process so far. */
export function peak() {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

/** Collects until `condition` holds, or the time is up. */
export async function collectUntil(condition, limitMs = 30_000) {
  for (const end = Date.now() + limitMs; !condition() && Date.now() < end; ) {
    globalThis.gc();
    await turn();
    await turn();
  }
}
