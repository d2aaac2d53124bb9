import { CSliceError, show } from '../errors.ts';
import { sharesExpire, slotAddress, slotAttach, slotShare } from '../native/symbols.ts';
import { advance } from './check.ts';
import { acquireToken, recycleToken, statusError, type Token } from './lifetime.ts';

/** A plain value that names a block to other threads of this process: for `postMessage`, `workerData` and the like. */
export interface SharedSlice {
  readonly cslice: 'shared';
  readonly name: number;
  readonly secret: bigint;
  readonly byteOffset: number;
  readonly byteLength: number;
}

const secrets = new WeakMap<Token, bigint>();

/** Offers a range of the token's block. An offer that nobody takes up ends by itself. */
export function offer(
  token: Token,
  byteOffset: number,
  byteLength: number,
  attachments: number,
  patience: number,
): SharedSlice {
  const secret = secrets.get(token) ?? randomSecret();
  secrets.set(token, secret);
  const name = slotShare(token.slot, secret, attachments, patience);
  if (name < 0) throw statusError(name, 'sharing a block');
  watchOffers(patience);
  return { cslice: 'shared', name, secret, byteOffset, byteLength };
}

let watch: NodeJS.Timeout | undefined;
let watchInterval = Number.POSITIVE_INFINITY;

/** Looks every now and then for offers that have waited too long, as long as there are any. Keeps no process alive. */
function watchOffers(patience: number): void {
  const interval = Math.max(patience, 10);
  if (watch !== undefined && interval >= watchInterval) return;
  clearInterval(watch);
  watchInterval = interval;
  watch = setInterval(() => {
    if (sharesExpire() > 0) return;
    clearInterval(watch);
    watch = undefined;
    watchInterval = Number.POSITIVE_INFINITY;
  }, interval).unref();
}

export interface Attached {
  readonly token: Token;
  readonly address: number | bigint;
  readonly byteLength: number;
}

/** A reference of this thread's own to the block that `shared` names. */
export function attach(shared: unknown): Attached {
  const { name, secret, byteOffset, byteLength } = checkShared(shared);
  const token = acquireToken(0); // what is attached is in use already
  const result = slotAttach(token.slot, name, secret, byteOffset + byteLength);
  if (result < 0) {
    recycleToken(token);
    throw statusError(result, 'attaching a shared slice');
  }
  return { token, address: advance(slotAddress(token.slot), byteOffset), byteLength };
}

function randomSecret(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0] as bigint;
}

const largestSecret = (1n << 64n) - 1n;

/** What `shared` says, read once: a getter might say something else the second time. */
function checkShared(shared: unknown): SharedSlice {
  const { cslice, name, secret, byteOffset, byteLength } = (shared ?? {}) as Partial<SharedSlice>;
  if (
    cslice !== 'shared' ||
    !(isCount(name) && isCount(byteOffset) && isCount(byteLength)) ||
    !(typeof secret === 'bigint' && secret >= 0n && secret <= largestSecret)
  ) {
    throw new CSliceError('ERR_CSLICE_SHARED', `shared must be a value of slice.share(), got ${show(shared)}`);
  }
  return { cslice, name, secret, byteOffset, byteLength };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
