/**
 * Calls every public function in one of the ways of `checks` below, in a process of its own, since a fault may crash it.
 * The last line says how many calls there were and which went wrong.
 *   check.ts surface              the functions without a line in calls.ts, and the lines without a function
 *   check.ts arguments [name]     every wrong value in every place
 * CSLICE_TRACE=1 prints each call before it is made, which names the one that crashes.
 */
import { writeSync } from 'node:fs';
import { types } from 'node:util';
import { markAsUntransferable } from 'node:worker_threads';
import { CSliceError, Slice, stats } from '../../../lib/index.ts';
import { free } from '../../helpers/blocks.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { type Argument, type Call, calls, instances, unchecked } from './calls.ts';
import { functionOf, publicNames } from './public-api.ts';
import { takes, throwingValues, values } from './values.ts';

/** Refused whatever their arguments are, so that no call of them works. */
const alwaysRefused = ['Slice.fromBlock', 'new Slice', 'new Handle', 'Arena#address'];

type Outcome = { readonly returned: unknown } | { readonly thrown: unknown };

let tried = 0;
const wrong: string[] = [];

function callOf(name: string): Call {
  return (calls[name] as () => Call)();
}

function valuesOf(args: readonly Argument[]): unknown[] {
  return args.map(({ value }) => value);
}

function isMethod(name: string): boolean {
  return name.includes('#');
}

/** A new object of the method's class. */
function newInstance(name: string): unknown {
  return isMethod(name) ? instances[name.split('#')[0] ?? '']?.() : undefined;
}

/** Releases or closes an object that a call has used or returned. */
async function close(value: unknown): Promise<void> {
  if (typeof value !== 'object' || value === null) return;
  const { release, destroy, cancel, abort } = value as Record<string, unknown>;
  const end = [release, destroy, cancel, abort].find((method) => typeof method === 'function');
  await (end as (() => unknown) | undefined)?.call(value);
}

/** Calls the function. `step` says in a message which call it was. */
async function callFunction(name: string, self: unknown, args: readonly unknown[], step: string): Promise<Outcome> {
  tried++;
  if (process.env.CSLICE_TRACE !== undefined) writeSync(2, `${step}\n`);
  try {
    const value = functionOf(name, instances)(self, args);
    const returned = types.isPromise(value) ? await value : value;
    if (name === 'Slice#disown') free(returned as bigint);
    await close(returned);
    return { returned };
  } catch (thrown) {
    return { thrown };
  }
}

function expectThat(right: boolean, step: string, outcome: Outcome): void {
  if (right) return;
  const what =
    'thrown' in outcome ? `threw ${(outcome.thrown as Error)?.stack ?? String(outcome.thrown)}` : 'did not throw';
  wrong.push(`${step} ${what.slice(0, 400)}`);
}

function threw(outcome: Outcome, code: RegExp): boolean {
  return 'thrown' in outcome && outcome.thrown instanceof CSliceError && code.test(outcome.thrown.code);
}

function threwTypeError(outcome: Outcome): boolean {
  return 'thrown' in outcome && outcome.thrown instanceof TypeError;
}

const anyCode = /^ERR_CSLICE_(RELEASED|RANGE|TYPE|NOMEM|LIMIT|EXHAUSTED|STATE|NO_VIEW|LIBRARY|STREAM|CALL)$/;

/** The arguments of calls.ts work; if they did not, the other checks would prove nothing. */
async function checkValid(name: string): Promise<void> {
  if (alwaysRefused.includes(name)) return;
  const self = newInstance(name);
  const outcome = await callFunction(name, self, valuesOf(callOf(name).args), name);
  expectThat('returned' in outcome, `${name} with valid arguments`, outcome);
  await close(self);
}

/** Calls the function with arguments that `change` makes of valid ones. */
async function checkChanged(
  name: string,
  what: string,
  change: (args: readonly Argument[]) => unknown[],
  isRight: (outcome: Outcome) => boolean,
): Promise<void> {
  const self = newInstance(name);
  const step = `${name} with ${what}`;
  const outcome = await callFunction(name, self, change(callOf(name).args), step);
  expectThat(isRight(outcome), step, outcome);
  await close(self);
}

/** Every value in the place of every argument, and of every member of an options object. */
async function checkArguments(name: string): Promise<void> {
  const { args } = callOf(name);
  for (const [place, { kind, members = {} }] of args.entries()) {
    for (const [description, make] of Object.entries(values)) {
      const value = make();
      const isRight =
        (taken: boolean) =>
        (outcome: Outcome): boolean => {
          if ('returned' in outcome) return taken;
          return threw(outcome, anyCode) || (throwingValues.includes(description) && threwTypeError(outcome));
        };
      const put = (given: readonly Argument[], other: unknown): unknown[] => valuesOf(given).with(place, other);
      await checkChanged(
        name,
        `${description} as argument ${place}`,
        (given) => put(given, value),
        isRight(takes[kind](value)),
      );
      for (const [member, memberKind] of Object.entries(members)) {
        await checkChanged(
          name,
          `${description} as ${member}`,
          (given) => put(given, { ...(given[place]?.value as object), [member]: value }),
          isRight(takes[memberKind](value)),
        );
      }
    }
  }
  for (let count = 0; count < args.length; count++) {
    const isRight = (outcome: Outcome): boolean => 'returned' in outcome || threw(outcome, anyCode);
    await checkChanged(name, `${count} arguments`, (given) => valuesOf(given).slice(0, count), isRight);
  }
}

/** A method called on something else than an object of its class. */
async function checkWrongThis(name: string): Promise<void> {
  if (!isMethod(name) || callOf(name).usesThisLater === true) return;
  const others: Readonly<Record<string, unknown>> = {
    undefined: undefined,
    null: null,
    'an object': {},
    'a number': 5,
    'an object with the prototype of a slice': Object.create(Slice.prototype),
    'a function': () => {},
    'an object of another class': new Uint8Array(8),
  };
  for (const [description, self] of Object.entries(others)) {
    const step = `${name} called on ${description}`;
    const outcome = await callFunction(name, self, valuesOf(callOf(name).args), step);
    expectThat(threw(outcome, anyCode) || threwTypeError(outcome), step, outcome);
  }
}

/** Calls a method on an object that `end` has ended. */
async function checkEnded(name: string, self: unknown, what: string): Promise<void> {
  const { args, worksAfterRelease } = callOf(name);
  const step = `${name} after ${what}`;
  const outcome = await callFunction(name, self, valuesOf(args), step);
  const right = worksAfterRelease === true ? 'returned' in outcome : threw(outcome, /^ERR_CSLICE_RELEASED$/);
  expectThat(right, step, outcome);
}

async function checkReleased(name: string): Promise<void> {
  const self = newInstance(name) as { release?(): void } | undefined;
  if (self?.release === undefined) return;
  self.release();
  await checkEnded(name, self, 'the release');
}

/** The bytes of the slice have been moved to another buffer. */
async function checkMoved(name: string): Promise<void> {
  if (!name.startsWith('Slice#')) return;
  const self = newInstance(name) as Slice;
  structuredClone(self.buffer, { transfer: [self.buffer] });
  await checkEnded(name, self, 'its bytes were moved');
  self.release();
}

/** The buffer of the slice has been passed to markAsUntransferable, after which some versions of Node cannot detach it. */
async function checkMarked(name: string): Promise<void> {
  if (!name.startsWith('Slice#')) return;
  const self = newInstance(name) as Slice;
  const { buffer } = self;
  markAsUntransferable(buffer);
  const step = `${name} after its buffer was marked as untransferable`;
  const outcome = await callFunction(name, self, valuesOf(callOf(name).args), step);
  expectThat('returned' in outcome || threw(outcome, anyCode), step, outcome);
  const { liveBytes } = stats();
  self.release();
  if (buffer.byteLength > 0 && stats().liveBytes < liveBytes) wrong.push(`${step}: freed although a view shows it`);
}

const checks: Readonly<Record<string, (name: string) => Promise<void>>> = {
  valid: checkValid,
  arguments: checkArguments,
  this: checkWrongThis,
  released: checkReleased,
  moved: checkMoved,
  marked: checkMarked,
};

let left = 0;

async function expectNoBlockLeft(name: string): Promise<void> {
  const allEnded = (): boolean => stats().liveBlocks === left;
  await collectUntil(allEnded, 'no block is left', 5000).catch(() => {});
  if (!allEnded()) wrong.push(`${name} left ${stats().liveBlocks - left} blocks`);
  left = stats().liveBlocks;
}

process.removeAllListeners('warning');
process.on('warning', () => {});
const [mode = '', only] = process.argv.slice(2);
const names = publicNames(instances).filter((name) => !unchecked.includes(name));

if (mode === 'surface') {
  const missing = names.filter((name) => !(name in calls));
  const stale = Object.keys(calls).filter((name) => !names.includes(name));
  console.log(JSON.stringify({ missing, stale }));
} else {
  const check = checks[mode];
  if (check === undefined) throw new Error(`no such check: ${mode}`);
  for (const name of names) {
    if (!(name in calls) || (only !== undefined && name !== only)) continue;
    await check(name);
    await expectNoBlockLeft(name);
  }
  console.log(`\n${JSON.stringify({ tried, wrong })}`); // C may have printed to the line before
  process.exit(); // streams and timers of what was called may be under way
}
