/**
 * When a block's reference is given back. Every owning handle holds a token, its view holds the same token, and the
 * token's death says that neither can be reached: only then does the garbage collector's release happen.
 */

import { CSliceError } from '../errors.ts';
import { host, slotRef, slotRelease, slotsCollect, slotsReserve, status, statusMessage } from '../native/symbols.ts';
import { runDueCallbacks } from './destructor.ts';

/**
 * Bound for life to one slot of this thread's owner table, however many slices it serves. Its death is seen in one of
 * two ways: by the registry (cheap to wait for, but told on the event loop only), or, where it was made in a job that
 * allocates much, by the second door, which can be asked at any moment. Never both, or a slot would be emptied twice.
 */
export class Token {
  readonly slot: number;
  readonly tracked: boolean;
  /** The block came from an allocation, and nobody has asked for a further reference. */
  sole = false;

  constructor(slot: number, underPressure: boolean) {
    this.slot = slot;
    this.tracked = underPressure && host.track(this, slot) !== undefined;
    if (this.tracked) trackedTokens++;
    else registry.register(this, slot);
  }
}

/** Stands where a token stands in what owns nothing: keeps the owner of the memory alive. */
export class Borrowed {
  readonly owner: object | undefined;

  constructor(owner: object | undefined) {
    this.owner = owner;
  }
}

/** Stands where a token stands in what a pool lends: its release gives the block back to the pool. */
export abstract class Rented {
  abstract readonly token: Token;
  /** Somebody else may reach the block after the return, so it must not be lent again. */
  shared = false;
  abstract giveBack(): void;
}

/** What keeps the memory under a handle, a lease or a view. */
export type Keeper = Token | Borrowed | Rented;

export function isKeeper(value: unknown): value is Keeper {
  return value instanceof Token || value instanceof Borrowed || value instanceof Rented;
}

/** The token of what owns a reference; undefined where nothing is owned. */
export function tokenOf(keeper: Keeper): Token | undefined {
  if (keeper instanceof Borrowed) return undefined;
  if (keeper instanceof Rented) keeper.shared = true; // whoever asks wants a further reference
  const token = keeper instanceof Rented ? keeper.token : keeper;
  token.sole = false;
  return token;
}

const registry = new FinalizationRegistry<number>(collect);

/** Released tokens that wait for their next slice. Bounded, so that a peak leaves no more than this behind. */
const idleTokens: Token[] = [];
const idleTrackedTokens: Token[] = [];
const mostIdleTokens = 1024;

/** Slots whose tokens are dead. */
const freeSlots: number[] = [];

/** Slots are reserved in runs: two copies of this module in a thread share the table, and must not share a slot. */
const runLength = 256;
let nextSlot = 0;
let endOfRun = 0;

function takeSlot(): number {
  const free = freeSlots.pop();
  if (free !== undefined) return free;
  if (nextSlot === endOfRun) {
    const first = slotsReserve(runLength);
    if (first < 0) throw statusError(first, 'an owner table');
    nextSlot = first;
    endOfRun = first + runLength;
  }
  return nextSlot++;
}

/** A token whose slot is empty, for a block of `byteLength` bytes. */
export function acquireToken(byteLength: number): Token {
  const underPressure = notePressure(byteLength);
  const token = underPressure ? idleTrackedTokens.pop() : (idleTokens.pop() ?? idleTrackedTokens.pop());
  return token ?? new Token(takeSlot(), underPressure);
}

/** Takes back a token whose slot is empty, and that nothing else holds. */
export function recycleToken(token: Token): void {
  token.sole = false;
  const idle = token.tracked ? idleTrackedTokens : idleTokens;
  if (idle.length < mostIdleTokens) idle.push(token);
}

/** Takes back a token whose slot has been emptied by other means than a release. */
export function forgetToken(token: Token): void {
  markGone(token.slot);
  recycleToken(token);
}

/** Release by scope: drops the slot's reference. The caller has detached the view and lets the token go. */
export function releaseToken(token: Token): void {
  markGone(token.slot);
  slotRelease(token.slot);
  recycleToken(token);
  runDueCallbacks();
}

/** One more reference to what `keeper` keeps, to be released on its own. */
export function retain(keeper: Keeper): Keeper {
  const kept = tokenOf(keeper);
  if (kept === undefined) return keeper;
  const token = acquireToken(0);
  const result = slotRef(token.slot, kept.slot);
  if (result < 0) {
    recycleToken(token);
    throw statusError(result, 'one more reference to a block');
  }
  return token;
}

export function releaseKeeper(keeper: Keeper): void {
  if (keeper instanceof Token) releaseToken(keeper);
}

/** What must never be collected: a variable of a module is, once the module has run, unless a function uses it. */
const immortals: object[] = [];

export function keepForever(object: object): void {
  immortals.push(object);
}

/** Keeps the block of `token` for the life of the thread: its bytes are still in sight of a buffer that left us. */
export function strandToken(token: Token): void {
  keepForever(token);
  process.emitWarning(
    `A view of slot ${token.slot} was detached by someone else, or locked, so its bytes may still be in use. ` +
      'The block is kept for the life of this thread.',
    { type: 'CSliceWarning', code: 'CSLICE_VIEW_MOVED' },
  );
}

// Release by collection. The registry names one slot a call; C gets them by the batch.

const batch = new Uint32Array(1024);
let batchLength = 0;

function collect(slot: number): void {
  if (batchLength === batch.length) flush();
  if (batchLength === 0) queueMicrotask(flush);
  batch[batchLength++] = slot;
}

function flush(): void {
  if (batchLength === 0) return;
  slotsCollect(batch, batchLength);
  freeBatch(batchLength);
  batchLength = 0;
  runDueCallbacks();
}

/** The slots that stand first in a batch are empty, and their tokens dead. */
function freeBatch(count: number, slots: Uint32Array = batch): void {
  for (let i = 0; i < count; i++) {
    const slot = slots[i] as number;
    markGone(slot);
    freeSlots.push(slot);
  }
}

// Jobs that never yield. The registry's callbacks wait for the event loop, so past a threshold new tokens are tracked by
// the second door instead, and allocations sweep the dead ones. In a job that does yield, a collection starts the sweep.

const pressureThreshold = 4 << 20;
const shortestSweepStep = 8 << 20;
/** Tokens that are looked at in some 0.1 ms. */
const cheapSweep = 4096;
/** What a block costs beside its bytes: header, token, handle. So a flood of tiny ones counts too. */
const blockOverhead = 256;

let trackingThreshold = pressureThreshold;
let allocatedSinceTurn = 0;
let allocatedSinceSweep = 0;
let sweepStep = shortestSweepStep;
let trackedTokens = 0;
let turnAwaited = false;

/** Whether this job has allocated so much that dead handles must be found before it ends. */
export function notePressure(byteLength: number): boolean {
  allocatedSinceTurn += byteLength + blockOverhead;
  if (allocatedSinceTurn <= trackingThreshold) return false;
  if (!turnAwaited) awaitTurn();
  if (allocatedSinceSweep > sweepStep) {
    offerScavenge();
    sweep();
  }
  allocatedSinceSweep += byteLength + blockOverhead; // after it: what is allocated now cannot be found dead
  return true;
}

/**
 * Lets V8 collect its young objects if the views among them hold much memory. It looks at that only when it allocates
 * an ArrayBuffer of its own; views of C memory would wait for a full collection. The scavenge takes some 0.1 ms.
 */
function offerScavenge(): void {
  new ArrayBuffer(1);
}

/** A release by scope leaves nothing to find. */
export function easePressure(byteLength: number): void {
  const weight = byteLength + blockOverhead;
  allocatedSinceTurn = Math.max(0, allocatedSinceTurn - weight);
  allocatedSinceSweep = Math.max(0, allocatedSinceSweep - weight);
}

function awaitTurn(): void {
  turnAwaited = true;
  setImmediate(() => {
    turnAwaited = false;
    allocatedSinceTurn /= 2; // not 0: a service that allocates much in every turn stays under pressure
    awaitCollection();
  }).unref();
}

const collectionNotice = new FinalizationRegistry<undefined>(() => {
  collectionAwaited = false;
  sweep();
  awaitCollection();
});
let collectionAwaited = false;

/** Sweeps after the next collection, as long as there is anything to find. */
function awaitCollection(): void {
  if (collectionAwaited || trackedTokens === 0) return;
  collectionAwaited = true;
  collectionNotice.register({}, undefined);
}

const swept = new Uint32Array(1024);

/** Gives back the blocks of tracked tokens that a collection has found dead. Returns how many tokens were. */
export function sweep(): number {
  allocatedSinceSweep = 0;
  let total = 0;
  for (let count = swept.length; count === swept.length; total += count) {
    count = host.sweep(swept);
    freeBatch(count, swept);
  }
  // A sweep looks at every tracked token: where these are many and few are dead, it waits for longer.
  sweepStep = trackedTokens > cheapSweep && total * 4 < trackedTokens ? sweepStep * 2 : shortestSweepStep;
  trackedTokens -= total;
  if (total > 0) runDueCallbacks();
  return total;
}

/** Tracks every new token, where a limit must find garbage at any moment. */
export function trackAlways(always: boolean): void {
  trackingThreshold = always ? -1 : pressureThreshold;
}

// V8 counts the bytes of views, and not those of handles without one: it would see no reason to collect them.

const unviewedThreshold = 16 << 20;
const unviewedBySlot: number[] = [];
let unviewedBytes = 0;

/** Below this a block weighs no more than its handle, which the collector feels; a view would cost more than both. */
const leastFelt = 1024;

/**
 * Notes a new block without a view. True: so many bytes have none already that this one is to get it now, for the
 * collector to feel its weight. (Not for its own bytes: V8 takes 100 µs and more over a view of a GiB.)
 */
export function markUnviewed(token: Token, byteLength: number): boolean {
  markGone(token.slot);
  if (byteLength < leastFelt) return false;
  const pressed = unviewedBytes > unviewedThreshold;
  unviewedBySlot[token.slot] = byteLength;
  unviewedBytes += byteLength;
  return pressed;
}

export function markViewed(token: Token): void {
  markGone(token.slot);
}

function markGone(slot: number): void {
  const marked = unviewedBySlot[slot];
  if (marked === undefined || marked === 0) return;
  unviewedBytes -= marked;
  unviewedBySlot[slot] = 0;
}

/** The error for a negative status of the C library. `what` was asked for. */
export function statusError(code: number, what: string): CSliceError {
  const message = `${what}: ${statusMessage(code)}`;
  switch (code) {
    case status.ENOMEM:
      return new CSliceError('ERR_CSLICE_NOMEM', message);
    case status.ELIMIT:
      return new CSliceError('ERR_CSLICE_LIMIT', message);
    case status.ESHARED:
      return new CSliceError('ERR_CSLICE_SHARED', message);
    default:
      return new CSliceError('ERR_CSLICE_RANGE', message);
  }
}
