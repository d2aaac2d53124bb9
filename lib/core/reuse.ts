/**
 * Small blocks that were released and serve the next slices of their size, without a call into C. Each stays in its
 * slot, with its token; C zeroes them by the batch, and counts them by the account that is kept here.
 */
import { type Integer, makeView, reuseAccount, slotRelease, slotsRenew } from '../native/symbols.ts';
import { recycleToken, statusError, type Token } from './lifetime.ts';

/** From this size on, C's work takes so long that the call makes no difference. */
const reuseBelow = 1024;

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

/** Has no room: what stands for an account before the first release, and where there is none. */
const noAccount = new Float64Array(4);
let account = noAccount;
let opened = false;

/** This thread's account in C memory. */
function openAccount(): void {
  opened = true;
  const address = reuseAccount();
  const view = address === 0 ? undefined : makeView(address, noAccount.byteLength);
  if (view !== undefined) account = new Float64Array(view);
}

/** The token of a zeroed block of `byteLength` bytes, if one lies aside; its address is {@link addressAside}. */
export function takeAside(byteLength: number): Token | undefined {
  const shelf = byteLength < reuseBelow ? shelves[byteLength] : undefined;
  if (shelf === undefined) return undefined;
  const token = shelf.clean.pop() ?? renew(shelf);
  if (token === undefined) return undefined;
  account[taken] = (account[taken] as number) + 1;
  account[bytes] = (account[bytes] as number) - byteLength;
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
  if (account[capacity] === 0) {
    releaseAside();
    return undefined;
  }
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
  if (byteLength >= reuseBelow) return false;
  const total = (account[bytes] as number) + byteLength;
  if (total > (account[capacity] as number)) return makeRoom();
  const { used } = shelves[byteLength] ?? openShelf(byteLength);
  if (used.length === mostOfSize || typeof address !== 'number') return false;
  used.push(token);
  addressBySlot[token.slot] = address;
  account[released] = (account[released] as number) + 1;
  account[bytes] = total;
  return true;
}

function openShelf(byteLength: number): Shelf {
  const shelf = { clean: [], used: [], batchSize: 1 };
  shelves[byteLength] = shelf;
  return shelf;
}

/** For the next ones. Sizes that are no longer in use must not fill the account for ever. */
function makeRoom(): false {
  if (!opened) openAccount();
  else if (account[bytes] !== 0) releaseAside();
  return false;
}

/** Gives every block that lies aside back to C. */
export function releaseAside(): void {
  shelves.forEach((shelf, byteLength) => {
    for (const token of shelf === undefined ? [] : [...shelf.clean, ...shelf.used]) {
      account[released] = (account[released] as number) - 1; // in the order that cslice_reuse_account demands
      slotRelease(token.slot);
      account[bytes] = (account[bytes] as number) - byteLength;
      recycleToken(token);
    }
  });
  shelves.length = 0;
}
