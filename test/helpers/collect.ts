import { setImmediate as turn } from 'node:timers/promises';
import { underWay } from '../../lib/core/in-use.ts';

/**
 * One full collection, and turns of the event loop for the registry's callbacks and what they queue. The turn before it
 * ends the job of the caller, who may have looked into a WeakRef: its target lives until then.
 */
export async function collectOnce(): Promise<void> {
  if (globalThis.gc === undefined) throw new Error('Run this with --expose-gc');
  await turn();
  globalThis.gc();
  await turn();
  await turn();
}

/** Collects until `condition` holds. One collection proves nothing: engines may keep garbage through several. */
export async function collectUntil(condition: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms of collections: ${what}`);
    await collectOnce();
  }
}

/** Gives the collector every chance to take what it may take, before a test says that something was kept. */
export async function collectManyTimes(): Promise<void> {
  for (let i = 0; i < 8; i++) await collectOnce();
}

/** Collects until `snapshot` stops changing, so that the garbage of earlier tests does not disturb a count. */
export async function settle(snapshot: () => unknown, limitMs = 10_000): Promise<void> {
  const end = Date.now() + limitMs;
  let before = JSON.stringify(snapshot());
  for (let quiet = 0; quiet < 4 && Date.now() < end; ) {
    await collectOnce();
    const now = JSON.stringify(snapshot());
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}

/** Waits until Node has nothing under way in this thread: the test runner reads files too. */
export async function untilIdle(limitMs = 10_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (underWay() > 0) {
    if (Date.now() > end) throw new Error(`${underWay()} operations are under way for more than ${limitMs} ms`);
    await turn();
  }
}
