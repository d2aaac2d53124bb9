/**
 * Objects of C libraries: what is known of each for as long as C has it. An object has no bytes for JavaScript, and it may
 * need other objects, which then outlive it.
 */
import type { Integer } from '../native/host.ts';
import { noteHandle, noteHandleClosed, noteHandleEnd, type Recorded, recording } from '../record/record.ts';
import {
  type Destructor,
  endingOf,
  endLast,
  endLater,
  fieldsOf,
  giveBackTo,
  isNative,
  putOff,
  runDestructors,
} from './destructor.ts';
import {
  asDouble,
  atAddress,
  atContext,
  atFunction,
  atOrder,
  atSignature,
  type Entry,
  giveEntryBack,
  isBlock,
  noEntry,
  takeEntry,
} from './end-table.ts';

/** What ends by `release()`: a lease, a pin, a use of an object. */
export interface Hold {
  release(): void;
  /** Makes it no newer than `limit`. Returns what it keeps, which must be older, if that may not be so any more. */
  precede?(limit: number): readonly Hold[];
}

export const noHolds: readonly Hold[] = [];

/** Destructors that become due by this run at the end of the public call. */
export function releaseAll(holds: readonly Hold[]): void {
  if (holds.length === 0) return;
  putOff(() => {
    for (const hold of holds) hold.release();
  });
}

/** Objects are counted by the name of their type. */
export interface Kind {
  readonly name: string;
  live: number;
}

/** Of leases, views and callbacks, which are no objects of C. */
export const uncounted: Kind = { name: '', live: 0 };

const kinds = new Map<string, Kind>();
let lastKind: Kind = uncounted;

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

/** What is newer may need what is older, and ends first. */
let order = 0;

/** Keeps memory for objects: at the end of the thread C holds the block until they have ended. */
export class KeptMemory implements Hold {
  readonly #hold: Hold;
  readonly #entry: Entry;

  /** @throws {CSliceError} `ERR_CSLICE_NOMEM`, and the hold is still the caller's */
  constructor(hold: Hold, block: number) {
    this.#hold = hold;
    this.#entry = block === 0 ? noEntry : takeEntry();
    const { cells, at } = this.#entry;
    cells[at + atSignature] = isBlock;
    cells[at + atOrder] = ++order;
    cells[at + atAddress] = block; // last, since the thread may end in between
  }

  precede(limit: number): readonly Hold[] {
    const { cells, at } = this.#entry;
    cells[at + atOrder] = Math.min(cells[at + atOrder] as number, limit);
    return noHolds;
  }

  release(): void {
    const { cells, at } = this.#entry;
    cells[at + atAddress] = 0;
    giveEntryBack(this.#entry);
    this.#hold.release();
  }
}

/** The next smaller order, or about. */
function below(limit: number): number {
  return limit - limit * Number.EPSILON;
}

/** What is kept, more and more of it. */
export class Keepsakes {
  readonly holds: Hold[];
  readonly #objects = new WeakSet<object>();

  constructor(holds: readonly Hold[]) {
    this.holds = [...holds];
  }

  /** One hold of an object is enough: further ones end. */
  add(holds: readonly Hold[], objects: readonly object[]): void {
    for (const [i, hold] of holds.entries()) {
      const object = objects[i] as object;
      if (this.#objects.has(object)) hold.release();
      else {
        this.holds.push(hold);
        this.#objects.add(object);
      }
    }
  }
}

/** What an {@link Owner} does at its end. Undefined: it only keeps other things. */
export type Ending = Destructor | undefined;

function doNothing(): void {}

/**
 * One object. Not its handle, which may be collected before: the registry holds this, and so do the owners of what needs
 * the object.
 *
 * It ends once: when its handle is released or collected, and nothing that was counted by `use` is left.
 */
export class Owner implements Hold {
  kind: Kind = uncounted;
  address: Integer = 0;
  /** What this needs, kept until after its own end. */
  kept: readonly Hold[] = noHolds;
  /** The same, once it has been told to keep more. */
  #more: Keepsakes | undefined;
  /** Views that end with the next call that gets the object. */
  views: Hold[] | undefined;
  /** Of views that keep the object: each ends its hold if the view has ended, and tells that. */
  #viewers: (() => boolean)[] | undefined;
  #users = 0;
  #open = false;
  /** Once released: to be used again at the end. While open it must not be reached from here. */
  #token: Token | undefined;
  /** Of now, or the native one from before. */
  #ending: Ending;
  #run: (address: Integer) => void = doNothing;
  #entry = noEntry;
  #order = 0;
  #recorded: Recorded | undefined;

  begin(kind: Kind, address: Integer, ending: Ending, kept: readonly Hold[]): void {
    // First what may fail, at the end of the stack: nothing has begun then.
    if (ending !== this.#ending) this.#choose(ending);
    if (recording && kind !== uncounted) this.#recorded = noteHandle(kind.name, address);
    const inTable = asDouble(address);
    kind.live++;
    this.kind = kind;
    this.address = address;
    this.kept = kept;
    this.#open = true;
    this.#order = ++order;
    const { cells, at } = this.#entry;
    cells[at + atOrder] = this.#order;
    cells[at + atAddress] = inTable; // last, since the thread may end in between
  }

  #choose(ending: Ending): void {
    if (ending !== undefined && isNative(ending)) {
      if (this.#entry === noEntry) this.#entry = takeEntry();
      this.#run = endingOf(ending);
    } else this.#run = ending === undefined ? doNothing : (address) => this.#giveBack(ending, address);
    const { fn, signature, context } = isNative(ending) ? fieldsOf(ending) : { fn: 0, signature: 0, context: 0 };
    const isExact = typeof fn === 'number' && typeof context === 'number';
    const { cells, at } = this.#entry;
    cells[at + atFunction] = isExact ? fn : 0;
    cells[at + atSignature] = signature;
    cells[at + atContext] = isExact ? context : 0;
    this.#ending = ending;
  }

  #giveBack(ending: Destructor, address: Integer): void {
    giveBackTo(ending, BigInt(address), 0, this.kind === uncounted ? undefined : this.kind.name);
  }

  /** One more thing that needs the object. To be ended by `release`. */
  use(): this {
    this.#users++;
    return this;
  }

  release(): void {
    this.#users--;
    if (this.#users === 0 && !this.#open) endLater(this);
  }

  /** Returns whether nothing is left that needs the object. */
  #close(token: Token | undefined): boolean {
    if (!this.#open) return false;
    if (this.views !== undefined) this.endViews(); // while this is open: their holds must not end it
    if (this.#viewers !== undefined) this.#forgetEndedViews();
    this.#open = false;
    this.#token = token;
    if (this.#recorded !== undefined) noteHandleClosed(this.#recorded, token !== undefined);
    return this.#users === 0;
  }

  /** The handle was released or collected. A `token` that still exists is reused. The last step of a public call. */
  close(token: Token | undefined): void {
    if (this.#close(token)) endLast(this);
    else runDestructors();
  }

  /** The same where a public call has more to do. */
  closeLater(): void {
    if (this.#close(undefined)) endLater(this);
  }

  /** Runs the destructor. */
  end(): void {
    const { cells, at } = this.#entry;
    cells[at + atAddress] = 0;
    this.kind.live--;
    if (this.#recorded !== undefined) this.#noteEnd(this.#recorded);
    this.#run(this.address);
    if (this.kept !== noHolds) this.#letGo();
    if (typeof this.#ending === 'function') this.#choose(undefined);
    const token = this.#token;
    this.#token = undefined;
    this.#viewers = undefined;
    if (token !== undefined && idle.length < mostIdle) idle.push(token);
    else {
      giveEntryBack(this.#entry);
      this.#entry = noEntry;
    }
  }

  #noteEnd(recorded: Recorded): void {
    this.#recorded = undefined;
    noteHandleEnd(recorded, recorded.letGo ? 'scope' : 'collection');
  }

  precede(limit: number): readonly Hold[] {
    if (this.#order <= limit) return noHolds;
    this.#order = limit;
    const { cells, at } = this.#entry;
    cells[at + atOrder] = limit;
    return this.kept;
  }

  #letGo(): void {
    const { kept } = this;
    this.kept = noHolds;
    this.#more = undefined;
    releaseAll(kept);
  }

  /** Ends without letting go what it keeps, which is the caller's again. */
  forsake(): void {
    this.kept = noHolds;
    this.#more = undefined;
    this.closeLater();
  }

  /** Keeps more, until the object's end: each hold is of the object at its place. */
  keepToo(holds: readonly Hold[], objects: readonly object[]): void {
    if (holds.length === 0) return;
    this.#putBefore(holds);
    this.#more ??= new Keepsakes(this.kept);
    this.kept = this.#more.holds;
    this.#more.add(holds, objects);
  }

  /** What is kept may be newer than this, and must end after it all the same. */
  #putBefore(holds: readonly Hold[]): void {
    const path = new Set<Hold>([this]);
    const stack = [{ hold: this as Hold, holds, at: 0, limit: below(this.#order) }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const hold = top.holds[top.at++];
      if (hold === undefined) {
        path.delete(top.hold);
        stack.pop();
      } else if (!path.has(hold)) {
        const kept = hold.precede?.(top.limit) ?? noHolds;
        path.add(hold);
        stack.push({ hold, holds: kept, at: 0, limit: below(top.limit) });
      }
    }
  }

  /** Ends the views that were promised only until the next use of the object. */
  endViews(): void {
    const { views } = this;
    this.views = undefined;
    if (views !== undefined) releaseAll(views);
  }

  addView(view: Hold): void {
    this.views = [...(this.views ?? []), view];
  }

  addViewer(endIfEnded: () => boolean): void {
    if (this.#viewers !== undefined && this.#viewers.length % 64 === 63) this.#forgetEndedViews(); // or they would pile up
    this.#viewers = [...(this.#viewers ?? []), endIfEnded];
  }

  #forgetEndedViews(): void {
    this.#viewers = this.#viewers?.filter((endIfEnded) => !endIfEnded());
  }
}

/** Registered for finalization and held by a handle. Released ones are reused, since registering costs the most. */
export class Token {
  readonly #owner = new Owner();

  constructor() {
    registry.register(this, this.#owner);
  }

  get owner(): Owner {
    return this.#owner;
  }
}

const registry = new FinalizationRegistry<Owner>((owner) => {
  owner.close(undefined);
});
const idle: Token[] = [];
const mostIdle = 1024;

/** A token whose owner has not begun. */
export function takeToken(): Token {
  return idle.pop() ?? new Token();
}

/** A token whose owner has begun. @throws {CSliceError} `ERR_CSLICE_NOMEM`, and nothing has begun then */
export function own(kind: Kind, address: Integer, ending: Ending, kept: readonly Hold[]): Token {
  const token = takeToken();
  token.owner.begin(kind, address, ending, kept);
  return token;
}
