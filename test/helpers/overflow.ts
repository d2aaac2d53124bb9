/** JavaScript's stack is full. */
export function isOverflow(error: unknown): boolean {
  return error instanceof Error && error.message.includes('call stack');
}

/** Acts so many frames before the end of the stack. Says whether the stack was full; every other error it throws. */
export function nearTheEnd(frames: number, act: () => void): boolean {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0; // each of thousands of frames would be noted in every error
  let left = frames;
  let failure: unknown;
  let overflowed = false;
  const dive = (): void => {
    try {
      dive();
    } catch (error) {
      if (!isOverflow(error) || --left > 0) throw error;
      if (left < 0) return;
      try {
        act();
      } catch (thrown) {
        if (isOverflow(thrown)) overflowed = true;
        else failure = thrown;
      }
    }
  };
  try {
    dive();
  } catch (error) {
    if (!isOverflow(error)) throw error;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  if (failure !== undefined) throw failure;
  return overflowed;
}
