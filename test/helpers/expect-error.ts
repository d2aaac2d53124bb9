import { expect } from 'chai';
import { CSliceError, type ErrorCode } from '../../lib/errors.ts';

/** Runs `action`, which must throw a CSliceError with this code and, if given, a message like this. */
export function expectError(action: () => unknown, code: ErrorCode, message?: RegExp): CSliceError {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  expect(thrown, `what was thrown (${String(thrown)})`).to.be.instanceOf(CSliceError);
  const error = thrown as CSliceError;
  expect(error.code, error.message).to.equal(code);
  if (message !== undefined) expect(error.message).to.match(message);
  return error;
}

/** For arguments that the types forbid and that JavaScript passes all the same. */
// biome-ignore lint/suspicious/noExplicitAny: any value must fit any parameter
export const wrong = (value: unknown): any => value;
