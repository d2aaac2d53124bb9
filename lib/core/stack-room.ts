/**
 * Throws now, if the stack has no room for some more calls, and not in the midst of what follows: once C has given
 * something over, nothing may keep it from its owner. Some 2 ns a frame, each of which is made larger by what is passed:
 * code that V8 has not compiled yet has large ones.
 */
export function needStack(frames: number, a: number, b: number, c: number, d: number, e: number, f: number): number {
  // Stryker disable next-line ArithmeticOperator: nobody uses the sum
  return frames === 0 ? a + b + c + d + e + f : 1 + needStack(frames - 1, b, c, d, e, f, a); // no tail call, which has no frame
}

/**
 * For what is about to own something of C's: from the moment in which C has given it over until it is in its owner's hands.
 *
 * @param recorded the stack is recorded, too
 */
export function needStackToOwn(recorded: boolean): void {
  needStack(recorded ? 250 : 30, 0, 0, 0, 0, 0, 0);
}
