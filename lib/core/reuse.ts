/**
 * Small blocks that were released and serve the next slices of their size, without a call into C. Each stays in its
 * slot, with its token; C zeroes them by the batch, and counts them by the account that is kept here.
 */
import { type Integer, makeView, reuseAccount, slotRelease, slotsRenew } from '../native/symbols.ts';
import { recycleToken, statusError, type Token } from './lifetime.ts';

/** From this size on, C's work takes so long that the call makes no difference. */
export const reuseBelow = 1024;

/** One call into C zeroes so many blocks, where a size is in use often enough. */
const largestBatch = 32;

/** The most of one size that lie aside. */
const mostOfSize = 1024;

/** The blocks of one size that lie aside. */
interface Shelf {
  /** Zeroed. */
  clean: Token[];
  /** As they were released. */
  used: Token[];
  /** How many used ones are worth a call. Doubles with each, since rare sizes would never fill a large batch. */
  batchSize: number;
}

const shelves: (Shelf | undefined)[] = [];
const addressBySlot: number[] = [];
const batch = new Uint32Array(mostOfSize);

/** The doubles of `cslice_reuse_account`, as indices. */
const released = 0;
const taken = 1;
const bytes = 2;
const capacity = 3;

let account: Float64Array | undefined;

/** This thread's account in C memory; one that allows nothing where there is none. */
function openAccount(): Float64Array {
  const address = reuseAccount();
  const view = address === 0 ? undefined : makeView(address, 4 * Float64Array.BYTES_PER_ELEMENT);
  return view === undefined ? new Float64Array(4) : new Float64Array(view);
}

/** The token of a zeroed block of `byteLength` bytes, if one lies aside; its address is {@link addressAside}. */
export function takeAside(byteLength: number): Token | undefined {
  const shelf = shelves[byteLength];
  if (shelf === undefined) return undefined;
  const doubles = account as Float64Array;
  if (doubles[capacity] === 0) {
    releaseAside();
    return undefined;
  }
  const token = shelf.clean.pop() ?? renew(shelf);
  if (token === undefined) return undefined;
  doubles[taken] = (doubles[taken] as number) + 1;
  doubles[bytes] = (doubles[bytes] as number) - byteLength;
  return token;
}

/** Where the block is that was taken last with this token. */
export function addressAside(token: Token): number {
  return addressBySlot[token.slot] as number;
}

/** Zeroes what was used, once it is worth a call. */
function renew(shelf: Shelf): Token | undefined {
  const { clean, used } = shelf;
  if (used.length < shelf.batchSize) return undefined;
  for (let i = 0; i < used.length; i++) batch[i] = (used[i] as Token).slot;
  const result = slotsRenew(batch, used.length);
  if (result < 0) throw statusError(result, 'using released blocks again');
  shelf.batchSize = Math.min(2 * shelf.batchSize, largestBatch);
  shelf.clean = used;
  shelf.used = clean;
  return used.pop();
}

/** Puts a released block aside that nobody else can reach. False: it is for C to take back. */
export function putAside(token: Token, address: Integer, byteLength: number): boolean {
  account ??= openAccount();
  const total = (account[bytes] as number) + byteLength;
  if (total > (account[capacity] as number)) {
    releaseAside();
    return false;
  }
  shelves[byteLength] ??= { clean: [], used: [], batchSize: 1 };
  const { used } = shelves[byteLength];
  if (used.length === mostOfSize || typeof address !== 'number') return false;
  used.push(token);
  addressBySlot[token.slot] = address;
  account[released] = (account[released] as number) + 1;
  account[bytes] = total;
  return true;
}

/** Gives every block that lies aside back to C. */
export function releaseAside(): void {
  shelves.forEach((shelf, byteLength) => {
    for (const token of shelf === undefined ? [] : [...shelf.clean, ...shelf.used]) {
      const doubles = account as Float64Array;
      doubles[released] = (doubles[released] as number) - 1;
      doubles[bytes] = (doubles[bytes] as number) - byteLength;
      slotRelease(token.slot);
      recycleToken(token);
    }
  });
  shelves.length = 0;
}
