/** One SVG a comparison. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { charts } from './paths.ts';
import type { Result } from './rounds.ts';
import { spreadOf } from './statistics.ts';
import { draw } from './vega.ts';
import { subjectOf, valuesOf } from './verdict.ts';

const subjectColor = '#2f6fde';
const peerColor = '#b8c0cc';
const ink = '#1f2328';

/** Above this ratio of the longest bar to the shortest, a linear scale would hide the short ones. */
const widestLinear = 30;

function rowsOf(result: Result): { name: string; median: number; min: number; max: number; subject: boolean }[] {
  const subject = subjectOf(result);
  return result.comparison.programs.flatMap(({ name }) => {
    const values = valuesOf(result.outcomes.get(name));
    // Every run of the subject is ours, also on another runtime.
    return values === undefined
      ? []
      : [{ name, ...spreadOf(values), subject: /cslice/.test(name) || name === subject }];
  });
}

function specOf(result: Result): object {
  const rows = rowsOf(result);
  const medians = rows.map(({ median }) => median);
  const log = Math.max(...medians) > widestLinear * Math.min(...medians);
  const floor = log ? 10 ** Math.floor(Math.log10(Math.min(...rows.map(({ min }) => min)) / 1.5)) : 0;
  const { title, unit } = result.comparison;
  const scale = log ? { type: 'log', domainMin: floor } : { zero: true };
  const y = { field: 'name', type: 'nominal', sort: null, title: null, axis: { labelLimit: 320 } };
  return {
    data: { values: rows.map((row) => ({ ...row, floor })) },
    title: {
      text: title,
      anchor: 'start',
      subtitle: log ? `${unit}, logarithmic; less is better` : `${unit}; less is better`,
    },
    width: 480,
    height: { step: 22 },
    background: 'white',
    config: { font: 'system-ui, sans-serif', view: { stroke: null }, axis: { domain: false, gridColor: '#e6e8eb' } },
    layer: [
      {
        mark: { type: 'bar', height: 14 },
        encoding: {
          y,
          x: { field: 'floor', type: 'quantitative', scale, title: null },
          x2: { field: 'median' },
          color: { condition: { test: 'datum.subject', value: subjectColor }, value: peerColor },
        },
      },
      {
        mark: { type: 'rule', color: ink },
        encoding: { y, x: { field: 'min', type: 'quantitative' }, x2: { field: 'max' } },
      },
    ],
  };
}

/** Writes the chart of every comparison that ran. */
export async function drawCharts(results: readonly Result[]): Promise<void> {
  mkdirSync(charts, { recursive: true });
  for (const result of results) {
    writeFileSync(join(charts, `${result.comparison.id}.svg`), `${await draw(specOf(result))}\n`);
  }
}
