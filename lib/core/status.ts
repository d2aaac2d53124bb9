import { CSliceError, stateError } from '../errors.ts';
import { status } from '../native/symbols.ts';

/**
 * The error for a negative status of the C library.
 *
 * @param action what was tried, to follow "Cannot"
 * @param forbidden why the state of the block forbids it, where that is what the status says
 */
export function statusError(code: number, action: string, forbidden = 'the block does not allow it'): CSliceError {
  switch (code) {
    case status.ENOMEM:
      return new CSliceError('ERR_CSLICE_NOMEM', `Cannot ${action}: the C allocator has no memory left`);
    case status.ELIMIT:
      return new CSliceError(
        'ERR_CSLICE_LIMIT',
        `Cannot ${action}: that would pass the limit. Release slices, or raise limitBytes with configure()`,
      );
    case status.ENOVIEW:
      return new CSliceError('ERR_CSLICE_NO_VIEW', `Cannot ${action}: this runtime has no ArrayBuffers over C memory`);
    default:
      return stateError(`Cannot ${action}: ${forbidden}`);
  }
}
