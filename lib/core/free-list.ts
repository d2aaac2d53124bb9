/**
 * Small blocks that were released and are kept for the next slices of their size, without a call into C. Only blocks whose
 * buffer nobody else has seen: they need no new one. C zeroes them by the batch, and counts them by the account that is
 * kept here.
 */
import { host } from '../native/host.ts';
import { blocksRenew, reuseAccount } from '../native/symbols.ts';
import type { Reference } from './reference.ts';

/** From this size on, C's work takes so long that the call makes no difference. */
const keptBelow = 1024;

/** One call into C zeroes so many blocks, where a size is in use often enough. */
const largestBatch = 32;

/** The most of one size that are kept. */
const mostOfSize = 1024;

/** The blocks of one size. */
interface Shelf {
  /** Zeroed. */
  clean: Reference[];
  /** As they were released. */
  used: Reference[];
  /** How many used ones are worth a call. Doubles with each, since rare sizes would never fill a large batch. */
  batchSize: number;
}

const shelves: Shelf[] = [];
const batch = new Float64Array(mostOfSize);

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
  const view = address === 0 ? undefined : host.borrow(address, noAccount.byteLength);
  if (view instanceof ArrayBuffer) account = new Float64Array(view);
}

/** A reference to a zeroed block of `byteLength` bytes, if one is kept. */
export function takeKept(byteLength: number): Reference | undefined {
  const shelf = byteLength < keptBelow ? shelves[byteLength] : undefined;
  if (shelf === undefined) return undefined;
  const reference = shelf.clean.pop() ?? renew(shelf);
  if (reference === undefined) return undefined;
  account[taken] = (account[taken] as number) + 1;
  account[bytes] = (account[bytes] as number) - byteLength;
  return reference;
}

/** Zeroes what was used, once it is worth a call. */
function renew(shelf: Shelf): Reference | undefined {
  const { clean, used } = shelf;
  if (used.length < shelf.batchSize) return undefined;
  if (account[capacity] === 0) {
    releaseKept();
    return undefined;
  }
  for (let i = 0; i < used.length; i++) batch[i] = (used[i] as Reference).block;
  if (blocksRenew(batch, used.length) < 0) {
    releaseKept(); // C code holds one of them after all
    return undefined;
  }
  shelf.batchSize = Math.min(2 * shelf.batchSize, largestBatch);
  shelf.clean = used;
  shelf.used = clean;
  return used.pop();
}

/** Keeps a released block that no other code can reach. False: the caller gives it back to C. */
export function keep(reference: Reference): boolean {
  const { byteLength } = reference;
  if (byteLength >= keptBelow || !reference.isKeepable) return false;
  const total = (account[bytes] as number) + byteLength;
  if (total > (account[capacity] as number)) return makeRoom();
  const { used } = shelves[byteLength] ?? openShelf(byteLength);
  if (used.length === mostOfSize) return false;
  used.push(reference);
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
  else if (account[bytes] !== 0) releaseKept();
  return false;
}

/** Gives every block that is kept back to C. */
export function releaseKept(): void {
  // Sizes that are not in use are holes.
  shelves.forEach((shelf, byteLength) => {
    for (const list of [shelf.clean, shelf.used]) {
      for (let reference = list.pop(); reference !== undefined; reference = list.pop()) {
        account[released] = (account[released] as number) - 1; // in the order that cslice_reuse_account demands
        reference.end();
        account[bytes] = (account[bytes] as number) - byteLength;
      }
    }
  });
  shelves.length = 0;
}
