import { randomBytes } from 'node:crypto';
import { CSliceError, show } from '../errors.ts';
import { sharesExpire, slotAddress, slotAttach, slotShare, slotSize } from '../native/symbols.ts';
import { advance } from './check.ts';
import { acquireToken, recycleToken, releaseToken, statusError, type Token } from './lifetime.ts';

/** A plain value that names a block to other threads of this process: for `postMessage`, `workerData` and the like. */
export interface SharedSlice {
  readonly cslice: 'shared';
  readonly name: number;
  readonly secret: bigint;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** Offers a range of the token's block. An offer that nobody takes up ends by itself. */
export function offer(
  token: Token,
  byteOffset: number,
  byteLength: number,
  attachments: number,
  patience: number,
): SharedSlice {
  const secret = randomBytes(8).readBigUInt64LE();
  const name = slotShare(token.slot, secret, attachments, patience);
  if (name < 0) throw statusError(name, 'sharing a block');
  patienceOf ??= new WeakMap();
  patienceOf.set(token, Math.max(patience, patienceOf.get(token) ?? 0));
  return { cslice: 'shared', name, secret, byteOffset, byteLength };
}

/** How long the offers of a token's slot wait after its end. */
let patienceOf: WeakMap<Token, number> | undefined;

/** The slot of `token` is about to end: sees to it that its offers do so too in time. */
export function awaitExpiry(token: Token): void {
  const patience = patienceOf?.get(token);
  if (patience === undefined) return;
  patienceOf?.delete(token); // the token serves another slice next
  setTimeout(sharesExpire, patience + 10).unref();
}

export interface Attached {
  readonly token: Token;
  readonly address: number | bigint;
  readonly byteLength: number;
}

/** A reference of this thread's own to the block that `shared` names. */
export function attach(shared: unknown): Attached {
  if (!isShared(shared)) throw stale(`${show(shared)} is not what share() returned`);
  const { name, secret, byteOffset, byteLength } = shared;
  const token = acquireToken(byteLength);
  const result = slotAttach(token.slot, name, secret);
  if (result < 0) {
    recycleToken(token);
    throw statusError(result, 'attaching a shared slice');
  }
  if (byteOffset + byteLength > slotSize(token.slot)) {
    releaseToken(token);
    throw stale('its range is not within the block');
  }
  return { token, address: advance(slotAddress(token.slot), byteOffset), byteLength };
}

const largestSecret = (1n << 64n) - 1n;

function isShared(value: unknown): value is SharedSlice {
  if (typeof value !== 'object' || value === null) return false;
  const { cslice, name, secret, byteOffset, byteLength } = value as Partial<SharedSlice>;
  const counts = [name, byteOffset, byteLength];
  if (cslice !== 'shared' || typeof secret !== 'bigint' || secret < 0n || secret > largestSecret) return false;
  return counts.every((count) => Number.isSafeInteger(count) && (count as number) >= 0);
}

function stale(why: string): CSliceError {
  return new CSliceError('ERR_CSLICE_SHARED', `shared must be a value of slice.share(): ${why}`);
}
