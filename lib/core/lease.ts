import { CSliceError, typeError } from '../errors.ts';
import type { Integer } from '../native/host.ts';
import { refer } from './block.ts';
import { runDestructors } from './destructor.ts';
import { endLease, type Holds, livePins, startLease } from './holds.ts';
import { inspectAs } from './inspect.ts';
import type { Reference } from './reference.ts';

/** What a lease ends by `release()`. */
export interface LeaseEnd {
  release(): void;
}

/** Only this module has it. */
const ours = Symbol('made by lease() or pin()');

let blockIn: (lease: Lease) => number;
let make: (end: LeaseEnd, address: Integer, byteLength: number, block: number) => Lease;

/**
 * A hold on memory or on an object, with its address, while C works on it in the background. Made by `slice.lease()`,
 * `handle.lease()` and `pin()`. Leases end in any order. One of a slice or a handle that is forgotten ends by collection;
 * one of `pin()` lasts until its release.
 *
 * @example
 * const slice = Slice.alloc(64);
 * const lease = slice.lease(); // C works with lease.address in the background
 * slice.release(); // the views are detached now
 * lease.release(); // the memory is free now
 */
export class Lease implements Disposable {
  #end: LeaseEnd | undefined;
  readonly #address: Integer;
  readonly #block: number;
  /** In bytes; 0 for an object of C. */
  readonly byteLength: number;

  private constructor(key: symbol, end: LeaseEnd, address: Integer, byteLength: number, block: number) {
    if (key !== ours) throw typeError('A Lease is made by slice.lease(), handle.lease() or pin()');
    this.#end = end;
    this.#address = address;
    this.#block = block;
    this.byteLength = byteLength;
  }

  static {
    blockIn = (lease) => lease.#block;
    make = (end, address, byteLength, block) => new Lease(ours, end, address, byteLength, block);
  }

  /**
   * Where the bytes or the object are, for as long as the lease lasts; `0n` for an empty source.
   *
   * @throws {CSliceError} `ERR_CSLICE_RELEASED`
   */
  get address(): bigint {
    if (this.#end === undefined) throw new CSliceError('ERR_CSLICE_RELEASED', 'This lease has ended');
    return BigInt(this.#address);
  }

  /** Whether the lease has ended. */
  get released(): boolean {
    return this.#end === undefined;
  }

  /** Ends the lease. Does nothing the second time. */
  release(): void {
    livePins.delete(this); // first: where the end of the stack or a timeout stops the rest, the collector does it
    const end = this.#end;
    this.#end = undefined;
    end?.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

inspectAs(Lease, (lease) => {
  const { byteLength, released } = lease;
  return released ? { byteLength, released } : { byteLength, address: lease.address, released };
});

/** @param block the one that holds the memory; 0: none does */
export function newLease(end: LeaseEnd, address: Integer, byteLength: number, block: number): Lease {
  return make(end, address, byteLength, block);
}

/** The block that holds the memory of a lease; 0: none does. */
export function blockOf(lease: Lease): number {
  return blockIn(lease);
}

/** One more reference to a slice's block, which the slice counts. */
class SliceLeaseEnd implements LeaseEnd {
  readonly #reference: Reference;
  readonly #holds: Holds;

  constructor(reference: Reference, further: Reference) {
    this.#reference = further;
    this.#holds = startLease(reference, this);
  }

  release(): void {
    this.#reference.end();
    endLease(this.#holds, this);
    runDestructors();
  }
}

/** A lease of a slice's bytes. @throws {CSliceError} `ERR_CSLICE_NOMEM` */
export function leaseOf(reference: Reference): Lease {
  const { address, byteLength } = reference;
  const further = refer(reference, 0, byteLength, 'lease');
  return newLease(new SliceLeaseEnd(reference, further), address, byteLength, further.block);
}
