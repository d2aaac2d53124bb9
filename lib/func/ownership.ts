/**
 * Calls of C functions that hand something over. From the moment in which C returns, what it handed over either reaches
 * the caller with an owner or is given back: whatever the result says, and whatever the declaration's functions throw.
 */
import { getSystemErrorName } from 'node:util';
import { adoptKeeping } from '../core/block.ts';
import { checkLength, checkRegion, toInteger } from '../core/check.ts';
import { type Destructor, endLater, giveBackTo, isNative, runDestructors } from '../core/destructor.ts';
import {
  type Hold,
  Keepsakes,
  type Kind,
  kindOf,
  noHolds,
  Owner,
  own,
  releaseAll,
  type Token,
  uncounted,
} from '../core/owner.ts';
import { textAt } from '../core/text.ts';
import { CCallError, type CSliceError, describeError, isOurs, show, typeError } from '../errors.ts';
import { type Handle, handleFor, isHandle, keep, ownerOf } from '../handle.ts';
import { blockUnref, clearErrno, lastErrno, stringSize } from '../native/symbols.ts';
import { isSlice, liveReference, newSlice, Slice } from '../slice.ts';
import { direct, Preparation, unfit } from './arguments.ts';
import { type Call, type Callee, callC, callInBackground, expand, mayRunJavaScript } from './calls.ts';
import type { Options } from './options.ts';
import { type Cells, integerIn, type Place, pointerIn } from './places.ts';
import type { Prototype } from './prototype.ts';
import type { Shape } from './shape.ts';

/** One call that C has answered. */
interface Answer {
  readonly result: unknown;
  readonly errno: number;
  /** What C handed over; 0n for nothing. */
  readonly address: bigint;
}

/** One call before and after C. */
interface Running {
  /** What the caller gave. */
  readonly given: readonly unknown[];
  /** What koffi gets, by the index of the parameter. */
  readonly passed: unknown[];
  readonly preparation: Preparation;
  /** What is to live as long as the result. */
  readonly kept: readonly Hold[];
  /** The object that keeps it, by the option `by`. */
  readonly keeper: Owner | undefined;
  readonly cells: Map<number, DataView>;
}

/**
 * Whether a result tells all that a call of the declaration does with it: nothing is kept, nothing comes from elsewhere, and
 * none of the caller's functions run.
 */
export function isSimple({ returns, from, size, free, failed, message, keeps, until, by }: Options): boolean {
  const isWhole = returns === undefined || (returns !== 'view' && from?.index === -1);
  const needsCall =
    typeof size === 'object' || [size, free, failed, message].some((each) => typeof each === 'function');
  return isWhole && !needsCall && keeps.length + until.length === 0 && by === undefined;
}

export class OwningFunction {
  readonly #callee: Callee;
  readonly #prototype: Prototype;
  readonly #options: Options;
  readonly #cells: Cells;
  /** For each parameter of the prototype, its index among what the caller gives; -1 for memory of ours. */
  readonly #indices: readonly number[];
  readonly #kind: Kind | undefined;
  /** What a function keeps that returns nothing to keep it. */
  readonly #keptForGood: Keepsakes = new Keepsakes([]);

  constructor(callee: Callee, prototype: Prototype, options: Options, cells: Cells) {
    this.#callee = callee;
    this.#prototype = prototype;
    this.#options = options;
    this.#cells = cells;
    let next = 0;
    this.#indices = prototype.parameters.map((_, i) => (cells.has(i) ? -1 : next++));
    this.#kind = options.returns === 'handle' ? kindOf(options.from?.target ?? '') : undefined;
  }

  call(args: ArrayLike<unknown>): unknown {
    const call = expand(this.#callee, args);
    const running = this.#begin(call, args, mayRunJavaScript(this.#callee), false);
    let answered = false;
    try {
      clearErrno();
      const result = callC(this.#callee, call.arrange(running.passed), running.preparation);
      answered = true;
      return this.#conclude(running, result);
    } finally {
      if (!answered) releaseAll(running.kept);
      this.#end(running);
    }
  }

  /** What a call makes of its result, if the declaration {@link isSimple} and no argument is held. */
  conclude(result: unknown): unknown {
    const { from, free } = this.#options;
    if (from === undefined || typeof result !== 'number') return this.#conclude(nothingHeld(), result);
    if (result === 0 || this.#kind === undefined) {
      return this.#conclude(nothingHeld(), result === 0 ? null : BigInt(result));
    }
    try {
      return handleFor(this.#kind, result, free, noHolds);
    } catch (error) {
      this.#giveBack(BigInt(result), 0);
      throw error;
    }
  }

  async callAsync(args: readonly unknown[]): Promise<unknown> {
    const call = expand(this.#callee, args);
    const running = this.#begin(call, args, true, true);
    let answered = false;
    try {
      return await callInBackground(this.#callee, running.preparation, running.passed, (result) => {
        answered = true;
        return this.#conclude(running, result);
      });
    } finally {
      if (!answered) releaseAll(running.kept);
      this.#end(running);
    }
  }

  #begin(call: Call, args: ArrayLike<unknown>, pins: boolean, background: boolean): Running {
    const given = Array.from(args);
    const preparation = new Preparation(pins, background);
    const inputs = (pins ? undefined : directly(call)) ?? preparation.all(call.parameters, call.args);
    try {
      const { by } = this.#options;
      // Now, and held: its handle may be released before the call is over.
      const keeper = by === undefined ? undefined : ownerOf(this.#handleAt(given, by));
      if (keeper !== undefined) preparation.holds.push(keeper.use());
      const kept = this.#keep(given);
      const cells = this.#cells.take();
      const passed = this.#indices.map((from, i) => (from < 0 ? cells.get(i) : inputs[from]));
      for (let i = this.#callee.parameters.length; i < inputs.length; i++) passed.push(inputs[i]); // of a variadic function
      return { given, passed, preparation, kept, keeper, cells };
    } catch (error) {
      preparation.end();
      throw error;
    }
  }

  /** Holds what is to live longer than the call. */
  #keep(given: readonly unknown[]): readonly Hold[] {
    const { keeps, until } = this.#options;
    const kept: Hold[] = [];
    try {
      for (const index of until) kept.push(ownerOf(this.#handleAt(given, index)).use());
      for (const index of keeps) {
        const value = this.#valueAt(given, index);
        if (isKept(value)) kept.push(keep(this.#nameOf(index), value));
      }
    } catch (error) {
      releaseAll(kept);
      throw error;
    }
    return kept;
  }

  /** What `keeps` names, of those values that can be kept. */
  #objectsIn(given: readonly unknown[]): object[] {
    const values = this.#options.keeps.map((index) => this.#valueAt(given, index));
    return values.filter(isKept) as object[];
  }

  #valueAt(given: readonly unknown[], index: number): unknown {
    return given[this.#indices[index] ?? -1];
  }

  #handleAt(given: readonly unknown[], index: number): Handle {
    const value = this.#valueAt(given, index);
    if (isHandle(value)) return value;
    throw typeError(`${this.#nameOf(index)} must be a handle, got ${show(value)}`);
  }

  #nameOf(index: number): string {
    return `${this.#prototype.name}: ${this.#prototype.parameters[index]?.name}`;
  }

  #end({ preparation, cells }: Running): void {
    preparation.end();
    this.#cells.giveBack(cells);
    runDestructors();
  }

  /** Right after C: the errno is still that of the call. */
  #conclude(running: Running, result: unknown): unknown {
    const errno = lastErrno();
    const { from } = this.#options;
    const { trap } = running.preparation;
    const address = from === undefined ? 0n : addressAt(from, result, running.cells);
    const answer: Answer = { result, errno, address };
    let byteLength = unasked;
    let owned = false;
    try {
      running.preparation.finish(); // before the declaration's functions, which read what C has filled
      if (trap.caught) throw trap.error;
      const failure = this.#failureOf(answer, running);
      if (failure !== undefined) throw failure;
      byteLength = 0; // a size function that throws is not asked again
      byteLength = this.#sizeOf(answer, running);
      const value = this.#own(answer, byteLength, running);
      owned = true;
      return value;
    } catch (error) {
      if (byteLength === unasked) byteLength = this.#sizeIfAny(answer, running);
      throw trap.caught ? trap.error : asOurs(this.#callee.name, error);
    } finally {
      if (!owned) {
        if (address !== 0n) this.#giveBack(address, byteLength);
        releaseAll(running.kept);
      }
    }
  }

  #failureOf({ result, errno, address }: Answer, running: Running): CCallError | undefined {
    const { failed, failedByDefault, message, from, returns } = this.#options;
    const { given } = running;
    const didFail = failed === undefined ? failedBy(failedByDefault, result) : failed(result, ...given);
    if (!didFail && (from === undefined || returns === 'view' || address !== 0n)) return undefined;
    if (!didFail && this.#isEmpty(running)) return undefined;
    const why = typeof message === 'function' ? message(result, ...given, address) : message;
    const { name } = this.#callee;
    if (why === undefined) return new CCallError(name, describe(result, errno), result, errno);
    return new CCallError(name, typeof why === 'string' ? why : show(why), result, errno);
  }

  /** C has told that there are no bytes, and made none. */
  #isEmpty({ cells }: Running): boolean {
    const { returns, size } = this.#options;
    if (returns !== 'bytes' || typeof size !== 'object' || !size.isCell || !size.isScalar) return false;
    return Number(integerIn(cells.get(size.index) as DataView, size)) === 0;
  }

  /** Of what a failed call handed over all the same, for a destructor that wants to know. */
  #sizeIfAny(answer: Answer, running: Running): number {
    try {
      return answer.address === 0n ? 0 : this.#sizeOf(answer, running);
    } catch {
      return 0;
    }
  }

  #sizeOf({ result, address }: Answer, { given, passed, cells }: Running): number {
    const { size } = this.#options;
    if (size === undefined || (address === 0n && typeof size === 'function')) return 0;
    if (typeof size === 'number') return size;
    if (typeof size === 'function') return checkLength('size', size(...given));
    return checkLength('the size that C tells', Number(integerAt(size, result, passed, cells)));
  }

  /** The caller's result. Until this has returned, `address` and what is kept are still to be given back. */
  #own({ result, address }: Answer, byteLength: number, { given, kept, keeper }: Running): unknown {
    const { returns, free } = this.#options;
    switch (returns) {
      case 'bytes':
        if (address === 0n) return emptied(kept);
        return adopted(address, byteLength, free as Destructor, kept);
      case 'block':
        return Slice.fromBlock(address);
      case 'handle':
        return handleFor(this.#kind as Kind, toInteger(address), free, kept);
      case 'string': {
        const text = textAt(widthOf((this.#options.from as Place).shape), address);
        this.#giveBack(address, 0);
        releaseAll(kept);
        return text;
      }
      case 'view':
        return this.#view(address, byteLength, given, kept);
      default:
        if (keeper !== undefined) keeper.keepToo(kept, this.#objectsIn(given));
        else this.#keptForGood.add(kept, this.#objectsIn(given));
        return result;
    }
  }

  #view(address: bigint, byteLength: number, given: readonly unknown[], kept: readonly Hold[]): Slice | null {
    if (address === 0n) {
      releaseAll(kept);
      return null;
    }
    const { keeps, until } = this.#options;
    const values = [...keeps, ...until].map((index) => this.#valueAt(given, index));
    const enders = until.map((index) => ownerOf(this.#handleAt(given, index)));
    const token = own(uncounted, 0, undefined, kept);
    const { owner } = token;
    const slice = borrowed(address, byteLength, new Borrowing(token, values));
    const view = { release: () => endView(slice, owner) };
    for (const ender of enders) ender.addView(view);
    const weak = new WeakRef(slice);
    for (const hold of kept) {
      if (hold instanceof Owner) hold.addViewer(() => hasEnded(weak, owner));
    }
    return slice;
  }

  #giveBack(address: bigint, byteLength: number): void {
    const { returns, free, from } = this.#options;
    if (returns === 'block') blockUnref(toInteger(address));
    else if (free !== undefined) {
      const size = returns === 'string' ? stringSize(toInteger(address), widthOf((from as Place).shape)) : byteLength;
      const handle = this.#kind?.name;
      if (isNative(free)) giveBackTo(free, address, size);
      else endLater({ end: () => giveBackTo(free, address, size, handle) });
    }
  }
}

/** Before the size of what C handed over has been asked for. */
const unasked = -1;

/** Addresses and NULL are the caller's own business. */
function isKept(value: unknown): boolean {
  return value !== null && typeof value !== 'bigint';
}

/** Stands for a call that held nothing. */
function nothingHeld(): Running {
  return {
    given: [],
    passed: [],
    preparation: new Preparation(false, false),
    kept: noHolds,
    keeper: undefined,
    cells: new Map(),
  };
}

/** What a borrowed slice keeps reachable: the holds end with the token, and the handles must not be collected before. */
class Borrowing {
  readonly token: Token;
  readonly values: readonly unknown[];

  constructor(token: Token, values: readonly unknown[]) {
    this.token = token;
    this.values = values;
  }
}

/** @throws what {@link Slice.borrow} does; what was to be kept is the caller's again */
function borrowed(address: bigint, byteLength: number, owner: Borrowing): Slice {
  try {
    return Slice.borrow(address, byteLength, owner);
  } catch (error) {
    owner.token.owner.forsake();
    throw error;
  }
}

function endView(slice: Slice, owner: Owner): void {
  slice.release();
  owner.closeLater();
}

/** Ends the holds of a view that has been released or collected. */
function hasEnded(view: WeakRef<Slice>, owner: Owner): boolean {
  const ended = view.deref()?.released !== false;
  if (ended) owner.closeLater();
  return ended;
}

function emptied(kept: readonly Hold[]): Slice {
  const empty = Slice.alloc(0);
  releaseAll(kept);
  return empty;
}

/** A slice whose memory is freed before what it keeps is let go. */
function adopted(address: bigint, byteLength: number, free: Destructor, kept: readonly Hold[]): Slice {
  if (kept.length === 0) return Slice.adopt(address, byteLength, free);
  const letGo = (): void => releaseAll(kept);
  if (isNative(free)) {
    checkRegion(address, byteLength);
    return newSlice(adoptKeeping(address, byteLength, free, letGo));
  }
  const slice = Slice.adopt(address, byteLength, () => {
    giveBackTo(free, address, byteLength);
    letGo();
  });
  liveReference(slice).keeping = true;
  return slice;
}

/** Undefined if one of the arguments needs preparation. */
function directly({ parameters, args }: Call): unknown[] | undefined {
  const passed: unknown[] = [];
  for (let i = 0; i < parameters.length; i++) {
    const value = args[i];
    if (isSlice(value) || isHandle(value)) return undefined; // held: the declaration's functions run later
    const one = direct(parameters[i] as (typeof parameters)[number], value);
    if (one === unfit) return undefined;
    passed.push(one);
  }
  return passed;
}

function addressAt(from: Place, result: unknown, cells: Map<number, DataView>): bigint {
  if (from.index === -1) return typeof result === 'bigint' ? result : 0n;
  return pointerIn(cells.get(from.index) as DataView, from);
}

function integerAt(size: Place, result: unknown, passed: readonly unknown[], cells: Map<number, DataView>): unknown {
  if (size.index === -1) return result;
  if (size.isCell) return integerIn(cells.get(size.index) as DataView, size);
  const value = passed[size.index];
  return typeof value === 'object' && value !== null ? (value as unknown[])[0] : value;
}

function failedBy(rule: Options['failedByDefault'], result: unknown): boolean {
  if (rule === 'never') return false;
  return rule === 'nonzero' ? result !== 0 : (result as number) < 0;
}

function describe(result: unknown, errno: number): string {
  return errno === 0 ? `it returned ${show(result)}` : `${errorName(errno)} (errno ${errno})`;
}

/** A library may leave anything in errno. */
function errorName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return 'an unknown error';
  }
}

/** Whatever the functions of a declaration throw reaches the caller as one kind of error. */
function asOurs(name: string, error: unknown): CSliceError {
  if (isOurs(error)) return error;
  const reason = describeError(error, 'message');
  return typeError(`${name}: a function of the declaration threw: ${reason}`, {
    cause: error,
  });
}

function widthOf({ primitive }: Shape): 1 | 2 | 4 {
  return primitive === 'String16' ? 2 : primitive === 'String32' ? 4 : 1;
}
