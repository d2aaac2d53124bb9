/** `npm run bench`: see --help. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { comparisons } from './comparisons/index.ts';
import { build } from './runner/build.ts';
import { drawCharts } from './runner/charts.ts';
import { writeDocument } from './runner/document.ts';
import { describeMachine } from './runner/machine.ts';
import { output } from './runner/paths.ts';
import { progressOf } from './runner/progress.ts';
import { type Result, runRounds } from './runner/rounds.ts';
import { printResult, printSummary } from './runner/table.ts';
import { verdictsOf } from './runner/verdict.ts';

const help = `npm run bench -- [options]

  --only <pattern>   comparisons whose id or title matches the regular expression
  --rounds <n>       how often each program runs, in turn with its peers (default 7)
  --quick            3 rounds of 100 ms: for trying out
  --json <file>      where the results go (default build/bench/results.json)
  --charts           renew docs/benchmarks/*.svg and the results in docs/benchmarks.md
  --no-build         measure the package as the last run built it
  --list             name the comparisons and end
`;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string', default: join(output, 'results.json') },
    charts: { type: 'boolean', default: false },
    build: { type: 'boolean', default: true },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
  allowNegative: true,
});

function settings(): { rounds: number; milliseconds: number } {
  const rounds = Number(options.rounds ?? (options.quick ? 3 : 7));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds must be an integer from 1, got ${rounds}`);
  return { rounds, milliseconds: options.quick ? 100 : 500 };
}

async function main(): Promise<void> {
  const pattern = new RegExp(options.only, 'i');
  const chosen = comparisons.filter(({ id, title }) => pattern.test(id) || pattern.test(title));
  if (options.list) {
    for (const { id, title } of chosen) console.log(`${id.padEnd(12)} ${title}`);
    return;
  }
  build(options.build);
  const [started, load] = [new Date(), loadavg()[0] as number];
  const progress = progressOf(chosen.length);
  const results: Result[] = [];
  const { milliseconds, rounds: ordinary } = settings();
  for (const comparison of chosen) {
    const rounds = ordinary * (comparison.thoroughness ?? 1);
    const step = progress.step.bind(undefined, comparison.id);
    const result = await runRounds(comparison, { rounds, milliseconds }, (round, program) =>
      step(round, rounds, program),
    );
    progress.done();
    results.push(result);
    printResult(result);
  }
  const machine = describeMachine(started, load);
  printSummary(results, machine);
  mkdirSync(dirname(options.json), { recursive: true });
  if (options.charts) {
    await drawCharts(results);
    writeDocument(results, machine);
  }
  writeFileSync(options.json, `${JSON.stringify({ machine, results: results.map(plain) }, undefined, 2)}\n`);
}

function plain(result: Result): object {
  const { comparison, outcomes } = result;
  return { ...comparison, outcomes: Object.fromEntries(outcomes), verdicts: verdictsOf(result) };
}

if (options.help) console.log(help);
else await main();
