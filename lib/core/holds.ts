/** What delays the end of a slice: loans, until which its views live, and leases, until which its memory does. */
import { runDestructors } from './destructor.ts';
import type { Reference } from './reference.ts';

interface Holds {
  loans: number;
  leases: number;
  /** The slice was released while it was lent. */
  released: boolean;
  /** Wait until nothing holds the slice. */
  waiting: (() => void)[];
}

const holdsOf = new WeakMap<Reference, Holds>();

/** A loan keeps the slice, whatever becomes of the promise that it waits for. */
const lent = new Set<Reference>();

function open(reference: Reference): Holds {
  let holds = holdsOf.get(reference);
  if (holds === undefined) {
    holds = { loans: 0, leases: 0, released: false, waiting: [] };
    holdsOf.set(reference, holds);
  }
  return holds;
}

function tellIfFree(holds: Holds): void {
  if (holds.loans + holds.leases > 0) return;
  for (const resolve of holds.waiting.splice(0)) resolve();
}

/** Starts a loan. Returns what ends it; a second call does nothing. */
function startLoan(reference: Reference): () => void {
  const holds = open(reference);
  holds.loans++;
  lent.add(reference);
  let ended = false;
  return () => {
    if (ended) return;
    ended = true;
    if (--holds.loans === 0) {
      lent.delete(reference);
      if (holds.released) reference.end();
    }
    tellIfFree(holds);
  };
}

/** Lends a reference's bytes until the promise of `use` has settled. */
export async function lend<B, T>(reference: Reference, bytes: B, use: (bytes: B) => PromiseLike<T> | T): Promise<T> {
  const end = startLoan(reference);
  try {
    return await use(bytes);
  } finally {
    end();
    runDestructors();
  }
}

export function isLent(reference: Reference): boolean {
  return lent.size > 0 && lent.has(reference);
}

/** Whether the end of this reference is left to its last loan. */
export function endsWithLoan(reference: Reference): boolean {
  if (!isLent(reference)) return false;
  open(reference).released = true;
  return true;
}

const forgotten = new FinalizationRegistry<Holds>(leaseEnded);

function leaseEnded(holds: Holds): void {
  holds.leases--;
  tellIfFree(holds);
}

/** Notes a lease, until its end or its collection. */
export function startLease(reference: Reference, lease: object): Holds {
  const holds = open(reference);
  holds.leases++;
  forgotten.register(lease, holds, lease);
  return holds;
}

export function endLease(holds: Holds, lease: object): void {
  forgotten.unregister(lease);
  leaseEnded(holds);
}

export function isHeld(reference: Reference): boolean {
  const holds = holdsOf.get(reference);
  return holds !== undefined && holds.loans + holds.leases > 0;
}

/** Resolves at the next moment at which nothing holds the slice. */
export function untilFree(reference: Reference): Promise<void> {
  return new Promise((resolve) => {
    open(reference).waiting.push(resolve);
  });
}

export type { Holds };
