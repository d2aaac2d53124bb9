/**
 * Throws now, if the stack has no room for some more calls, and not in the midst of what follows: once C has given
 * something over, nothing may keep it from its owner. Some 2 ns a frame.
 */
export function needStack(frames: number): number {
  return frames === 0 ? 0 : 1 + needStack(frames - 1);
}

/**
 * For what is about to own something of C's: from the moment in which C has given it over until it is in its owner's hands.
 *
 * @param recorded the stack is recorded, too
 */
export function needStackToOwn(recorded: boolean): void {
  needStack(recorded ? 100 : 16);
}
