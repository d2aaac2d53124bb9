/** Labels and budgets: whom an allocation is charged to. They follow the asynchronous context. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { CSliceError } from '../errors.ts';

/** What is live of one label, or under one budget. */
export class Account {
  /** Undefined: of a budget that has no label. */
  readonly label: string | undefined;
  blocks = 0;
  bytes = 0;
  /** With what is live under labels within this one. */
  charged = 0;

  constructor(label: string | undefined) {
    this.label = label;
  }
}

/** The accounts of labels that have live blocks. */
const accounts = new Map<string, Account>();

/** Of a call of `withLabel` or `withBudget`. */
export interface Scope {
  readonly label: string | undefined;
  /** Of a budget without a label. */
  readonly own: Account | undefined;
  readonly budgetBytes: number;
  readonly parent: Scope | undefined;
}

let storage: AsyncLocalStorage<Scope> | undefined;

/** The innermost scope of this asynchronous context. */
export function currentScope(): Scope | undefined {
  return storage?.getStore();
}

export function withScope<T>(label: string | undefined, budgetBytes: number, run: () => T): T {
  storage ??= new AsyncLocalStorage<Scope>();
  const own = label === undefined ? new Account(undefined) : undefined;
  return storage.run({ label, own, budgetBytes, parent: storage.getStore() }, run);
}

/** The innermost label. */
export function labelOf(scope: Scope | undefined): string | undefined {
  for (let each = scope; each !== undefined; each = each.parent) if (each.label !== undefined) return each.label;
  return undefined;
}

function accountOf(label: string): Account {
  let account = accounts.get(label);
  if (account === undefined) {
    account = new Account(label);
    accounts.set(label, account);
  }
  return account;
}

/** Every account that an allocation is charged to, once, with its tightest budget. */
function chargedTo(label: string | undefined, scope: Scope | undefined): Map<Account, number> {
  const charged = new Map<Account, number>();
  if (label !== undefined) charged.set(accountOf(label), Infinity);
  for (let each = scope; each !== undefined; each = each.parent) {
    const account = each.own ?? accountOf(each.label as string);
    charged.set(account, Math.min(charged.get(account) ?? Infinity, each.budgetBytes));
  }
  return charged;
}

function forgetIfEmpty(account: Account): void {
  const { label } = account;
  if (label !== undefined && account.charged === 0 && account.blocks === 0) accounts.delete(label);
}

/** Charges a block, or takes a charge back where `count` is -1; with 0 it changes the size. */
export function charge(label: string | undefined, scope: Scope | undefined, count: number, byteLength: number): void {
  if (label === undefined && scope === undefined) return;
  for (const account of chargedTo(label, scope).keys()) {
    account.charged += byteLength;
    if (account.label !== undefined && account.label === label) {
      account.blocks += count;
      account.bytes += byteLength;
    }
    forgetIfEmpty(account);
  }
}

/** The error of an allocation that a budget has no room for; undefined: it may be made. */
export function refusal(
  byteLength: number,
  label: string | undefined,
  scope: Scope | undefined,
): CSliceError | undefined {
  if (scope === undefined) return undefined;
  for (const [account, budget] of chargedTo(label, scope)) {
    const { charged } = account;
    forgetIfEmpty(account);
    if (charged + byteLength <= budget) continue;
    const whose = account.label ?? label ?? labelOf(scope);
    const name = whose === undefined ? 'of withBudget()' : `of the label ${JSON.stringify(whose)}`;
    return new CSliceError(
      'ERR_CSLICE_LIMIT',
      `Cannot allocate ${byteLength} bytes: the budget ${name} is ${budget} bytes, and ${charged} are live under it`,
    );
  }
  return undefined;
}

/** What is live by label. A label without a live block is not listed. */
export function liveByLabel(): Record<string, { liveBlocks: number; liveBytes: number }> {
  const live = [...accounts.values()].filter(({ blocks }) => blocks > 0);
  return Object.fromEntries(
    live.map(({ label, blocks, bytes }) => [label as string, { liveBlocks: blocks, liveBytes: bytes }]),
  );
}
