/** How long the event loop stands still. */

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The longest time between two turns of a busy event loop, in milliseconds, from `act` to well after it. */
async function longestTurn(act: () => void): Promise<number> {
  let longest = 0;
  let last = performance.now();
  act();
  for (const until = performance.now() + 100; last < until; ) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return longest;
}

export interface Stall {
  /** With what was to be measured. */
  acting: number;
  /** Without: what the machine does by itself. */
  idle: number;
}

/** The median of several, since any one of them may have met another process. */
export async function medianStall(prepare: () => () => void): Promise<Stall> {
  const stalls: Stall[] = [];
  for (let i = 0; i < 5; i++) {
    const act = prepare();
    globalThis.gc?.();
    await pause(50);
    const idle = await longestTurn(() => {});
    stalls.push({ acting: await longestTurn(act), idle });
    await pause(50);
  }
  const median = (of: keyof Stall): number => stalls.map((stall) => stall[of]).sort((a, b) => a - b)[2] as number;
  return { acting: median('acting'), idle: median('idle') };
}
