/** The generated part of docs/benchmarks.md; what stands around it is written by hand. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { formatBar, formatOutcome, formatRatio, formatReading, formatSpread, formatWork } from './format.ts';
import type { Machine } from './machine.ts';
import { document } from './paths.ts';
import type { Result } from './rounds.ts';
import { ratioOf, spreadOf } from './statistics.ts';
import { subjectOf, valuesOf, verdictsOf } from './verdict.ts';

const start = '<!-- results: from here to the end mark, `npm run bench -- --charts` writes this -->';
const end = '<!-- results: end -->';
const template = `# Benchmarks\n\n${start}\n${end}\n`;

function tableOf(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function machineSection({ cpu, memory, system, load, date, commit, versions }: Machine): string {
  const rows = Object.entries({ date: `${date} UTC`, processor: cpu, memory, system, load, commit, ...versions });
  return tableOf(['', ''], rows);
}

function barsSection(results: readonly Result[]): string {
  const rows = results.flatMap((result) =>
    verdictsOf(result).map((verdict) => [
      `[${result.comparison.title}](#${result.comparison.id})`,
      formatWork(verdict),
      formatReading(verdict),
      formatBar(verdict, result.comparison.unit),
      formatOutcome(verdict),
    ]),
  );
  return tableOf(['work', 'ratio of', 'median (min–max)', 'bar', ''], rows);
}

function resultSection(result: Result): string {
  const { comparison, outcomes } = result;
  const subject = subjectOf(result);
  const subjectValues = valuesOf(outcomes.get(subject));
  const rows = comparison.programs.map(({ name }) => {
    const outcome = outcomes.get(name);
    const values = valuesOf(outcome);
    if (values === undefined) return [name, outcome !== undefined && 'skipped' in outcome ? outcome.skipped : '', ''];
    const ratio = name === subject || subjectValues === undefined ? '' : formatRatio(ratioOf(subjectValues, values));
    return [name, formatSpread(spreadOf(values)), ratio];
  });
  return [
    `<a id="${comparison.id}"></a>\n\n### ${comparison.title}`,
    `![${comparison.title}](benchmarks/${comparison.id}.svg)`,
    tableOf(['', `median (min–max), ${comparison.unit}`, `${subject} ÷ this`], rows),
  ].join('\n\n');
}

export function writeDocument(results: readonly Result[], machine: Machine): void {
  const sections = ['## Results', machineSection(machine), barsSection(results), ...results.map(resultSection)].join(
    '\n\n',
  );
  const text = existsSync(document) ? readFileSync(document, 'utf8') : template;
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${document} lacks the marks around its results`);
  writeFileSync(document, `${text.slice(0, from + start.length)}\n\n${sections}\n\n${text.slice(to)}`);
}
