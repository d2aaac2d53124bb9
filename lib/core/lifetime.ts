/**
 * When a block's reference is given back. Every owning handle holds a token, its view holds the same token, and the
 * token's death says that neither can be reached: only then does the garbage collector's release happen.
 */

import { CSliceError } from '../errors.ts';
import { host } from '../native/host.ts';
import { slotRelease, slotsCollect, slotsReserve, status, statusMessage } from '../native/symbols.ts';
import { runDueCallbacks } from './destructor.ts';

/** Bound for life to one slot of this thread's owner table, and registered once, however many slices it serves. */
export class Token {
  readonly slot: number;
  /** Also known to the second door, which finds it dead within a job that never yields. */
  tracked = false;

  constructor(slot: number) {
    this.slot = slot;
  }
}

const registry = new FinalizationRegistry<number>(collect);

/** Released tokens that wait for their next slice. Bounded, so that a peak leaves no more than this behind. */
const idleTokens: Token[] = [];
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
  let token = idleTokens.pop();
  if (token === undefined) {
    token = new Token(takeSlot());
    registry.register(token, token.slot);
  }
  relievePressure(token, byteLength);
  return token;
}

/** Takes back a token whose slot is empty, and that nothing else holds. */
export function recycleToken(token: Token): void {
  if (idleTokens.length < mostIdleTokens) idleTokens.push(token);
}

/** Release by scope: drops the slot's reference. The caller has detached the view and lets the token go. */
export function releaseToken(token: Token): void {
  markGone(token.slot);
  slotRelease(token.slot);
  recycleToken(token);
  runDueCallbacks();
}

/** Tokens whose slot must never be emptied, since somebody took its view where no token follows. */
const strandedTokens: Token[] = [];

/** Keeps the block of `token` for the life of the thread: its bytes are still in sight of a buffer that left us. */
export function strandToken(token: Token): void {
  strandedTokens.push(token);
  process.emitWarning(
    `A view of slot ${token.slot} was detached by someone else, so its bytes may be in use by another ArrayBuffer. ` +
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
  if (trackedTokens > 0) sweep(); // before a slot gets a new token, the old one must be out of the second door
  slotsCollect(batch, batchLength);
  for (let i = 0; i < batchLength; i++) {
    const slot = batch[i] as number;
    markGone(slot);
    freeSlots.push(slot);
  }
  batchLength = 0;
  runDueCallbacks();
}

// Jobs that never yield. The registry's callbacks wait for the event loop, so past a threshold tokens are tracked by
// the second door too, and allocations sweep the dead ones.

const pressureThreshold = 32 << 20;
const shortestSweepStep = 16 << 20;
/** What a block costs beside its bytes: header, token, registration, handle. So a flood of tiny ones counts too. */
const blockOverhead = 256;

let trackingThreshold = pressureThreshold;
let allocatedSinceTurn = 0;
let allocatedSinceSweep = 0;
let sweepStep = shortestSweepStep;
let trackedTokens = 0;
let turnAwaited = false;

function relievePressure(token: Token, byteLength: number): void {
  allocatedSinceTurn += byteLength + blockOverhead;
  if (allocatedSinceTurn <= trackingThreshold) return;
  if (!turnAwaited) awaitTurn();
  if (!token.tracked && host.track(token, token.slot) !== undefined) {
    token.tracked = true;
    trackedTokens++;
  }
  allocatedSinceSweep += byteLength + blockOverhead;
  if (allocatedSinceSweep > sweepStep) sweep();
}

function awaitTurn(): void {
  turnAwaited = true;
  setImmediate(() => {
    turnAwaited = false;
    allocatedSinceTurn = 0;
  }).unref();
}

/** Gives back the blocks of tracked tokens that a collection has found dead. Returns how many. */
export function sweep(): number {
  allocatedSinceSweep = 0;
  const swept = host.sweep();
  // A sweep looks at every tracked token, so it waits for longer where it finds little.
  sweepStep = swept * 4 < trackedTokens ? sweepStep * 2 : shortestSweepStep;
  trackedTokens -= swept;
  if (swept > 0) runDueCallbacks();
  return swept;
}

/** Tracks every token from its first slice on, where a limit must find garbage at any moment. */
export function trackAlways(always: boolean): void {
  trackingThreshold = always ? -1 : pressureThreshold;
}

// V8 counts the bytes of views, and not those of handles without one: it would see no reason to collect them.

const unviewedThreshold = 32 << 20;
const unviewedBySlot: number[] = [];
let unviewedBytes = 0;

/** Notes a new block without a view. True: make the view now, so that the collector feels the block's weight. */
export function markUnviewed(token: Token, byteLength: number): boolean {
  unviewedBySlot[token.slot] = byteLength;
  unviewedBytes += byteLength;
  return unviewedBytes > unviewedThreshold;
}

export function markViewed(token: Token): void {
  markGone(token.slot);
}

function markGone(slot: number): void {
  unviewedBytes -= unviewedBySlot[slot] ?? 0;
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
