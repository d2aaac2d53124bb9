/**
 * Tries one member of the public surface, or all, with every wrong value at every place: a crash is this process's own.
 * The last line says what was tried and what went wrong.
 */
import { writeSync } from 'node:fs';
import { types } from 'node:util';
import { markAsUntransferable } from 'node:worker_threads';
import { CSliceError, Slice, stats } from '../../../lib/index.ts';
import { free } from '../../helpers/blocks.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { type Argument, exempt, instances, type Row, rows } from './rows.ts';
import { memberOf, surfaceOf } from './surface.ts';
import { hostileValues, kinds, values } from './values.ts';

const codes = new Set([
  'ERR_CSLICE_RELEASED',
  'ERR_CSLICE_RANGE',
  'ERR_CSLICE_TYPE',
  'ERR_CSLICE_NOMEM',
  'ERR_CSLICE_LIMIT',
  'ERR_CSLICE_EXHAUSTED',
  'ERR_CSLICE_STATE',
  'ERR_CSLICE_NO_VIEW',
  'ERR_CSLICE_LIBRARY',
  'ERR_CSLICE_STREAM',
  'ERR_CSLICE_CALL',
]);

let tried = 0;
const wrong: string[] = [];

type Result = { readonly returned: unknown } | { readonly thrown: unknown };

/** Ends what a successful call has made. */
async function end(value: unknown): Promise<void> {
  if (typeof value !== 'object' || value === null) return;
  const { release, destroy, cancel, abort } = value as Record<string, unknown>;
  if (typeof release === 'function') release.call(value);
  else if (typeof destroy === 'function') destroy.call(value);
  else if (typeof cancel === 'function') await cancel.call(value);
  else if (typeof abort === 'function') await abort.call(value);
}

async function attempt(step: string, action: () => unknown): Promise<Result> {
  tried++;
  if (process.env.CSLICE_MATRIX_TRACE !== undefined) writeSync(2, `${step}\n`);
  try {
    const value = action();
    const returned = types.isPromise(value) ? await value : value;
    if (step.startsWith('Slice#disown') && typeof returned === 'bigint') free(returned);
    await end(returned);
    return { returned };
  } catch (thrown) {
    return { thrown };
  }
}

function describe(result: Result): string {
  return 'thrown' in result ? `threw ${(result.thrown as Error)?.stack ?? String(result.thrown)}` : 'did not throw';
}

function isOurs(result: Result): boolean {
  return 'thrown' in result && result.thrown instanceof CSliceError && codes.has(result.thrown.code);
}

function note(step: string, result: Result): void {
  wrong.push(`${step} ${describe(result).slice(0, 400)}`);
}

/** An array over wrong `this` values: the language itself must refuse them. */
function strangers(): Record<string, unknown> {
  return {
    undefined: undefined,
    null: null,
    'an object': {},
    'a number': 5,
    'an object with the prototype of a slice': Object.create(Slice.prototype),
    'a function': () => {},
    'another instance': new Uint8Array(8),
  };
}

function targetOf(name: string): unknown {
  return instances[name.split('#')[0] ?? '']?.();
}

async function withTarget(name: string, use: (target: unknown) => Promise<void>): Promise<void> {
  const target = name.includes('#') ? targetOf(name) : undefined;
  await use(target);
  await end(target);
}

/** The row's own arguments, but one of them replaced. */
function replaced(args: readonly Argument[], place: number, value: unknown): unknown[] {
  return args.map((argument, i) => (i === place ? value : argument.value));
}

interface Trial {
  readonly what: string;
  readonly args: (row: Row) => unknown[];
  /** Whether the call may succeed. */
  readonly accepted: boolean;
  /** Whether it may throw a TypeError that is not ours. */
  readonly hostile?: boolean;
}

async function tryValue(name: string, { what, args, accepted, hostile = false }: Trial): Promise<void> {
  await withTarget(name, async (target) => {
    const step = `${name} with ${what}`;
    const result = await attempt(step, () => memberOf(name, instances).call(target, args((rows[name] as () => Row)())));
    const right = 'returned' in result ? accepted : isOurs(result) || (hostile && result.thrown instanceof TypeError);
    if (!right) note(step, result);
  });
}

async function tryArguments(name: string): Promise<void> {
  const { args } = (rows[name] as () => Row)();
  for (const [place, { kind, members = {} }] of args.entries()) {
    for (const [valueName, make] of Object.entries(values)) {
      const value = make();
      const hostile = hostileValues.includes(valueName);
      await tryValue(name, {
        what: `${valueName} as argument ${place}`,
        args: (row) => replaced(row.args, place, value),
        accepted: kinds[kind](value),
        hostile,
      });
      for (const [member, memberKind] of Object.entries(members)) {
        await tryValue(name, {
          what: `${valueName} as ${member}`,
          args: (row) => replaced(row.args, place, { ...(row.args[place]?.value as object), [member]: value }),
          accepted: kinds[memberKind](value),
          hostile,
        });
      }
    }
  }
  for (let count = 0; count < args.length; count++) {
    const what = `${count} arguments`;
    await tryValue(name, { what, args: (row) => row.args.slice(0, count).map(({ value }) => value), accepted: true });
  }
}

async function tryStrangers(name: string): Promise<void> {
  if (!name.includes('#') || rows[name]?.().looksLater === true) return;
  for (const [what, self] of Object.entries(strangers())) {
    const step = `${name} called on ${what}`;
    const { args } = (rows[name] as () => Row)();
    const given = args.map(({ value }) => value);
    const result = await attempt(step, () => {
      const returned = memberOf(name, instances).call(self, given);
      return returned;
    });
    if (!isOurs(result) && !('thrown' in result && result.thrown instanceof TypeError)) note(step, result);
  }
}

async function tryReleased(name: string): Promise<void> {
  if (!name.includes('#')) return;
  const target = targetOf(name) as { release?(): void };
  if (target.release === undefined) return;
  target.release();
  const { args, worksAfterRelease } = (rows[name] as () => Row)();
  const step = `${name} after the release`;
  const result = await attempt(step, () =>
    memberOf(name, instances).call(
      target,
      args.map(({ value }) => value),
    ),
  );
  if (!rightWhenOver(result, worksAfterRelease)) note(step, result);
}

/** What a member of a handle may do that is over. */
function rightWhenOver(result: Result, worksAfterRelease: boolean | undefined): boolean {
  if (worksAfterRelease === true) return 'returned' in result;
  return isOurs(result) && (result as { thrown: CSliceError }).thrown.code === 'ERR_CSLICE_RELEASED';
}

/** Somebody has moved the slice's bytes away: it is over. */
async function tryMoved(name: string): Promise<void> {
  if (!name.startsWith('Slice#')) return;
  const target = instances.Slice?.() as Slice;
  structuredClone(target.buffer, { transfer: [target.buffer] });
  const { args, worksAfterRelease } = (rows[name] as () => Row)();
  const step = `${name} after its bytes were moved away`;
  const result = await attempt(step, () =>
    memberOf(name, instances).call(
      target,
      args.map(({ value }) => value),
    ),
  );
  if (!rightWhenOver(result, worksAfterRelease)) note(step, result);
  target.release();
}

/** Somebody has had the slice's buffer marked, which some runtimes do by a key that every detaching needs. */
async function tryMarked(name: string): Promise<void> {
  if (!name.startsWith('Slice#')) return;
  const target = instances.Slice?.() as Slice;
  const { buffer } = target;
  markAsUntransferable(buffer);
  const { args } = (rows[name] as () => Row)();
  const step = `${name} after its buffer was marked as untransferable`;
  const result = await attempt(step, () =>
    memberOf(name, instances).call(
      target,
      args.map(({ value }) => value),
    ),
  );
  if (!isOurs(result) && !('returned' in result)) note(step, result);
  const { liveBytes } = stats();
  target.release();
  if (buffer.byteLength > 0 && stats().liveBytes < liveBytes) wrong.push(`${step}: freed under a view that lives on`);
}

/** The row's own arguments must work, or it would prove nothing. */
async function tryValid(name: string): Promise<void> {
  if (['Slice.fromBlock', 'new Slice', 'new Handle', 'Arena#address'].includes(name)) return; // refused in any case here
  await withTarget(name, async (target) => {
    const { args } = (rows[name] as () => Row)();
    const given = args.map(({ value }) => value);
    const result = await attempt(name, () => memberOf(name, instances).call(target, given));
    if (!('returned' in result)) note(`${name} with valid arguments`, result);
  });
}

let left = 0;

async function expectNothingLeft(name: string): Promise<void> {
  const allEnded = (): boolean => stats().liveBlocks === left;
  await collectUntil(allEnded, 'no block is left', 5000).catch(() => {});
  if (!allEnded()) wrong.push(`${name} left ${stats().liveBlocks - left} blocks`);
  left = stats().liveBlocks;
}

process.removeAllListeners('warning');
process.on('warning', () => {});
const [mode, only] = process.argv.slice(2);
const surface = surfaceOf(instances).filter((name) => !exempt.includes(name));
const known = surface.filter((name) => name in rows);

const attempts: Record<string, (name: string) => Promise<void>> = {
  valid: tryValid,
  arguments: tryArguments,
  strangers: tryStrangers,
  released: tryReleased,
  moved: tryMoved,
  marked: tryMarked,
};

if (mode === 'surface') {
  console.log(JSON.stringify({ missing: surface.filter((name) => !(name in rows)), stale: staleRows() }));
} else {
  for (const name of known) {
    if (only !== undefined && name !== only) continue;
    await attempts[mode ?? '']?.(name);
    await expectNothingLeft(name);
  }
  console.log(`\n${JSON.stringify({ tried, wrong })}`); // C may have printed to the line before
  process.exit(); // streams and timers of what was tried may be under way
}

function staleRows(): string[] {
  return Object.keys(rows).filter((name) => !surface.includes(name));
}
