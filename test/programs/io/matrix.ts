/** Which cells there are. */
import type { Cell } from './cell.ts';
import type { Consumer } from './consumer.ts';
import { type Group, groups } from './consumers.ts';
import { type Event, type Source, sources } from './sources.ts';

export const sizes: readonly number[] = [100, 65_536, 1 << 20, 8 << 20];

/** A cell by its names, as it is sent to another process. */
export interface CellName {
  readonly group: Group;
  readonly consumer: string;
  readonly source: string;
  readonly event: Event;
  readonly size: number;
  readonly seed: number;
}

/** Sources that go with every size and event. The others share their mechanism, and go with the telling ones. */
const main = /^slice\./;
const telling: readonly Event[] = ['released at once', 'returned and rented again'];

function applies(consumer: Consumer, source: Source, event: Event, size: number): boolean {
  const { smallest = 0, largest = Infinity } = consumer;
  if (source.writes && consumer.stream === undefined) return false;
  if (size < smallest || size > largest) return false;
  if (source.name === 'a Buffer') return event === 'dropped' ? size === 1 << 20 : size < 1 << 20;
  if (event === 'thread ended') return size === Math.min(largest, 65_536);
  if (main.test(source.name)) return true;
  return size === Math.min(largest, 1 << 20) || (size === 65_536 && telling.includes(event));
}

/** Every cell, group by group. */
export async function cells(): Promise<CellName[]> {
  const all: CellName[] = [];
  for (const [group, load] of Object.entries(groups)) {
    for (const consumer of await load()) {
      for (const source of sources) {
        for (const event of source.events) {
          for (const size of sizes.filter((size) => applies(consumer, source, event, size))) {
            const [names, seed] = [{ consumer: consumer.name, source: source.name }, all.length + 1];
            all.push({ group: group as Group, ...names, event, size, seed });
          }
        }
      }
    }
  }
  return all;
}

function named<T extends { readonly name: string }>(list: readonly T[], name: string): T {
  const found = list.find((entry) => entry.name === name);
  if (found === undefined) throw new Error(`There is no ${name}`);
  return found;
}

export async function cellOf({ group, consumer, source, event, size, seed }: CellName): Promise<Cell> {
  return { consumer: named(await groups[group](), consumer), source: named(sources, source), event, size, seed };
}
