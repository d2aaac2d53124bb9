import { expect } from 'chai';
import { asDouble, type Entry, giveEntryBack, noEntry, takeEntry } from '../../../lib/core/end-table.ts';
import { testFailAllocation } from '../../../lib/native/symbols.ts';
import { expectError } from '../../helpers/expect-error.ts';

describe('the places in the tables that C reads at the end of a thread', () => {
  const taken: Entry[] = [];

  afterEach(() => {
    testFailAllocation(0);
    for (const entry of taken.splice(0)) giveEntryBack(entry);
  });

  const take = (): Entry => {
    const entry = takeEntry();
    taken.push(entry);
    return entry;
  };

  it('are one after the other in tables of C, and no two are the same', () => {
    for (let i = 0; i < 600; i++) take();
    const places = taken.map(({ cells, at }) => `${cells.byteOffset} ${at}`);
    const tables = new Map(taken.map(({ cells }) => [cells, cells.length]));
    expect(new Set(taken.map(({ cells, at }) => [...tables.keys()].indexOf(cells) * 10_000 + at)).size).to.equal(600);
    expect(places.length).to.equal(600);
    for (const length of tables.values()) expect(length).to.equal(5 * 256);
    for (const { cells, at } of taken) expect([at % 5, at + 5 <= cells.length]).to.deep.equal([0, true]);
  });

  it('are used again, the last that was given back first', () => {
    const entries = [take(), take()] as const;
    for (const entry of entries) giveEntryBack(entry);
    taken.length = 0;
    expect([take(), take()]).to.deep.equal([entries[1], entries[0]]);
  });

  it('are refused where C has no memory for a further table, and can be had later', () => {
    while (comesWithoutMemory());
    testFailAllocation(1);
    expectError(takeEntry, 'ERR_CSLICE_NOMEM', /^Memory is exhausted: a table of handles$/);
    testFailAllocation(0);
    const entry = take();
    expect([entry.at, entry.cells.length]).to.deep.equal([0, 5 * 256]);
  });

  /** Takes the next place, unless that needs memory of C. */
  function comesWithoutMemory(): boolean {
    testFailAllocation(1);
    try {
      taken.push(takeEntry());
      return true;
    } catch {
      return false;
    } finally {
      testFailAllocation(0);
    }
  }

  it('have none for what needs none, which takes no place when it is given back', () => {
    giveEntryBack(noEntry);
    expect(take()).not.to.equal(noEntry);
    expect(noEntry.cells.length).to.equal(5);
  });

  it('have 0 for an address that is no exact number', () => {
    expect([asDouble(4096), asDouble(2n ** 63n)]).to.deep.equal([4096, 0]);
  });
});
