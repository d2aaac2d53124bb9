import { styleText } from 'node:util';
import Table from 'cli-table3';
import { formatRatio, formatSpread } from './format.ts';
import type { Machine } from './machine.ts';
import type { Result } from './rounds.ts';
import { ratioOf, spreadOf } from './statistics.ts';
import { subjectOf, valuesOf, verdictsOf } from './verdict.ts';

const color = process.stdout.isTTY === true;
const paint = (style: 'bold' | 'dim' | 'green' | 'red', text: string): string =>
  color ? styleText(style, text) : text;

export function printHeader({ cpu, system, memory, load, date, commit, versions }: Machine): void {
  console.log(`${date} UTC, ${cpu}, ${memory}, ${system}, load ${load}`);
  console.log(
    `commit ${commit}; ${Object.entries(versions)
      .map((entry) => entry.join(' '))
      .join(', ')}\n`,
  );
}

function barCell(reached: boolean, bar: string): string {
  return reached ? paint('green', `${bar} pass`) : paint('red', `${bar} MISS`);
}

/** Every program of a comparison with the subject's ratio against it, and the bar where there is one. */
export function printResult(result: Result): void {
  const { comparison, outcomes } = result;
  const verdicts = new Map(verdictsOf(result).map((verdict) => [verdict.bar.against, verdict]));
  const subject = valuesOf(subjectOf(result));
  const table = new Table({
    head: [comparison.title, `median (min–max), ${comparison.unit}`, 'ratio to it (min–max)', 'bar'],
    style: color ? { head: ['bold'], border: ['dim'] } : { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'left'],
  });
  comparison.programs.forEach(({ name }, index) => {
    const outcome = outcomes.get(name);
    const values = valuesOf(outcome);
    if (values === undefined) {
      const reason = outcome !== undefined && 'skipped' in outcome ? outcome.skipped : '';
      table.push([name, { colSpan: 3, content: paint('dim', `skipped: ${reason}`) }]);
      return;
    }
    const verdict = verdicts.get(name);
    table.push([
      index === 0 ? paint('bold', name) : name,
      formatSpread(spreadOf(values)),
      index === 0 || subject === undefined ? '' : formatRatio(ratioOf(subject, values)),
      verdict?.reached === undefined ? '' : barCell(verdict.reached, describeBar(verdict.bar)),
    ]);
  });
  console.log(table.toString());
}

export function describeBar({ atMost, atLeast }: { atMost: number; atLeast?: number }): string {
  return atLeast === undefined ? `≤ ${atMost}` : `${atLeast} to ${atMost}`;
}
