import Table from 'cli-table3';
import type { Machine } from './machine.ts';
import { paint } from './paint.ts';
import type { Result } from './rounds.ts';
import { barRowsOf, headOf, rowsOf } from './rows.ts';
import type { Verdict } from './verdict.ts';

function tableOf(head: string[]): Table.Table {
  return new Table({
    head: head.map((text) => paint('bold', text)),
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, column) => (column === 0 ? 'left' : 'right')),
  });
}

function paintOutcome({ reached }: Verdict, text: string): string {
  if (reached === undefined) return paint('dim', text);
  return paint(reached ? 'green' : 'red', text);
}

/** Every program of a comparison, and how the subject compares with it. */
export function printResult(result: Result): void {
  const table = tableOf([result.comparison.title, ...headOf(result)]);
  for (const { name, subject, skipped, cells } of rowsOf(result)) {
    if (skipped === undefined) table.push([subject ? paint('bold', name) : name, ...cells]);
    else table.push([name, { colSpan: 4, content: paint('dim', `skipped: ${skipped}`), hAlign: 'left' }]);
  }
  console.log(table.toString());
  for (const { verdict, work, reading, bar, outcome } of barRowsOf(result)) {
    console.log(`  ${work}: ${reading}, bar ${bar}: ${paintOutcome(verdict, outcome)}`);
  }
  console.log();
}

/** All bars, and where and when they were tried. */
export function printSummary(results: readonly Result[], machine: Machine): void {
  const table = tableOf(['bars', 'ratio (min–max)', 'of processor time', 'bar', '']);
  for (const result of results) {
    for (const { verdict, work, reading, processor, bar, outcome } of barRowsOf(result)) {
      const name = `${result.comparison.id}: ${work}`;
      table.push([name, reading, processor, bar, paintOutcome(verdict, outcome)]);
    }
  }
  console.log(table.toString());
  const { cpu, system, memory, load, date, commit, versions } = machine;
  console.log(`${date} UTC, ${cpu}, ${memory}, ${system}, load ${load}, commit ${commit}`);
  const parts = Object.entries(versions).map((entry) => entry.join(' '));
  console.log(parts.join('; '));
  if (machine.busy) console.log('The machine was busy with other things: trust the ratios of processor time.');
}
