import { CSliceError, typeError } from '../errors.ts';
import { runDestructors } from './destructor.ts';
import { endLease, type Holds, startLease } from './holds.ts';
import { Reference, refer } from './reference.ts';

/**
 * A hold on a block that delays its destructor while C works on it. Made by `slice.lease()`. Leases end in any order,
 * and by collection if forgotten.
 */
export class Lease implements Disposable {
  #reference: Reference | undefined;
  readonly #holds: Holds;
  readonly byteLength: number;

  constructor(reference: Reference) {
    if (!(reference instanceof Reference)) throw typeError('A Lease is made by slice.lease()');
    this.#reference = refer(reference, reference.address, reference.byteLength);
    this.#holds = startLease(reference, this);
    this.byteLength = reference.byteLength;
  }

  /** Where the bytes are, for as long as the lease lasts. @throws {CSliceError} `ERR_CSLICE_RELEASED` */
  get address(): bigint {
    if (this.#reference === undefined) throw new CSliceError('ERR_CSLICE_RELEASED', 'This lease has ended');
    return BigInt(this.#reference.address);
  }

  get released(): boolean {
    return this.#reference === undefined;
  }

  /** Ends the lease. Does nothing the second time. */
  release(): void {
    const reference = this.#reference;
    this.#reference = undefined;
    if (reference === undefined) return;
    reference.end();
    endLease(this.#holds, this);
    runDestructors();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
