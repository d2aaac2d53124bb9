/**
 * The table that C reads when this thread has ended. JavaScript does not run when its thread is terminated, so objects with
 * a native destructor are written into C's memory; a call for each would double what it costs. See csrc/handles.c.
 */
import { types } from 'node:util';
import { CSliceError } from '../errors.ts';
import { host, type Integer } from '../native/host.ts';
import { handlesTable } from '../native/symbols.ts';

/** The doubles of an entry, as indices. */
export const atAddress = 0;
export const atOrder = 1;
export const atFunction = 2;
export const atSignature = 3;
export const atContext = 4;
const width = 5;

/** In place of a signature: the address is that of a block that an object needs. */
export const isBlock = 3;

const entriesInTable = 256;

/** A place in a table. */
export interface Entry {
  readonly cells: Float64Array;
  readonly at: number;
}

/** For what is in no table. */
export const noEntry: Entry = { cells: new Float64Array(width), at: 0 };

let table = noEntry.cells;
let nextEntry = entriesInTable;
const spareEntries: Entry[] = [];

/** @throws {CSliceError} `ERR_CSLICE_NOMEM` */
function openTable(): void {
  const address = handlesTable(entriesInTable);
  const byteLength = width * entriesInTable * Float64Array.BYTES_PER_ELEMENT;
  const memory = address < 0 ? undefined : host.borrow(address, byteLength);
  if (memory === undefined) throw new CSliceError('ERR_CSLICE_NOMEM', 'Memory is exhausted: a table of handles');
  if (types.isArrayBuffer(memory)) table = new Float64Array(memory); // else only scopes and collections end handles
  nextEntry = 0;
}

export function takeEntry(): Entry {
  const spare = spareEntries.pop();
  if (spare !== undefined) return spare;
  if (nextEntry === entriesInTable) openTable();
  return table === noEntry.cells ? noEntry : { cells: table, at: width * nextEntry++ };
}

export function giveEntryBack(entry: Entry): void {
  if (entry !== noEntry) spareEntries.push(entry);
}

/** As C reads it. 0 for what is not exact: C passes that over. */
export function asDouble(integer: Integer): number {
  return typeof integer === 'number' ? integer : 0;
}
