/**
 * Guard mode: which blocks of this thread are guarded, and what a report of csrc/guard.c shows of them. C writes a report
 * in the midst of a fault, so the stacks are handed over as text beforehand.
 */
import { host } from '../native/host.ts';
import { guardNote, guardRateAddress, guardSet } from '../native/symbols.ts';
import { currentScope, labelOf } from '../record/labels.ts';
import { lineOf, readStack } from '../record/source.ts';
import { type Stack, takeStack } from '../record/stack.ts';
import { whatIsUnderWay } from './in-use.ts';
import { statusError } from './status.ts';

/** CSLICE_GUARD_MOST: guard mode guards at least one of so many blocks. */
export const leastGuarded: number = 2 ** 30;

/** One of so many blocks is guarded; 0: none. All threads read it from C. */
const rate: Uint32Array = openRate();

function openRate(): Uint32Array {
  const view = host.borrow(guardRateAddress(), Uint32Array.BYTES_PER_ELEMENT);
  return view instanceof ArrayBuffer ? new Uint32Array(view) : new Uint32Array(1);
}

/** @param every one of so many blocks, or 0. @throws {CSliceError} `ERR_CSLICE_NOMEM` where the system refuses */
export function setGuard(every: number): void {
  const failure = guardSet(every);
  if (failure < 0) throw statusError(failure, 'turn guard mode on');
  rate[0] = every;
}

/** Blocks until the next guarded one. */
let left = 0;
let rateOfLeft = 0;

/** Whether the next block is to be guarded. */
export function isGuardDue(): boolean {
  const every = rate[0] as number;
  // Stryker disable next-line ConditionalExpression: at 0 the count gives false too
  return every !== 0 && countDown(every);
}

/** Random, since which blocks of a regular program are guarded must not be regular. */
function countDown(every: number): boolean {
  if (left === 0 || rateOfLeft !== every) {
    rateOfLeft = every;
    left = 1 + Math.floor(Math.random() * (2 * every - 1)); // `every` on average
  }
  left--;
  return left === 0;
}

// ---- What a report shows

/** The codes of cslice_guard_note. */
const allocatedIn = 0;
const releasedIn = 1;
const labelled = 2;

const encoder = new TextEncoder();
const texts = new WeakMap<Stack, Uint8Array>();

function linesOf(stack: Stack): string {
  return readStack(stack).map(lineOf).join('\n');
}

function textOf(stack: Stack): Uint8Array {
  let text = texts.get(stack);
  // Stryker disable next-line ConditionalExpression: the text of a stack is always the same
  if (text === undefined) {
    text = encoder.encode(linesOf(stack));
    texts.set(stack, text);
  }
  return text;
}

function note(block: number, what: number, text: Uint8Array): void {
  guardNote(block, what, text, text.byteLength);
}

/** Notes where a guarded block comes from: the caller of this package. */
export function noteGuarded(block: number, ownLabel?: string): void {
  note(block, allocatedIn, textOf(takeStack()));
  const label = ownLabel ?? labelOf(currentScope());
  if (label !== undefined) note(block, labelled, encoder.encode(label));
}

/** Notes where a guarded block is released, before it is. */
export function noteGuardedEnd(block: number): void {
  note(block, releasedIn, textOf(takeStack()));
}

// ---- Memory that is released while Node may be using it

const warnedOf = new WeakSet<Stack>();

/** Where every block is guarded: one warning a site for memory that has to wait for operations of Node. */
export function warnOfUse(byteLength: number): void {
  if (rate[0] !== 1) return;
  const stack = takeStack();
  if (warnedOf.has(stack)) return;
  warnedOf.add(stack);
  process.emitWarning(
    `A slice of ${byteLength} bytes was released while Node may be using its memory: ${whatIsUnderWay()}. The memory is ` +
      'freed at a later garbage collection, and the operation may have lost its bytes. Release it after the operation, ' +
      'or use lend(), writeTo() or toBuffer()',
    { type: 'CSliceWarning', code: 'CSLICE_RELEASED_IN_USE', detail: linesOf(stack) },
  );
}
