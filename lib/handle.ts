/** Objects of a C library as JavaScript holds them, and what can be kept for as long as an object lives. */
import { inspect, types } from 'node:util';
import { checkAddress, elementsOf, toInteger } from './core/check.ts';
import { checkDestructor, type Destructor } from './core/destructor.ts';
import { blockOf, type Lease, type LeaseEnd, leaseOf, newLease } from './core/lease.ts';
import { readOptions } from './core/options.ts';
import {
  type Ending,
  type Hold,
  KeptMemory,
  type Kind,
  kindOf,
  noHolds,
  type Owner,
  own,
  releaseAll,
  Token,
  takeToken,
  uncounted,
} from './core/owner.ts';
import { CSliceError, rangeError, show, typeError } from './errors.ts';
import type { Integer } from './native/host.ts';
import { pin } from './pin.ts';
import { isSlice, liveReference, type Slice } from './slice.ts';

/**
 * What a handle, a view or a callback may keep.
 *
 * @example
 * const table: cslice.Keepable = new Float64Array(100);
 * const malloc = c.func('void *malloc(size_t size)');
 * using object = Handle.adopt('object', malloc(16), destructor(c, 'free'), { keeps: [table] });
 */
export type Keepable = Handle | Slice | ArrayBuffer | SharedArrayBuffer | ArrayBufferView | Callback;

let tokenIn: (callback: Callback) => Token | undefined;
let isOneCallback: (value: object) => value is Callback;
let makeCallback: (token: Token) => Callback;

/**
 * A JavaScript function with an address. Made by `callback()`.
 *
 * @example
 * const handler: cslice.Callback = callback('void handler(int signal)', (signal) => console.log(signal));
 * console.log(handler.address > 0n, handler.released); // true false
 * handler.release(); // C must not call it from here on
 */
export class Callback implements Disposable {
  #token: Token | undefined;

  private constructor(token: Token) {
    if (!(token instanceof Token)) throw typeError('A Callback is made by callback()');
    this.#token = token;
  }

  static {
    tokenIn = (callback) => callback.#token;
    isOneCallback = (value): value is Callback => #token in value;
    makeCallback = (token) => new Callback(token);
  }

  /** What C calls. Valid until the release, and for as long as something keeps the callback. */
  get address(): bigint {
    return BigInt(ownerOfCallback(this).address);
  }

  /** Whether the callback has been released. */
  get released(): boolean {
    return this.#token === undefined;
  }

  /** Unregisters it, once nothing keeps it and it is not running. C must not call it then. */
  release(): void {
    const token = this.#token;
    this.#token = undefined;
    token?.owner.close(token);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

export function newCallback(token: Token): Callback {
  return makeCallback(token);
}

/** Whether a value is a callback, and not a proxy of one or an object that imitates it. */
export function isCallback(value: unknown): value is Callback {
  return typeof value === 'object' && value !== null && isOneCallback(value);
}

/** undefined: it has been released. */
export function ownerOfCallbackOrNone(callback: Callback): Owner | undefined {
  return tokenIn(callback)?.owner;
}

/** @throws {CSliceError} `ERR_CSLICE_RELEASED` */
export function ownerOfCallback(callback: Callback): Owner {
  const token = tokenIn(callback);
  if (token === undefined) throw new CSliceError('ERR_CSLICE_RELEASED', 'This callback has been released');
  return token.owner;
}

/** Keeps `value` until the release of what this returns. @throws {CSliceError} for what is released or cannot be kept */
export function keep(name: string, value: unknown): Hold {
  if (isHandle(value)) return ownerOf(value).use();
  if (isSlice(value)) return keptMemory(leaseOf(liveReference(value)));
  if (isCallback(value)) return ownerOfCallback(value).use();
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return keptMemory(pin(value as ArrayBuffer));
  throw typeError(`${name} must be a handle, a slice, a callback or a buffer to be kept, got ${show(value)}`);
}

function keptMemory(lease: Lease): Hold {
  try {
    return new KeptMemory(lease, blockOf(lease));
  } catch (error) {
    lease.release();
    throw error;
  }
}

/** Keeps all, or none. */
function keepAll(name: string, values: readonly unknown[]): readonly Hold[] {
  if (values.length === 0) return noHolds;
  const kept: Hold[] = [];
  try {
    for (const value of values) kept.push(keep(name, value));
  } catch (error) {
    releaseAll(kept);
    throw error;
  }
  return kept;
}

let ownerIn: (handle: Handle) => Owner;
let isOne: (value: object) => value is Handle;
let ownerOrNoneIn: (value: object) => Owner | undefined;
let makeHandle: (name: string, token: Token) => Handle;

/** Whether a value is a handle, and not a proxy of one or an object that imitates it. */
export function isHandle(value: unknown): value is Handle {
  return typeof value === 'object' && value !== null && isOne(value);
}

/** @throws {CSliceError} `ERR_CSLICE_RELEASED` */
export function ownerOf(handle: Handle): Owner {
  return ownerIn(handle);
}

/** Undefined for a released one, and for what is no handle. */
export function ownerOrNone(value: object): Owner | undefined {
  return ownerOrNoneIn(value);
}

/**
 * What {@link Handle.adopt} is told about an object.
 *
 * @example
 * const malloc = c.func('void *malloc(size_t size)');
 * const settings = Slice.alloc(64);
 * using object = Handle.adopt('object', malloc(16), destructor(c, 'free'), { keeps: [settings] });
 * settings.release(); // its memory stays until the object's destructor has run
 */
export interface HandleOptions {
  /** What the object needs: it lives until the object's destructor has run. */
  keeps?: readonly Keepable[];
}

/**
 * An object of a C library that JavaScript owns: a database, a context, a document.
 *
 * The destructor runs once: at the release, at the end of a `using` scope, or after a collection; in every case after
 * everything that keeps the handle has ended, and in the thread that made it. Any use after the release throws a
 * {@link CSliceError} with the code `ERR_CSLICE_RELEASED`.
 *
 * @example
 * const newFile = func(c, 'FILE *tmpfile(void)', { returns: 'handle', free: 'fclose' });
 * const puts = func(c, 'int fputs(const char *text, FILE *file)');
 * using file = newFile(); // Handle<'FILE'>
 * puts('written by C', file);
 */
export class Handle<Name extends string = string> implements Disposable {
  readonly #name: Name;
  #token: Token | undefined;

  private constructor(name: Name, token: Token) {
    if (!(token instanceof Token)) throw typeError('A Handle is made by func() or Handle.adopt()');
    this.#name = name;
    this.#token = token;
  }

  /**
   * Takes ownership of an object that C made. If this throws, the object is still the caller's.
   *
   * @param name what its C type is called: functions whose prototype has a `name *` take it
   * @param destructor a C function (see `destructor()`), or one of JavaScript, called with the address and 0; `null`:
   *   nothing runs, and the object only releases what it keeps
   * @example
   * const tmpfile = c.func('void *tmpfile(void)');
   * using file = Handle.adopt('FILE', tmpfile(), destructor(c, 'fclose'));
   * const puts = func(c, 'int fputs(const char *text, FILE *file)');
   * puts('written by C', file);
   */
  static adopt<Name extends string>(
    name: Name,
    address: bigint,
    destructor: Destructor | null,
    options?: HandleOptions,
  ): Handle<Name> {
    if (typeof name !== 'string') throw typeError(`name must be a string, got ${show(name)}`);
    if (name === '') throw rangeError('name must not be empty');
    const integer = exactly(address);
    if (destructor !== null) checkDestructor(destructor);
    const kept = options === undefined ? noHolds : keepAll('keeps', keepsOf(options));
    return Handle.#own(name, integer, destructor ?? undefined, kept);
  }

  static #own<Name extends string>(name: Name, address: Integer, ending: Ending, kept: readonly Hold[]): Handle<Name> {
    try {
      return handleFor(kindOf(name), address, ending, kept) as Handle<Name>;
    } catch (error) {
      releaseAll(kept);
      throw error;
    }
  }

  static {
    ownerIn = (handle) => handle.#live().owner;
    isOne = (value): value is Handle => #token in value;
    ownerOrNoneIn = (value) => (#token in value ? value.#token?.owner : undefined);
    makeHandle = (name, token) => new Handle(name, token);
    Object.defineProperty(Handle.prototype, inspect.custom, {
      value(this: Handle) {
        return #token in this ? this.#describe() : 'Handle {}';
      },
    });
  }

  /** What the C type is called. */
  get name(): Name {
    return this.#name;
  }

  /** Where the object is. Valid for C until the release; it keeps nothing alive. */
  get address(): bigint {
    return BigInt(this.#live().owner.address);
  }

  /** Whether the handle has been released. */
  get released(): boolean {
    return this.#token === undefined;
  }

  /**
   * Keeps the object while C works with it in the background: the destructor waits for the end of the lease.
   *
   * @example
   * const newFile = func(c, 'FILE *tmpfile(void)', { returns: 'handle', free: 'fclose' });
   * const file = newFile();
   * const lease = file.lease(); // C works with lease.address in the background
   * file.release();
   * lease.release(); // closes the file
   */
  lease(): Lease {
    const { owner } = this.#live();
    return newLease(new HandleLeaseEnd(owner), owner.address, 0, 0);
  }

  /** Releases the object. Its destructor runs now, unless something still keeps it. Does nothing the second time. */
  release(): void {
    const token = this.#token;
    this.#token = undefined;
    token?.owner.close(token);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  #describe(): string {
    const token = this.#token;
    if (token === undefined) return `${this.#name} (released)`;
    return `${this.#name} at 0x${token.owner.address.toString(16)} (open)`;
  }

  #live(): Token {
    if (this.#token === undefined) throw new CSliceError('ERR_CSLICE_RELEASED', `This ${this.#name} has been released`);
    return this.#token;
  }
}

/** For functions whose result is a handle; `kept` is theirs again if this throws. */
export function handleFor(kind: Kind, address: Integer, ending: Ending, kept: readonly Hold[]): Handle {
  const token = takeToken();
  const handle = makeHandle(kind.name, token);
  token.owner.begin(kind, address, ending, kept); // last: nothing may fail once it owns the object
  return handle;
}

/** A use of an object, which ends with the lease, or once that has been collected. */
class HandleLeaseEnd implements LeaseEnd {
  readonly #token: Token;

  constructor(owner: Owner) {
    this.#token = own(uncounted, owner.address, undefined, [owner.use()]);
  }

  release(): void {
    this.#token.owner.close(this.#token);
  }
}

/** An address as C gets it. Most are numbers, and one conversion tells it. */
function exactly(address: bigint): Integer {
  if (typeof address === 'bigint') {
    const number = Number(address);
    if (number > 0 && number < Number.MAX_SAFE_INTEGER) return number;
  }
  return toInteger(checkAddress('address', address));
}

function keepsOf(options: HandleOptions): readonly unknown[] {
  const { keeps } = readOptions('options', options, ['keeps']);
  return keeps === undefined ? noHolds : elementsOf('keeps', keeps);
}
