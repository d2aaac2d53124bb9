/** Which cells there are. */
import type { Cell } from './cell.ts';
import type { Consumer } from './consumer.ts';
import { consumers } from './consumers.ts';
import { type Event, type Source, sources } from './sources.ts';

export const sizes: readonly number[] = [100, 65_536, 1 << 20, 8 << 20];

/** A cell by its names, as it is sent to another process. */
export interface CellName {
  readonly consumer: string;
  readonly source: string;
  readonly event: Event;
  readonly size: number;
  readonly seed: number;
}

export interface Choice {
  readonly consumers?: RegExp;
  readonly sources?: RegExp;
  readonly events?: RegExp;
  readonly sizes?: readonly number[];
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

export function cells(choice: Choice = {}): CellName[] {
  const chosen: CellName[] = [];
  const wants = (pattern: RegExp | undefined, name: string): boolean => pattern?.test(name) ?? true;
  for (const consumer of consumers) {
    if (!wants(choice.consumers, consumer.name)) continue;
    for (const source of sources.filter(({ name }) => wants(choice.sources, name))) {
      for (const event of source.events.filter((name) => wants(choice.events, name))) {
        for (const size of choice.sizes ?? sizes) {
          if (!applies(consumer, source, event, size)) continue;
          chosen.push({ consumer: consumer.name, source: source.name, event, size, seed: chosen.length + 1 });
        }
      }
    }
  }
  return chosen;
}

function named<T extends { readonly name: string }>(list: readonly T[], name: string): T {
  const found = list.find((entry) => entry.name === name);
  if (found === undefined) throw new Error(`There is no ${name}`);
  return found;
}

export function cellOf({ consumer, source, event, size, seed }: CellName): Cell {
  return { consumer: named(consumers, consumer), source: named(sources, source), event, size, seed };
}
