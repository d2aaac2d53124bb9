/**
 * Objects of a C library: what JavaScript holds of them, and when their destructors run. An object has no bytes for
 * JavaScript, and it may need other objects, which then outlive it.
 */
import { inspect, types } from 'node:util';
import { checkAddress, toInteger } from './core/check.ts';
import { checkDestructor, type Destructor, giveBackTo, NativeDestructor } from './core/destructor.ts';
import { CSliceError, rangeError, show, typeError } from './errors.ts';
import type { Integer } from './native/symbols.ts';
import { callerOf } from './native-call.ts';
import { pin } from './pin.ts';
import { Slice } from './slice.ts';
import { type Place, placeOf } from './thread-end.ts';

/** What ends by `release()`: a lease, a pin. */
export interface Hold {
  release(): void;
}

/** What an {@link Owner} does at its end. Undefined: it only keeps other things. */
export type Ending = Destructor | undefined;

const nothing: readonly Hold[] = [];

/** Handles are counted by the name of their type. */
export interface Kind {
  readonly name: string;
  live: number;
}

const kinds = new Map<string, Kind>();
/** Of leases, views and callbacks, which are no objects of C. */
const uncounted: Kind = { name: '', live: 0 };

let lastKind: Kind = { name: '', live: 0 };

export function kindOf(name: string): Kind {
  if (name !== lastKind.name) lastKind = findKind(name);
  return lastKind;
}

function findKind(name: string): Kind {
  const kind = kinds.get(name) ?? { name, live: 0 };
  kinds.set(name, kind);
  return kind;
}

/** How many objects of each type this thread owns, those included whose handle is gone and that something keeps. */
export function liveHandles(): Record<string, number> {
  const live = [...kinds.values()].filter((kind) => kind.live > 0);
  return Object.fromEntries(live.map((kind) => [kind.name, kind.live]));
}

/**
 * What is known of one object for as long as C has it. Not the handle, which may be collected before: the registry
 * holds this, and so do the owners of what needs the object.
 *
 * It ends once: when its handle is released or collected, and nothing that was counted by `use` is left.
 */
export class Owner implements Hold {
  kind: Kind = uncounted;
  address: Integer = 0;
  ending: Ending;
  /** What this needs, kept until after its own end. */
  kept: readonly Hold[] = nothing;
  /** Views that die with the next call that gets the object. */
  views: Hold[] | undefined;
  /** Of views that keep the object: each ends its hold if the view has ended, and tells that. */
  #viewers: (() => boolean)[] | undefined;
  #users = 0;
  #open = false;
  /** Once released: to be used again at the end. While open it must not be reached from here. */
  #token: Token | undefined;
  #place: Place | undefined;
  /** The native destructor of now or before, and how it is called. */
  #lastNative: NativeDestructor | undefined;
  #run: ((address: Integer) => void) | undefined;

  get open(): boolean {
    return this.#open;
  }

  begin(kind: Kind, address: Integer, ending: Ending, kept: readonly Hold[]): void {
    if (ending instanceof NativeDestructor) {
      if (ending !== this.#lastNative) this.#prepare(ending);
      this.#place?.set(address);
    }
    kind.live++;
    this.kind = kind;
    this.address = address;
    this.ending = ending;
    this.kept = kept;
    this.#open = true;
  }

  /** One more thing that needs the object. To be ended by `release`. */
  use(): this {
    this.#users++;
    return this;
  }

  release(): void {
    this.#users--;
    if (this.#users === 0 && !this.#open) this.#end();
  }

  /** The handle is gone. Its token, if it still exists, serves again. */
  close(token: Token | undefined): void {
    if (!this.#open) return;
    if (this.views !== undefined) this.endViews(); // while this is open: their holds must not end it
    this.#forgetEndedViews();
    this.#open = false;
    this.#token = token;
    if (this.#users === 0) this.#end();
  }

  /** Keeps more, until the object's end. */
  keepToo(holds: readonly Hold[]): void {
    this.kept = [...this.kept, ...holds];
  }

  /** Ends the views that were promised only until the next use of the object. */
  endViews(): void {
    const { views } = this;
    this.views = undefined;
    for (const view of views ?? []) view.release();
  }

  addView(view: Hold): void {
    this.views = [...(this.views ?? []), view];
  }

  addViewer(endIfEnded: () => boolean): void {
    if (this.#viewers !== undefined && this.#viewers.length % 64 === 63) this.#forgetEndedViews(); // or they would pile up
    this.#viewers = [...(this.#viewers ?? []), endIfEnded];
  }

  #forgetEndedViews(): void {
    if (this.#viewers !== undefined) this.#viewers = this.#viewers.filter((endIfEnded) => !endIfEnded());
  }

  #prepare(destructor: NativeDestructor): void {
    this.#place ??= placeOf();
    this.#place?.choose(destructor);
    this.#run = callerOf(destructor);
    this.#lastNative = destructor;
  }

  #end(): void {
    const { address, ending, kept } = this;
    this.#place?.clear();
    this.kind.live--;
    this.kept = nothing;
    this.#viewers = undefined;
    const token = this.#token;
    this.#token = undefined;
    try {
      if (ending instanceof NativeDestructor) this.#run?.(address);
      else if (ending !== undefined) giveBackTo(ending, BigInt(address), 0);
    } finally {
      for (const hold of kept) hold.release();
      if (token !== undefined && idle.length < mostIdle) idle.push(token);
    }
  }
}

/** What the collector watches. A handle holds one; released ones serve again, since registering costs more than all else. */
export class Token {
  readonly owner: Owner = new Owner();

  constructor() {
    registry.register(this, this.owner);
  }
}

const registry = new FinalizationRegistry<Owner>((owner) => owner.close(undefined));
const idle: Token[] = [];
const mostIdle = 1024;

/** A token whose owner has begun. @throws {CSliceError} `ERR_CSLICE_NOMEM`, and nothing has begun then */
export function own(kind: Kind, address: Integer, ending: Ending, kept: readonly Hold[]): Token {
  const token = idle.pop() ?? new Token();
  token.owner.begin(kind, address, ending, kept);
  return token;
}

/** The same for what is no object of C. */
export function ownQuietly(address: Integer, ending: Ending, kept: readonly Hold[]): Token {
  return own(uncounted, address, ending, kept);
}

/** What a handle, a view or a callback may keep. */
export type Keepable = Handle | Slice | ArrayBuffer | SharedArrayBuffer | ArrayBufferView | Tied;

/** Has an owner, and is kept by it. */
export abstract class Tied implements Disposable {
  /** The owner of what is live. @throws {CSliceError} `ERR_CSLICE_RELEASED` */
  abstract owner(): Owner;
  abstract release(): void;
  [Symbol.dispose](): void {
    this.release();
  }
}

/** Keeps `value` until the release of what this returns. @throws {CSliceError} for what is released or cannot be kept */
export function keep(name: string, value: unknown): Hold {
  if (value instanceof Handle) return ownerOf(value).use();
  if (value instanceof Slice) return value.lease();
  if (value instanceof Tied) return value.owner().use();
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return pin(value as ArrayBuffer);
  throw typeError(`${name} must be a handle, a slice, a callback or a buffer to be kept, got ${show(value)}`);
}

/** Keeps all, or none. */
export function keepAll(name: string, values: readonly unknown[]): readonly Hold[] {
  if (values.length === 0) return nothing;
  const kept: Hold[] = [];
  try {
    for (const value of values) kept.push(keep(name, value));
  } catch (error) {
    for (const hold of kept) hold.release();
    throw error;
  }
  return kept;
}

/** For the modules beside this one. */
export let ownerOf: (handle: Handle) => Owner;
/** Undefined for a released one. */
export let ownerOrNone: (handle: Handle) => Owner | undefined;
let makeHandle: (name: string, token: Token) => Handle;

export interface HandleOptions {
  /** What the object needs: it lives until the object's destructor has run. */
  keeps?: readonly Keepable[];
}

/**
 * An object of a C library that JavaScript owns: a database, a context, a document.
 *
 * The destructor runs once: at the release, at the end of a `using` scope, or after a collection; in every case after
 * everything that keeps the handle has gone, and in the thread that made it. Any use after the release throws a
 * {@link CSliceError} with the code `ERR_CSLICE_RELEASED`.
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
   *   the object goes with what it keeps
   * @example
   * using zip = Handle.adopt('zip_t', openFromElsewhere(), destructor(lib, 'zip_close'));
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
    const kept = options === undefined ? nothing : keepAll('keeps', keepsOf(options));
    return Handle.#own(name, integer, destructor ?? undefined, kept);
  }

  static #own<Name extends string>(name: Name, address: Integer, ending: Ending, kept: readonly Hold[]): Handle<Name> {
    try {
      return new Handle(name, own(kindOf(name), address, ending, kept));
    } catch (error) {
      for (const hold of kept) hold.release();
      throw error;
    }
  }

  static {
    ownerOf = (handle) => handle.#live().owner;
    ownerOrNone = (handle) => handle.#token?.owner;
    makeHandle = (name, token) => new Handle(name, token);
    Object.defineProperty(Handle.prototype, inspect.custom, {
      value(this: Handle) {
        return this.#describe();
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

  get released(): boolean {
    return this.#token === undefined;
  }

  /** Keeps the object while C works with it in the background: the destructor waits for the end of the lease. */
  lease(): HandleLease {
    return new HandleLease(this);
  }

  /** Lets the object go. Its destructor runs now, unless something still keeps it. Does nothing the second time. */
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
  return makeHandle(kind.name, own(kind, address, ending, kept));
}

/** A hold on an object that delays its destructor. Made by `handle.lease()`; ends by collection if it is forgotten. */
export class HandleLease implements Disposable {
  #token: Token | undefined;

  constructor(handle: Handle) {
    if (!(handle instanceof Handle)) throw typeError('A HandleLease is made by handle.lease()');
    const owner = ownerOf(handle);
    this.#token = own(uncounted, owner.address, undefined, [owner.use()]);
  }

  /** Where the object is, for as long as the lease lasts. @throws {CSliceError} `ERR_CSLICE_RELEASED` */
  get address(): bigint {
    if (this.#token === undefined) throw new CSliceError('ERR_CSLICE_RELEASED', 'This lease has ended');
    return BigInt(this.#token.owner.address);
  }

  get released(): boolean {
    return this.#token === undefined;
  }

  /** Ends the lease. Does nothing the second time. */
  release(): void {
    const token = this.#token;
    this.#token = undefined;
    token?.owner.close(token);
  }

  [Symbol.dispose](): void {
    this.release();
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
  if (typeof options !== 'object' || options === null)
    throw typeError(`options must be an object, got ${show(options)}`);
  for (const key of Object.keys(options)) {
    if (key !== 'keeps') throw rangeError(`options has no ${show(key)}: it has keeps`);
  }
  const { keeps } = options;
  if (keeps === undefined) return nothing;
  if (!Array.isArray(keeps)) throw typeError(`keeps must be an array, got ${show(keeps)}`);
  return Array.from(keeps);
}
