/** The generated part of docs/benchmarks.md; what stands around it is written by hand. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Machine } from './machine.ts';
import { document } from './paths.ts';
import type { Result } from './rounds.ts';
import { barRowsOf, headOf, rowsOf } from './rows.ts';

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
    barRowsOf(result).map(({ work, reading, processor, bar, outcome }) => [
      `[${result.comparison.title}](#${result.comparison.id})`,
      work,
      reading,
      processor,
      bar,
      outcome,
    ]),
  );
  return tableOf(['work', 'ratio of', 'median (min–max)', 'of processor time', 'bar', ''], rows);
}

function resultSection(result: Result): string {
  const { id, title } = result.comparison;
  const rows = rowsOf(result).map(({ name, subject, skipped, cells }) =>
    skipped === undefined ? [subject ? `**${name}**` : name, ...cells] : [name, `skipped: ${skipped}`, '', '', ''],
  );
  return [
    `<a id="${id}"></a>\n\n### ${title}`,
    `![${title}](benchmarks/${id}.svg)`,
    tableOf(['', ...headOf(result)], rows),
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
