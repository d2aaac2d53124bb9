import { CSliceError } from '../errors.ts';
import { status, statusMessage } from '../native/symbols.ts';

/** The error for a negative status of the C library. `what` was asked for. */
export function statusError(code: number, what: string): CSliceError {
  const message = `${what}: ${statusMessage(code)}`;
  switch (code) {
    case status.ENOMEM:
      return new CSliceError('ERR_CSLICE_NOMEM', message);
    case status.ELIMIT:
      return new CSliceError('ERR_CSLICE_LIMIT', message);
    case status.ENOVIEW:
      return new CSliceError('ERR_CSLICE_NO_VIEW', message);
    default:
      return new CSliceError('ERR_CSLICE_RANGE', message);
  }
}
