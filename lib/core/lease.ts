import { CSliceError, typeError } from '../errors.ts';
import type { Integer } from '../native/symbols.ts';
import { isKeeper, type Keeper, releaseKeeper, retain } from './lifetime.ts';

/**
 * A hold on a block that delays its destructor while C works on it. Made by `slice.lease()`. Leases end in any order,
 * and by collection if forgotten.
 */
export class Lease implements Disposable {
  #keeper: Keeper | undefined;
  readonly #address: Integer;
  readonly byteLength: number;

  constructor(keeper: Keeper, address: Integer, byteLength: number) {
    if (!isKeeper(keeper)) throw typeError('A Lease is made by slice.lease()');
    this.#keeper = retain(keeper);
    this.#address = address;
    this.byteLength = byteLength;
  }

  /** Where the bytes are, for as long as the lease lasts. @throws {CSliceError} `ERR_CSLICE_RELEASED` */
  get address(): bigint {
    if (this.#keeper === undefined) throw new CSliceError('ERR_CSLICE_RELEASED', 'This lease has ended');
    return BigInt(this.#address);
  }

  get released(): boolean {
    return this.#keeper === undefined;
  }

  /** Ends the lease. Does nothing the second time. */
  release(): void {
    const keeper = this.#keeper;
    this.#keeper = undefined;
    if (keeper !== undefined) releaseKeeper(keeper);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
