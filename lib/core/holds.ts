/** What delays the end of a slice: loans, until which its views live, and leases, until which its memory does. */
import { runDestructors } from './destructor.ts';
import { currentJob, letHooksRun } from './in-use.ts';
import type { Reference } from './reference.ts';

interface Holds {
  loans: number;
  leases: number;
  /** Loans whose `use` has not returned. They count in this job only, since a timeout of `vm` may have stopped it. */
  starting: number;
  startedIn: number;
  /** The slice was released while it was lent. */
  released: boolean;
  /** Wait for the end of a loan or a lease. */
  waiting: (() => void)[];
}

const holdsOf = new WeakMap<Reference, Holds>();

/** A loan keeps the slice, whatever becomes of the promise that it waits for. */
const lent = new Set<Reference>();

/** The leases of pins, until their release: C may use the memory even though JavaScript has forgotten it. */
export const livePins: Set<object> = new Set();

/** How many loans have begun and not ended: none, as a rule, which saves the look-up in {@link isLent}. */
let loansUnderWay = 0;

function open(reference: Reference): Holds {
  let holds = holdsOf.get(reference);
  if (holds === undefined) {
    holds = { loans: 0, leases: 0, starting: 0, startedIn: 0, released: false, waiting: [] };
    holdsOf.set(reference, holds);
  }
  return holds;
}

function loansOf(holds: Holds): number {
  const job = currentJob(); // first, since hooks of the program's may lend
  return holds.startedIn === job ? holds.loans + holds.starting : holds.loans;
}

function tell(holds: Holds): void {
  for (const resolve of holds.waiting.splice(0)) resolve();
}

/** Calls `use`, for the time of which the bytes are lent. */
function start<B, T>(holds: Holds, bytes: B, use: (bytes: B) => T): T {
  const job = currentJob();
  if (holds.startedIn !== job) holds.starting = 0;
  holds.startedIn = job;
  holds.starting++;
  try {
    return use(bytes);
  } finally {
    holds.starting--;
  }
}

/** Lends what `bytesOf` takes of a live slice's reference until the promise of `use` has settled. */
export async function lend<B, T>(
  live: () => Reference,
  bytesOf: (reference: Reference) => B,
  use: (bytes: B) => PromiseLike<T> | T,
): Promise<T> {
  letHooksRun();
  const reference = live();
  const bytes = bytesOf(reference);
  const holds = open(reference);
  // Stryker disable next-line UpdateOperator: any number but 0 leads to the look-up
  loansUnderWay++;
  try {
    const result = start(holds, bytes, use);
    holds.loans++;
    lent.add(reference);
    try {
      return await result;
    } finally {
      if (--holds.loans === 0) lent.delete(reference);
    }
  } finally {
    // Stryker disable next-line UpdateOperator: any number but 0 leads to the look-up
    loansUnderWay--;
    endIfFree(reference, holds);
    runDestructors();
  }
}

function endIfFree(reference: Reference, holds: Holds): void {
  if (loansOf(holds) === 0 && holds.released) {
    holds.released = false; // a pool's block is rented again
    reference.end();
  }
  tell(holds);
}

/** A timeout of `vm` may have stopped a loan at its start: nothing but the end of this job tells of its end then. */
function endWithJob(reference: Reference, holds: Holds): void {
  if (loansOf(holds) === holds.loans) return;
  queueMicrotask(() => {
    // After the end of the job, which loansOf() has asked for.
    endIfFree(reference, holds);
    runDestructors();
  });
}

export function isLent(reference: Reference): boolean {
  // Stryker disable next-line ConditionalExpression: without it the look-up gives the same
  if (loansUnderWay === 0) return false;
  const holds = holdsOf.get(reference);
  return holds !== undefined && loansOf(holds) > 0;
}

/** Whether the end of this reference is left to its last loan. */
export function endsWithLoan(reference: Reference): boolean {
  if (!isLent(reference)) return false;
  const holds = open(reference);
  holds.released = true;
  endWithJob(reference, holds);
  return true;
}

const forgotten = new FinalizationRegistry<Holds>(leaseEnded);

function leaseEnded(holds: Holds): void {
  holds.leases--;
  tell(holds);
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
  return holds !== undefined && loansOf(holds) + holds.leases > 0;
}

/** Resolves at the next end of a loan or a lease. Others may be left: ask {@link isHeld}. */
export function untilNextEnd(reference: Reference): Promise<void> {
  return new Promise((resolve) => {
    const holds = open(reference);
    holds.waiting.push(resolve);
    endWithJob(reference, holds);
  });
}

export type { Holds };
