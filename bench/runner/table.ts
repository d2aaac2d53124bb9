import Table from 'cli-table3';
import { formatBar, formatOutcome, formatRatio, formatReading, formatSpread, formatWork } from './format.ts';
import type { Machine } from './machine.ts';
import { paint } from './paint.ts';
import type { Result } from './rounds.ts';
import { ratioOf, spreadOf } from './statistics.ts';
import { subjectOf, type Verdict, valuesOf, verdictsOf } from './verdict.ts';

function tableOf(head: string[]): Table.Table {
  return new Table({
    head: head.map((text) => paint('bold', text)),
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, column) => (column === 1 || column === 2 ? 'right' : 'left')),
  });
}

function paintOutcome(verdict: Verdict): string {
  const text = formatOutcome(verdict);
  if (verdict.reached === undefined) return paint('dim', text);
  return verdict.reached ? paint('green', text) : paint('red', text);
}

/** Every program of a comparison, and how the subject compares with it. */
export function printResult(result: Result): void {
  const { comparison, outcomes } = result;
  const subject = subjectOf(result);
  const subjectValues = valuesOf(outcomes.get(subject));
  const table = tableOf([comparison.title, `median (min–max), ${comparison.unit}`, `${subject} ÷ this`]);
  for (const { name } of comparison.programs) {
    const outcome = outcomes.get(name);
    const values = valuesOf(outcome);
    if (values === undefined) {
      const reason = outcome !== undefined && 'skipped' in outcome ? outcome.skipped : '';
      table.push([name, { colSpan: 2, content: paint('dim', `skipped: ${reason}`) }]);
      continue;
    }
    const ratio = name === subject || subjectValues === undefined ? '' : formatRatio(ratioOf(subjectValues, values));
    table.push([name === subject ? paint('bold', name) : name, formatSpread(spreadOf(values)), ratio]);
  }
  console.log(table.toString());
  for (const verdict of verdictsOf(result)) {
    const bar = formatBar(verdict, comparison.unit);
    console.log(`  ${formatWork(verdict)}: ${formatReading(verdict)}, bar ${bar}: ${paintOutcome(verdict)}`);
  }
  console.log();
}

/** All bars, and where and when they were tried. */
export function printSummary(results: readonly Result[], machine: Machine): void {
  const table = tableOf(['comparison', 'ratio (min–max)', 'bar', 'outcome', 'of']);
  for (const result of results) {
    for (const verdict of verdictsOf(result)) {
      const { id, unit } = result.comparison;
      table.push([id, formatReading(verdict), formatBar(verdict, unit), paintOutcome(verdict), formatWork(verdict)]);
    }
  }
  console.log(table.toString());
  const { cpu, system, memory, load, date, commit, versions } = machine;
  console.log(`${date} UTC, ${cpu}, ${memory}, ${system}, load ${load}, commit ${commit}`);
  console.log(
    Object.entries(versions)
      .map((entry) => entry.join(' '))
      .join('; '),
  );
}
