/** Never passed: see {@link keepAlive}. Not a constant, so that no compiler can tell the outcome of a comparison with it. */
let neverPassed: unknown = {};

// Stryker disable all: what it is for cannot be seen in a result

/**
 * Keeps `value` reachable up to here. With its address alone in C's hands, V8 may take a slice for garbage once the address
 * has been read, and free its block, on a thread of its own, before C is done with it (Go: `runtime.KeepAlive`).
 */
export function keepAlive(value: unknown): void {
  if (value === neverPassed) neverPassed = {};
}
