/**
 * What a callback throws. C cannot pass an exception on, so the callback answers C with zero, runs no more JavaScript
 * until C has returned, and the call that ran it throws.
 */

/** Of one call into C. */
export interface Trap {
  caught: boolean;
  error: unknown;
}

/** Callbacks of ours that C can call at any moment: while there are any, a call must expect JavaScript to run in it. */
export let liveCallbacks = 0;

export function countCallback(change: 1 | -1): void {
  liveCallbacks += change;
}

let current: Trap | undefined;
const inBackground = new Set<Trap>();

/** Runs a call into C, whose callbacks' exceptions go to `trap`. */
export function within<T>(trap: Trap, call: () => T): T {
  const outer = current;
  current = trap;
  try {
    return call();
  } finally {
    current = outer;
  }
}

export function enterBackground(trap: Trap): void {
  inBackground.add(trap);
}

export function leaveBackground(trap: Trap): void {
  inBackground.delete(trap);
}

/** The call that has run a callback; undefined if that cannot be told. */
export function trapOf(given: Trap | undefined): Trap | undefined {
  if (given !== undefined) return given;
  if (current !== undefined) return current;
  return inBackground.size === 1 ? [...inBackground][0] : undefined;
}

/** For an exception that no call can throw: it becomes an uncaught exception of the process. */
export function throwAlone(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
