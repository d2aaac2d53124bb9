import { types } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { describeError, rangeError, show, typeError, unreadable } from '../errors.ts';
import { areDestructorsDue, host, type Integer } from '../native/host.ts';
import { type KoffiLibrary, strangerHint } from '../native/koffi.ts';
import { countFailure, dueNext, endingAt, giveBack, libraryKeep, status } from '../native/symbols.ts';
import { publishBy } from '../record/channels.ts';
import { recordBy, takeEnds } from '../record/record.ts';
import { checkAddress, toInteger } from './check.ts';
import { currentJob } from './in-use.ts';
import { readOptions } from './options.ts';
import { ownValue } from './own-value.ts';
import { statusError } from './status.ts';

/**
 * How a native destructor wants to be called: `f(ptr)`, `f(ptr, size)` or `f(context, ptr)`.
 *
 * @example
 * const signature: cslice.Signature = 'ptr,size'; // int munmap(void *memory, size_t size)
 * const munmap = destructor(c, 'munmap', { signature });
 */
export type Signature = 'ptr' | 'ptr,size' | 'ctx,ptr';

export const signatures: Record<Signature, number> = { ptr: 0, 'ptr,size': 1, 'ctx,ptr': 2 };

/**
 * How a C function is called that gives memory back.
 *
 * @example
 * const munmap = destructor(c, 'munmap', { signature: 'ptr,size' });
 * const free = destructor(c, 'free', { threadSafe: true });
 */
export interface DestructorOptions {
  /** Default `'ptr'`. */
  signature?: Signature;
  /** The first argument of a `'ctx,ptr'` destructor. Default NULL. */
  context?: bigint;
  /**
   * It may run in any thread, and during a garbage collection: it must not call JavaScript. Default false: it
   * runs in the thread that adopted the memory, from that thread's event loop or from a call into this package.
   */
  threadSafe?: boolean;
}

/** What C has to know of a native destructor. */
interface Fields {
  readonly fn: Integer;
  readonly signature: number;
  readonly context: Integer;
  readonly threadSafe: boolean;
  /** What it gives back is a mapped file or mapped pages. */
  readonly unmaps: boolean;
  /** For an object, whose size is 0. Made on first use. */
  end: ((address: Integer) => void) | undefined;
}

/** Only this module has it. */
const ours = Symbol('made by destructor()');

let fieldsIn: (destructor: NativeDestructor) => Fields;
let isOne: (value: object) => value is NativeDestructor;
let make: (fields: Fields) => NativeDestructor;

/** A C function that gives memory back. Made by {@link destructor}; for the caller it has no members. */
export class NativeDestructor {
  readonly #fields: Fields;

  private constructor(key: symbol, fields: Fields) {
    if (key !== ours) throw typeError('A destructor is made by destructor()');
    this.#fields = fields;
  }

  static {
    fieldsIn = (destructor) => destructor.#fields;
    isOne = (value): value is NativeDestructor => #fields in value;
    make = (fields) => new NativeDestructor(ours, fields);
  }
}

/** Whether a value is a {@link NativeDestructor}, and not a proxy of one or an object that imitates it. */
export function isNative(value: unknown): value is NativeDestructor {
  return typeof value === 'object' && value !== null && isOne(value);
}

export function fieldsOf(destructor: NativeDestructor): Readonly<Fields> {
  return fieldsIn(destructor);
}

/**
 * Calls the function for an object, whose size is 0. koffi is fastest at a call with one number; C's own way, which
 * serves every signature and thread, costs twice as much.
 */
export function endingOf(destructor: NativeDestructor): (address: Integer) => void {
  const fields = fieldsIn(destructor);
  fields.end ??=
    fields.signature === signatures.ptr && isMainThread
      ? endingAt(fields.fn)
      : (address) => giveBack(address, 0, fields.fn, fields.signature, fields.context);
  return fields.end;
}

/**
 * What gives adopted memory back: a C function, or a JavaScript one called with the address and the size.
 *
 * @example
 * const byC: cslice.Destructor = destructor(c, 'free');
 * const byJavaScript: cslice.Destructor = (address, byteLength) => console.log(`${byteLength} bytes are free`);
 * const memory = new Int32Array(2);
 * using pinned = pin(memory);
 * Slice.adopt(pinned.address, pinned.byteLength, byJavaScript).release(); // 8 bytes are free
 */
export type Destructor = NativeDestructor | ((address: bigint, byteLength: number) => void);

/**
 * A C function as a destructor, by its bare address: from `node:ffi`, Bun, Deno, `dlsym`, or a variable of the library
 * that holds a function. Whatever holds the function must stay loaded; where the loader knows it, this sees to that.
 *
 * @throws {CSliceError} `ERR_CSLICE_TYPE` or `ERR_CSLICE_RANGE` for a wrong argument
 * @example
 * const free = destructor(c, 'free');
 * const munmap = destructor(c, 'munmap', { signature: 'ptr,size' });
 * const strdup = c.func('void *strdup(const char *text)');
 * using text = Slice.adopt(strdup('made by C'), 10, free);
 */
export function destructor(address: bigint, options?: DestructorOptions): Destructor;
/**
 * A C function as a destructor. Its library stays loaded for the life of the process, however `lib` is dropped, since
 * memory may have to be given back at any later time. Copies nothing; makes no call into the library.
 *
 * @param lib what `koffi.load` returned
 * @param symbol the name of the function in it
 * @throws {CSliceError} `ERR_CSLICE_TYPE` for a wrong argument, `ERR_CSLICE_RANGE` for an unknown symbol or signature
 */
export function destructor(lib: KoffiLibrary, symbol: string, options?: DestructorOptions): Destructor;
export function destructor(
  source: KoffiLibrary | bigint,
  symbol?: string | DestructorOptions,
  options?: DestructorOptions,
): Destructor {
  if (typeof source !== 'bigint') return fromLibrary(source, symbol, options);
  if (options !== undefined) throw typeError('a destructor from an address takes no symbol');
  const address = toInteger(checkAddress('address', source));
  return fromAddress(address, optionsOf(symbol as DestructorOptions | undefined));
}

function fromLibrary(lib: KoffiLibrary, symbol: unknown, options: DestructorOptions | undefined): Destructor {
  const find = finderOf(lib);
  if (typeof symbol !== 'string') throw typeError(`symbol must be a string, got ${show(symbol)}`);
  const checked = optionsOf(options);
  return fromAddress(addressOf(lib, find, symbol), checked, /^(munmap|UnmapViewOfFile)$/.test(symbol));
}

function optionsOf(options: DestructorOptions = {}): { signature: Signature; context: Integer; threadSafe: boolean } {
  const known = ['signature', 'context', 'threadSafe'] as const;
  const { signature = 'ptr', context, threadSafe = false } = readOptions('options', options, known);
  if (typeof threadSafe !== 'boolean') throw typeError(`threadSafe must be a boolean, got ${show(threadSafe)}`);
  if (typeof signature !== 'string' || !Object.hasOwn(signatures, signature)) {
    throw rangeError(`signature must be one of ${Object.keys(signatures).join(' | ')}, got ${show(signature)}`);
  }
  if (context !== undefined && signature !== 'ctx,ptr') {
    throw typeError(`context needs the signature 'ctx,ptr', got ${show(signature)}`);
  }
  return {
    signature,
    context: context === undefined || context === 0n ? 0 : toInteger(checkAddress('context', context)),
    threadSafe,
  };
}

function fromAddress(
  address: Integer,
  { signature, context, threadSafe }: ReturnType<typeof optionsOf>,
  unmaps = false,
): Destructor {
  libraryKeep(address);
  return make({ fn: address, signature: signatures[signature], context, threadSafe, unmaps, end: undefined });
}

function finderOf(lib: KoffiLibrary): KoffiLibrary['symbol'] {
  try {
    const find = lib?.symbol;
    if (typeof find === 'function') return find;
  } catch (cause) {
    throw unreadable('lib', cause);
  }
  throw typeError(`lib must be a library loaded by koffi, got ${show(lib)}`);
}

function addressOf(lib: KoffiLibrary, find: KoffiLibrary['symbol'], symbol: string): Integer {
  try {
    return toInteger(checkAddress('the address', Reflect.apply(find, lib, [symbol])));
  } catch (cause) {
    throw rangeError(`symbol ${show(symbol)} is not in the library${strangerHint(lib)}`, { cause });
  }
}

interface Callback {
  readonly run: (address: bigint, byteLength: number) => void;
  readonly address: bigint;
  readonly byteLength: number;
  /** Of an object of C: what its type is called. */
  readonly handle?: string | undefined;
}

/** The JavaScript destructors that have not run yet, by the number that C knows them by. */
const callbacks = new Map<number, Callback>();
let lastNumber = 0;

/** Where C puts the blocks whose destructors must run in this thread. */
let mailbox: Integer | undefined;

function mailboxOrNone(): Integer | undefined {
  mailbox ??= host.listen(onWake);
  return mailbox;
}

export function openMailbox(byteLength: number): void {
  if (mailboxOrNone() === undefined) throw statusError(status.ENOMEM, `adopt ${byteLength} bytes`);
}

/** Notes a JavaScript destructor that has not run yet. Returns the number that C is to know it by. */
export function registerCallback(callback: Callback): number {
  callbacks.set(++lastNumber, callback);
  return lastNumber;
}

/** That destructor will never run: the block was not adopted, or went to C. */
export function forgetCallback(number: number): void {
  callbacks.delete(number);
}

/** What ends in this thread without a block. */
interface Ending {
  end(): void;
}

const endings: Ending[] = [];

const never = -1;

/** The job in which destructors run. It counts in this job only, since a timeout of `vm` may have stopped it. */
let runningIn = never;

function isRunning(): boolean {
  return runningIn !== never && runningIn === currentJob();
}

/** What C has named as due and has not run yet. A run that was interrupted leaves it to the next one. */
let due: Callback | undefined;

/** On the event loop, where no other run can be under way. */
function onWake(): void {
  runningIn = never;
  runDestructors();
}

/** Leaves an end to {@link runDestructors}. */
export function endLater(ending: Ending): void {
  endings.push(ending);
}

publishBy(endLater);
recordBy(mailboxOrNone);

/** Ends it now, unless another end is under way or due before. The last step of a public call. */
export function endLast(ending: Ending): void {
  if (endings.length > 0 || isRunning()) endings.push(ending);
  else {
    runningIn = currentJob();
    try {
      ending.end();
    } finally {
      runningIn = never;
    }
  }
  runDestructors();
}

/** Runs no destructor during `work`, which calls public functions in the midst of another one. */
export function putOff(work: () => void): void {
  const before = runningIn;
  runningIn = currentJob();
  try {
    work();
  } finally {
    runningIn = before;
  }
}

/**
 * Runs the destructors that are due in this thread. Public functions call it last, when their work is done: a destructor
 * may call any of them. What falls due meanwhile is left to the outermost run, so that chains of destructors need no
 * stack.
 */
export function runDestructors(): void {
  if (!(endings.length > 0 || due !== undefined || isMailboxDue()) || isRunning()) return;
  runningIn = currentJob();
  try {
    for (let more = true; more; more = isMailboxDue() && takeDue(mailbox as Integer)) {
      runDue();
      for (let next = endings.shift(); next !== undefined; next = endings.shift()) next.end();
    }
  } finally {
    runningIn = never;
  }
}

function isMailboxDue(): boolean {
  return mailbox !== undefined && areDestructorsDue();
}

/** Runs the native destructors up to the next JavaScript one. False: nothing is left to be run. */
function takeDue(from: Integer): boolean {
  takeEnds(from);
  const number = dueNext(from);
  due = callbacks.get(number);
  callbacks.delete(number);
  return number !== 0 || endings.length > 0;
}

function runDue(): void {
  const callback = due;
  due = undefined;
  if (callback !== undefined) runOne(callback);
}

/** A destructor that throws must not stop the next one, nor fail the call that gave the last reference back. */
function runOne({ run, address, byteLength, handle }: Callback): void {
  const fail = (error: unknown): void => {
    countFailure();
    const where = `0x${address.toString(16)}`;
    const what = handle === undefined ? `block at ${where} (${byteLength} bytes)` : `handle ${handle} at ${where}`;
    process.emitWarning(`The destructor of the ${what} threw: ${describeError(error)}`, {
      type: 'CSliceWarning',
      code: 'CSLICE_DESTRUCTOR_THREW',
    });
  };
  try {
    const result: unknown = takesOne(run) ? (run as (address: bigint) => unknown)(address) : run(address, byteLength);
    if (types.isPromise(result)) Promise.prototype.then.call(result, undefined, fail);
  } catch (error) {
    fail(error);
  }
}

/** Whether it is a C function that `func()` has declared with one parameter, as `free` is: it takes no further argument. */
function takesOne(run: object): boolean {
  return ownValue(run, 'length') === 1 && typeof ownValue(run, 'async') === 'function';
}

/** Gives memory back that no block holds. Needs none itself, so it works for what could not be adopted too. */
export function giveBackTo(destructor: Destructor, address: bigint, byteLength: number, handle?: string): void {
  if (isNative(destructor)) {
    const { fn, signature, context } = fieldsIn(destructor);
    giveBack(toInteger(address), byteLength, fn, signature, context);
  } else runOne({ run: destructor, address, byteLength, handle });
}

export function checkDestructor(destructor: unknown): asserts destructor is Destructor {
  if (isNative(destructor) || typeof destructor === 'function') return;
  throw typeError(`destructor must be made by destructor() or be a function, got ${show(destructor)}`);
}
