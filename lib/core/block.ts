/**
 * Blocks of C memory: allocated, adopted, taken over from C, referred to once more, resized, copied, handed to C and
 * released. What each function returns is a {@link Reference}, which holds the block and has its address.
 */
import { types } from 'node:util';
import { CSliceError, rangeError, stateError, typeError } from '../errors.ts';
import { cells, direct, host, type Integer, result } from '../native/host.ts';
import {
  addressOf,
  copyIn,
  copyMemory,
  copyOut,
  countReferences,
  keeperFree,
  keeperFunction,
  keeperNew,
  reuseAccount,
  status,
} from '../native/symbols.ts';
import {
  allocated as allocatedChannel,
  limitReached,
  pressure,
  publish,
  released as releasedChannel,
} from '../record/channels.ts';
import {
  type BlockKind,
  currentLabel,
  type HolderKind,
  type Holders,
  holdersAsTold,
  isPassedOver,
  labelOfBlock,
  noteBlock,
  noteHolder,
  noteLate,
  overBudget,
  overBudgetOf,
  recordedOf,
  recording,
  takeAllEnds,
  unknownHolders,
} from '../record/record.ts';
import { advance, lengthOfBytes, longestView, toInteger } from './check.ts';
import { collectGarbage, noteMade } from './collect.ts';
import {
  type Destructor,
  fieldsOf,
  forgetCallback,
  isNative,
  type NativeDestructor,
  openMailbox,
  registerCallback,
  runDestructors,
  signatures,
} from './destructor.ts';
import { keep, releaseKept, takeKept } from './free-list.ts';
import { isGuardDue, noteGuarded, noteGuardedEnd } from './guard.ts';
import { endsWithLoan, isHeld, isLent } from './holds.ts';
import { letHooksRun } from './in-use.ts';
import { keepAlive } from './keep-alive.ts';
import { Borrowed, detachable, detaching, Reference } from './reference.ts';
import { needStackToOwn } from './stack-room.ts';
import { statusError } from './status.ts';
import { newBytes } from './text.ts';
import { tiedTo } from './tie.ts';

/** What plain {@link allocate} does not do. */
export interface Layout {
  readonly zero: boolean;
  readonly alignment: number;
  readonly label?: string | undefined;
}

/** What the last call of the library has made, or the error that it met. */
function made(buffer: ArrayBuffer | undefined, byteLength: number, action: string): Reference {
  if (buffer === undefined) throw statusError(result(), action);
  const reference = new Reference(buffer, cells[0] as number, cells[1] as number, byteLength);
  noteMade(byteLength);
  return reference;
}

// ---- Allocated

/** Whether somebody asks for a new block of this size. Asked once for each. */
function isNoted(byteLength: number): boolean {
  return (recording && !isPassedOver(byteLength)) || allocatedChannel.hasSubscribers;
}

/** A new zeroed block, aligned to 16. */
export function allocate(byteLength: number, kind: BlockKind = 'alloc'): Reference {
  if (!isNoted(byteLength)) return allocatePlain(byteLength);
  return allocateNoted(byteLength, undefined, kind, () => allocatePlain(byteLength));
}

function allocateNoted(
  byteLength: number,
  label: string | undefined,
  kind: BlockKind,
  attempt: () => Reference,
): Reference {
  claim(byteLength, label);
  const before = reclaims;
  const reference = attempt();
  if (reclaims !== before) {
    // Code of the program's has run since, and may have used the budget up.
    const refused = overBudget(byteLength, label);
    if (refused !== undefined) {
      reference.end();
      refuse(refused, byteLength, label ?? currentLabel());
    }
  }
  noteBlock(reference, kind, label);
  return reference;
}

function allocatePlain(byteLength: number): Reference {
  if (isGuardDue()) return allocateGuarded(byteLength, 16, undefined);
  const kept = takeKept(byteLength);
  if (kept !== undefined) return kept;
  const buffer = host.alloc(byteLength);
  return buffer === undefined ? retry(byteLength, () => host.alloc(byteLength)) : allocated(buffer, byteLength);
}

export function allocateWith(byteLength: number, layout: Layout, kind: BlockKind = 'alloc'): Reference {
  if (!isNoted(byteLength)) return allocatePlainWith(byteLength, layout);
  return allocateNoted(byteLength, layout.label, kind, () => allocatePlainWith(byteLength, layout));
}

function allocatePlainWith(byteLength: number, { zero, alignment, label }: Layout): Reference {
  if (isGuardDue()) return allocateGuarded(byteLength, alignment, label);
  if (alignment <= 16) {
    const kept = takeKept(byteLength); // zeroed, whether asked for or not
    if (kept !== undefined) return kept;
  }
  const attempt = () => host.allocWith(byteLength, alignment, zero);
  const buffer = attempt();
  return buffer === undefined ? retry(byteLength, attempt) : allocated(buffer, byteLength);
}

function allocateGuarded(byteLength: number, alignment: number, label: string | undefined): Reference {
  const attempt = () => host.allocGuarded(byteLength, alignment);
  const buffer = attempt();
  const reference = buffer === undefined ? retry(byteLength, attempt) : allocated(buffer, byteLength);
  if (cells[3] === 1) {
    reference.guarded = true;
    noteGuarded(reference.block, label);
  }
  return reference;
}

const uninitialized: Layout = { zero: false, alignment: 16 };

/** A new block whose bytes the caller writes before anybody reads them. */
export function allocateUninitialized(byteLength: number): Reference {
  return allocateWith(byteLength, uninitialized);
}

function allocated(buffer: ArrayBuffer | undefined, byteLength: number): Reference {
  const reference = made(buffer, byteLength, `allocate ${byteLength} bytes`);
  reference.sole = true;
  return reference;
}

function retry(byteLength: number, attempt: () => ArrayBuffer | undefined): Reference {
  reclaimAfter(result(), byteLength);
  const buffer = attempt();
  if (buffer === undefined && result() === status.ELIMIT) publishRefusal(byteLength, undefined);
  return allocated(buffer, byteLength);
}

/** A refused allocation is done: subscribers may run. */
function publishRefusal(byteLength: number, label: string | undefined): void {
  const code = result();
  publish(limitReached, { byteLength, label });
  runDestructors();
  cells[0] = code; // a subscriber may have allocated
}

/** Checks budgets. @throws {CSliceError} `ERR_CSLICE_LIMIT` past one, after what is dead has been given back */
function claim(byteLength: number, label: string | undefined): void {
  if (overBudget(byteLength, label) === undefined) return;
  reclaim('budget', byteLength);
  const refused = overBudget(byteLength, label);
  if (refused !== undefined) refuse(refused, byteLength, label ?? currentLabel());
}

function refuse(refused: Error, byteLength: number, label: string | undefined): never {
  publishRefusal(byteLength, label);
  throw refused;
}

/**
 * After an allocation failed for want of memory, or at the limit: frees what the free list keeps and what a full
 * collection finds unreachable.
 * Milliseconds. Runs destructors, so nothing that was read before is true after it.
 */
function reclaimAfter(failure: number, byteLength: number): void {
  if (failure === status.ENOMEM) reclaim('memory', byteLength);
  if (failure === status.ELIMIT) reclaim('limit', byteLength);
}

/** How often what follows has run, and code of the program's with it. */
let reclaims = 0;

function reclaim(reason: 'memory' | 'limit' | 'budget', byteLength: number): void {
  reclaims++;
  releaseKept();
  collectGarbage();
  takeAllEnds();
  publish(pressure, { byteLength, reason });
  runDestructors();
}

/** A new block with a copy of the bytes. @throws {CSliceError} `ERR_CSLICE_TYPE` if the source shrinks meanwhile */
export function allocateCopy(source: Uint8Array): Reference {
  const { byteLength } = source;
  const reference = allocateUninitialized(byteLength);
  writeBytes(reference, 0, source, byteLength);
  return reference;
}

// ---- Adopted, taken over, borrowed

/** Memory that C allocated, with what gives it back. */
export function adopt(
  address: bigint,
  byteLength: number,
  destructor: Destructor,
  kind: BlockKind = 'adopt',
): Reference {
  beforeAdoption(byteLength);
  if (!isNative(destructor)) return adoptWithCallback(address, byteLength, destructor, kind);
  const { fn, signature, context, threadSafe, unmaps } = fieldsOf(destructor);
  if (!threadSafe) openMailbox(byteLength);
  const buffer = host.adopt(toInteger(address), byteLength, fn, signature, context, threadSafe);
  return noted(made(buffer, byteLength, adopting(byteLength)), unmaps ? 'map' : kind);
}

/** Fails where an adoption would fail half-way: what throws then has adopted nothing. */
function beforeAdoption(byteLength: number): void {
  runDestructors();
  needStackToOwn(isNoted(byteLength));
}

function noted(reference: Reference, kind: BlockKind): Reference {
  if (isNoted(reference.byteLength)) noteBlock(reference, kind);
  return reference;
}

function adopting(byteLength: number): string {
  return `adopt ${byteLength} bytes`;
}

function adoptWithCallback(
  address: bigint,
  byteLength: number,
  run: (address: bigint, byteLength: number) => void,
  kind: BlockKind,
): Reference {
  openMailbox(byteLength);
  const number = registerCallback({ run, address, byteLength }); // first, so that what is adopted always has it
  try {
    return noted(
      made(host.adoptCallback(toInteger(address), byteLength, number), byteLength, adopting(byteLength)),
      kind,
    );
  } catch (error) {
    forgetCallback(number);
    throw error;
  }
}

/** Adopts memory that needs objects. Once it has been given back, `letGo` runs in this thread, if that still can. */
export function adoptKeeping(
  address: bigint,
  byteLength: number,
  destructor: NativeDestructor,
  letGo: () => void,
): Reference {
  beforeAdoption(byteLength);
  openMailbox(byteLength);
  const { fn, signature, context } = fieldsOf(destructor);
  const number = registerCallback({ run: letGo, address, byteLength });
  const keeper = keeperNew(number, byteLength, fn, signature, context);
  try {
    if (keeper < 0) throw statusError(status.ENOMEM, adopting(byteLength));
    const integer = toInteger(address);
    const buffer = host.adopt(integer, byteLength, keeperFunction(), signatures['ctx,ptr'], keeper, false);
    const reference = made(buffer, byteLength, adopting(byteLength));
    reference.keeping = true;
    return noted(reference, 'adopt');
  } catch (error) {
    forgetCallback(number);
    if (keeper >= 0) keeperFree(keeper);
    throw error;
  }
}

/** Takes over a reference of C's. @throws {CSliceError} `ERR_CSLICE_RANGE` */
export function take(block: Integer): Reference {
  beforeAdoption(0);
  const buffer = host.take(block, longestView);
  if (buffer !== undefined) {
    return noted(new Reference(buffer, result(), cells[1] as number, cells[3] as number), 'C');
  }
  if (result() !== status.EINVAL) throw statusError(result(), 'take the block over');
  throw rangeError('block must be of this copy of cslice, and no longer than an ArrayBuffer can be');
}

/** Memory that another owner frees. */
export function borrow(address: Integer, byteLength: number, owner: object | undefined): Reference {
  const buffer = host.borrow(address, byteLength);
  if (buffer === undefined) throw statusError(result(), `borrow ${byteLength} bytes`);
  return new Borrowed(buffer, address, byteLength, owner);
}

/** A reference like those to blocks, over a byte that is never counted, freed or read. */
export function permanent(): Reference {
  return made(host.borrow(reuseAccount(), 1), 1, 'borrow a byte');
}

/**
 * The memory of a buffer that is not ours, which lives as long as that needs, wherever its bytes move.
 *
 * @throws {CSliceError} `ERR_CSLICE_TYPE` for memory of WebAssembly, which may move when it grows
 */
export function attach(buffer: ArrayBufferLike, address: Integer, byteLength: number): Reference {
  if (!direct) return borrow(address, byteLength, buffer);
  const attached = host.attach(buffer, types.isSharedArrayBuffer(buffer), address, byteLength);
  if (attached === undefined && result() === status.EINVAL) {
    throw typeError('the memory of WebAssembly cannot be held for C: it may move when it grows. Copy it');
  }
  const reference = made(attached, byteLength, 'hold a buffer');
  reference.recorded = true; // as if: it is no memory of C, so nobody is told of its end
  return reference;
}

/** Where the bytes of JavaScript's memory are: valid for as long as something holds them there. */
export function addressOfBytes(bytes: Uint8Array): Integer {
  return addressOf(bytes);
}

// ---- Referred to once more

/** One more reference to a range of what another one refers to, for the holder that is named. */
export function refer(reference: Reference, byteOffset: number, byteLength: number, holder: HolderKind): Reference {
  const address = byteOffset === 0 ? reference.address : advance(reference.address, byteOffset);
  if (reference.block === 0) return borrow(address, byteLength, reference);
  reference.sole = false;
  const buffer = host.refer(reference.block, address, byteLength);
  const further = made(buffer, byteLength, `refer to ${byteLength} bytes of a block`);
  further.isPart = reference.isPart || byteLength !== reference.byteLength;
  if (reference.keeping) further.keeping = true;
  if (reference.guarded) further.guarded = true;
  if (reference.recorded) noteHolder(reference, holder, further.buffer, further);
  return further;
}

/** Whether it holds the block alone, perhaps again: what others held has ended. */
export function holdsAlone(reference: Reference): boolean {
  return countReferences(reference.block) === 1;
}

/** The bytes as a SharedArrayBuffer with a reference of its own. */
export function share(reference: Reference): SharedArrayBuffer {
  reference.divide();
  const buffer = host.share(reference.block, reference.address, reference.byteLength);
  if (buffer !== undefined) {
    if (reference.recorded) noteHolder(reference, 'SharedArrayBuffer', buffer, undefined);
    return buffer;
  }
  throw new CSliceError('ERR_CSLICE_NO_VIEW', 'This runtime has no SharedArrayBuffers over C memory: use slice.copy()');
}

/** The reference whose bytes a buffer shows; undefined for every other buffer. */
export function referenceOf(buffer: ArrayBufferLike): Reference | undefined {
  const tied = tiedTo(buffer);
  return tied instanceof Reference && tied.buffer === buffer && tied.isLive ? tied : undefined;
}

/** What is known to hold the block. */
export function holdersOfReference(reference: Reference): Holders[] {
  const recorded = reference.recorded ? recordedOf(reference.block) : undefined;
  if (recorded !== undefined && recorded.weight > 0) return holdersAsTold(recorded);
  const one = { count: 1, type: undefined, stack: [] };
  const told: Holders[] = [{ ...one, holder: 'slice' }];
  if (reference.seen) told.push({ ...one, holder: 'view' });
  const others = reference.block === 0 ? 0 : countReferences(reference.block) - 1;
  if (others > 0) told.push({ ...unknownHolders(false, others), holder: reference.buffered ? 'Buffer' : 'C' });
  return told;
}

// ---- Resized

/** @throws {CSliceError} `ERR_CSLICE_TYPE`, `ERR_CSLICE_STATE` unless this is a whole block that is not lent */
function checkWhole(reference: Reference, action: string): void {
  if (reference.block === 0) throw typeError(`Cannot ${action} borrowed memory: its owner frees it`);
  if (reference.isPooled) throw typeError(`Cannot ${action} a block of a pool: it goes back to the pool`);
  const these = `Cannot ${action} these ${reference.byteLength} bytes`;
  if (reference.isPart) throw stateError(`${these}: they are a part of a block`);
  if (isLent(reference)) throw stateError(`${these}: they are lent: await what lend() or writeTo() returned`);
}

const held = 'others hold the block: release its leases, subslices and Buffers first, or copy the bytes';

const notAlone = `it is not of Slice.alloc(), or ${held}`;

/** Changes the size of a block of our own memory. What `live` gives is asked for again after a collection. */
export function resize(live: () => Reference, byteLength: number): void {
  letHooksRun();
  checkBudget(live, byteLength);
  const failure = tryResize(live(), byteLength);
  if (failure === 0) return;
  reclaimAfter(failure, byteLength);
  refuseOverBudget(live(), byteLength);
  const second = failure === status.ENOMEM || failure === status.ELIMIT ? tryResize(live(), byteLength) : failure;
  if (second < 0) throw statusError(second, `resize a slice to ${byteLength} bytes`, notAlone);
}

/** Of the label that the block was made under. */
function checkBudget(live: () => Reference, byteLength: number): void {
  if (overBudgetOf(live(), byteLength) === undefined) return;
  reclaim('budget', byteLength);
  refuseOverBudget(live(), byteLength);
}

function refuseOverBudget(reference: Reference, byteLength: number): void {
  const refused = overBudgetOf(reference, byteLength);
  if (refused !== undefined) refuse(refused, byteLength, labelOfBlock(reference));
}

function tryResize(reference: Reference, byteLength: number): number {
  checkWhole(reference, 'resize');
  if (reference.guarded) noteGuardedEnd(reference.block);
  const failure = reference.tryResize(byteLength, reference.buffered && !reference.divided && !isHeld(reference));
  if (reference.guarded) noteGuarded(reference.block);
  return failure;
}

// ---- Released

/** Gives a slice's reference back, keeps the block on the free list, or leaves it to the last loan. */
export function release(reference: Reference): void {
  if (releasedChannel.hasSubscribers && reference.block !== 0) noteLate(reference);
  if (!keep(reference) && !endsWithLoan(reference)) reference.end();
}

/** Hands a whole block to C, which frees it. Its destructor does not run. Returns where its bytes are from here on. */
export function disown(live: () => Reference): Integer {
  letHooksRun();
  const reference = live();
  checkWhole(reference, 'disown');
  if (reference.keeping) throw typeError('Cannot disown memory that keeps other objects: they would never be let go');
  const { buffer, block, address, byteLength, guarded } = reference;
  if (guarded) noteGuardedEnd(block);
  const action = `disown ${byteLength} bytes`;
  // C looks for itself, but too late where the bytes have to be moved first.
  if (!direct && !holdsAlone(reference)) throw statusError(status.EINVAL, action, held);
  detaching(() => host.disown(detachable(buffer), block));
  if (result() < 0) throw statusError(result(), action, held);
  forgetCallback(result());
  // The bytes of a guarded block have moved to where free() can free them.
  return typeof address === 'number' ? (cells[1] as number) : address;
}

// ---- Bytes in and out, by copy

/** @throws {CSliceError} `ERR_CSLICE_TYPE` if `source` no longer has `byteLength` bytes */
export function writeBytes(
  reference: Reference,
  byteOffset: number,
  source: Uint8Array | Reference,
  byteLength: number,
): void {
  if (source.byteLength !== byteLength) throw changed('source');
  copyTo(reference, byteOffset, source, byteLength);
}

function changed(name: string): CSliceError {
  return typeError(`the ${name} was detached or shrank before it was copied`);
}

function copyTo(to: Reference, byteOffset: number, from: Reference | Uint8Array, byteLength: number): void {
  const address = advance(to.address, byteOffset);
  if (from instanceof Reference) copyMemory(address, from.address, byteLength);
  else {
    if (byteLength > lengthOfBytes(from)) throw changed('source');
    copyIn(address, from, byteLength);
  }
  keepAlive(from);
  keepAlive(to);
}

function copyFrom(from: Reference, byteOffset: number, to: Uint8Array, byteLength: number): void {
  if (byteLength > lengthOfBytes(to)) throw changed('target');
  copyOut(to, advance(from.address, byteOffset), byteLength);
  keepAlive(from);
}

/** A copy of a range, in JavaScript's own memory. */
export function readBytes(reference: Reference, start: number, end: number): Uint8Array<ArrayBuffer> {
  const bytes = newBytes(end - start);
  copyFrom(reference, start, bytes, end - start);
  return bytes;
}

/** A copy of what is at an address, in JavaScript's own memory. */
export function readBytesAt(address: Integer, byteLength: number): Uint8Array<ArrayBuffer> {
  const bytes = newBytes(byteLength);
  copyOut(bytes, address, byteLength);
  return bytes;
}

/** Copies between C memory and JavaScript's, from the start of each. The two may overlap. */
export function copyBetween(to: Reference | Uint8Array, from: Reference | Uint8Array, byteLength: number): void {
  if (to instanceof Reference) copyTo(to, 0, from, byteLength);
  else if (from instanceof Reference) copyFrom(from, 0, to, byteLength);
  else to.set(byteLength === from.byteLength ? from : from.subarray(0, byteLength));
}
