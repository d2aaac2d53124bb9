// Line and branch coverage of lib and csrc by the C tests, the unit tests and those of the behaviour: `npm run coverage`.
// V8 and clang count. Both counts are written by every process and thread that a test starts; that of C also by one that
// a signal ends. In lib each expression that may be left out is a branch, in csrc each outcome of a condition.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Known, runTests, testFiles } from '../test/helpers/runner.ts';
import { start } from '../test/helpers/start.ts';
import { knownHere } from '../test/runtimes/node.ts';
import { buildPackage, buildPreset, Failure, must, Report, type Tally } from './prove/shared/report.ts';
import { tallyOf } from './prove/shared/tests.ts';

/** The least coverage, in percent of all lines and of all branches. */
const bar = 95;

const root = join(import.meta.dirname, '..');
const build = join(root, 'build/coverage');
const library = join(build, 'libcslice.so');
const ofC = join(build, 'c');
const ofLib = join(build, 'lib');

/** Without a value: types alone. */
const withoutCode = ['lib/func/types.ts'];

/** Tests that cannot run here, by their title. */
const uncounted: readonly Known[] = [
  {
    never: true,
    title: /^a realm of node:vm moves a buffer as we do/,
    why: 'V8 keeps a realm whose functions it counts',
  },
];

// %c: the counters are in the file itself. A file for each process (%p) and each binary that it has loaded (%m).
const environment = { LLVM_PROFILE_FILE: join(ofC, '%c%p-%m.profraw') };

async function cTests(): Promise<Tally> {
  const { status, output } = await start(['ctest', '--preset', 'coverage', '--parallel', '2'], environment);
  const [, failed, total] = /(\d+) tests? failed out of (\d+)/.exec(output) ?? [];
  if (status !== 0 || total === undefined) throw new Failure(output);
  return { passed: Number(total) - Number(failed), total: Number(total) };
}

async function tests(): Promise<Tally> {
  const tell = (line: string): void => console.log(`  ${line}`);
  return tallyOf(
    await runTests({
      files: testFiles('unit', 'behaviour'),
      known: [...uncounted, ...knownHere],
      timeout: 120_000,
      environment: { ...environment, CSLICE_LIBRARY: library, NODE_V8_COVERAGE: ofLib, TSX_DISABLE_CACHE: '' },
      tell,
    }),
  );
}

interface Count {
  readonly total: number;
  readonly covered: number;
}

interface Coverage {
  readonly file: string;
  readonly lines: Count;
  readonly branches: Count;
}

async function coverageOfLib(): Promise<Coverage[]> {
  const directories = [`--temp-directory=${ofLib}`, `--reports-dir=${build}/report`];
  const files = ['--all', '--include=lib/**', ...withoutCode.map((file) => `--exclude=${file}`)];
  await must(['npx', 'c8', 'report', ...directories, ...files, '--reporter=json-summary', '--reporter=html']);
  const { total: _, ...summary } = JSON.parse(readFileSync(join(build, 'report/coverage-summary.json'), 'utf8'));
  return Object.entries(summary as Record<string, Omit<Coverage, 'file'>>).map(([file, { lines, branches }]) => {
    return { file: relative(root, file), lines, branches };
  });
}

/** What `llvm-cov export` writes, as far as it is read here. */
interface Exported {
  readonly files: readonly {
    readonly filename: string;
    readonly summary: Readonly<Record<'lines' | 'branches', { readonly count: number; readonly covered: number }>>;
  }[];
}

/** A program of the same version as clang. */
async function llvm(name: string): Promise<string> {
  return (await must(['clang', `-print-prog-name=${name}`])).trim();
}

async function coverageOfC(): Promise<Coverage[]> {
  const profile = join(build, 'c.profdata');
  // The static library of the C tests has the same functions, by which their counts are found.
  await must([await llvm('llvm-profdata'), 'merge', '-sparse', ofC, '-o', profile]);
  const summary = await must([await llvm('llvm-cov'), 'export', '-summary-only', `-instr-profile=${profile}`, library]);
  const { data } = JSON.parse(summary) as { readonly data: readonly Exported[] };
  return data.flatMap(({ files }) =>
    files.map(({ filename, summary: { lines, branches } }) => ({
      file: relative(root, filename),
      lines: { total: lines.count, covered: lines.covered },
      branches: { total: branches.count, covered: branches.covered },
    })),
  );
}

function percent({ total, covered }: Count): number {
  return total === 0 ? 100 : (100 * covered) / total;
}

/** Rounded down: what is shown as the bar has reached it. */
function show(count: Count): string {
  return `${(Math.floor(percent(count) * 10) / 10).toFixed(1)} %`;
}

function sum(counts: readonly Count[]): Count {
  const add = (a: Count, b: Count): Count => ({ total: a.total + b.total, covered: a.covered + b.covered });
  return counts.reduce(add, { total: 0, covered: 0 });
}

/** Lines and branches pass where their total is at the bar. The lines of the report are files below it. */
function judge(files: readonly Coverage[]): Tally {
  if (files.length === 0) throw new Failure('Nothing was counted');
  const totals = [sum(files.map(({ lines }) => lines)), sum(files.map(({ branches }) => branches))] as const;
  const isBelow = (count: Count): boolean => percent(count) < bar;
  const row = (file: string, lines: string, branches: string): string =>
    `${file.padEnd(28)} ${lines.padStart(8)} ${branches.padStart(10)}`;
  const below = files.filter(({ lines, branches }) => isBelow(lines) || isBelow(branches));
  return {
    passed: totals.filter((count) => !isBelow(count)).length,
    total: totals.length,
    figures: `${show(totals[0])} of lines, ${show(totals[1])} of branches`,
    lines: [
      ...(below.length > 0 ? [row('below in', 'lines', 'branches')] : []),
      ...below.map(({ file, lines, branches }) => row(file, show(lines), show(branches))),
    ],
  };
}

const report = new Report();
for (const directory of [ofC, ofLib]) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
}
await buildPackage();
await buildPreset('coverage');
await report.proof('C tests', cTests);
await report.proof('unit and behaviour tests', tests);
await report.proof('coverage of lib', async () => judge(await coverageOfLib()));
await report.proof('coverage of csrc', async () => judge(await coverageOfC()));
process.exitCode = report.end() ? 0 : 1;
