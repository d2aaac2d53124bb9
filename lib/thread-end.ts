/**
 * Objects whose thread is terminated. JavaScript does not run then, so C must know which native destructors are due, and
 * a call into C for each handle would double what a handle costs. So JavaScript writes them into tables of C's, which C
 * reads when the thread ends: csrc/handles.c.
 */
import type { NativeDestructor } from './core/destructor.ts';
import { CSliceError } from './errors.ts';
import { handlesTable, type Integer } from './native/symbols.ts';
import { Slice } from './slice.ts';

/** Of an entry of csrc/handles.c, in doubles: address (0: none), order, function, signature, context. */
const width = 5;
const placesInTable = 256;

let table: Float64Array | undefined;
let nextPlace = placesInTable;
let order = 0;
/** They live as long as the thread. */
const tables: Slice[] = [];

/** One entry, for any number of objects one after the other. */
export class Place {
  readonly #table: Float64Array;
  readonly #at: number;

  constructor(table: Float64Array, at: number) {
    this.#table = table;
    this.#at = at;
  }

  /** For all objects from here on. */
  choose(destructor: NativeDestructor): void {
    const { fn, signature, context } = destructor.fields;
    this.#table[this.#at + 2] = Number(fn);
    this.#table[this.#at + 3] = signature;
    this.#table[this.#at + 4] = Number(context);
  }

  set(address: Integer): void {
    this.#table[this.#at + 1] = ++order; // what is newer may need what is older, and ends first
    this.#table[this.#at] = Number(address); // last, since the thread may end in between
  }

  clear(): void {
    this.#table[this.#at] = 0;
  }
}

/** @throws {CSliceError} `ERR_CSLICE_NOMEM`. Undefined where the runtime forbids views: only scopes and collections end handles there */
export function placeOf(): Place | undefined {
  if (nextPlace === placesInTable) {
    table = makeTable();
    nextPlace = 0;
  }
  return table === undefined ? undefined : new Place(table, width * nextPlace++);
}

function makeTable(): Float64Array | undefined {
  const address = handlesTable(placesInTable);
  if (address < 0) throw new CSliceError('ERR_CSLICE_NOMEM', 'Memory is exhausted: a table of handles');
  const memory = Slice.borrow(BigInt(address), width * placesInTable * Float64Array.BYTES_PER_ELEMENT);
  tables.push(memory);
  try {
    return memory.view(Float64Array);
  } catch {
    return undefined;
  }
}
