// The mutation score of lib/core: StrykerJS changes one expression or statement at a time, and its tests, with those of what
// uses most of it, must notice.
//   npm run mutation
//   npm run mutation -- lib/core/holds.ts
//   npm run mutation -- lib/core/holds.ts --tests test/unit/core/holds.test.ts   other tests
//   npm run mutation -- --incremental   measures only what has changed since the last run with this option
//
// A mutant is killed if a test fails, or does not end. One that crashes the process counts neither way. Each mutant has a
// process of its own: in one process, what a mutant leaves behind fails tests of the next one, which counts as killed.
// On Node 20: on later versions Stryker's process has sockets and loads what `fetch` loads, so memory that was seen always
// waits for a collection there, and tests that expect otherwise fail.
// Mutants are active in what a test starts, too, and what is reached there counts as reached: see mutation/tests.mjs.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { testFiles } from '../test/helpers/runner.ts';

const root = join(import.meta.dirname, '..');
const directory = join(root, 'build', 'mutation');

/** So that tests reach what they start, too. Outside of the copy in which they run. */
const hooks = join(root, 'scripts/mutation');

/** The last Stryker for Node 20, and the last mocha for it that imports tests: 11 requires them, so tsx makes them CommonJS. */
const packages = ['@stryker-mutator/core@9.6.1', '@stryker-mutator/mocha-runner@9.6.1', 'mocha@10.8.2'];

/** Installed under build/, outside the package's own dependencies. */
function stryker(): string {
  const program = join(directory, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  if (!existsSync(program)) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'package.json'), '{ "private": true }');
    execFileSync('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd: directory, stdio: 'inherit' });
  }
  return program;
}

/** Tests that take a second and more. */
const slow =
  /(collect|free-list|in-use|node-guards|stack-room|pin|call|stream|keeps|handle|hostile|behaviour.*)\.test\.ts$/;

/**
 * The tests of lib/core, and those that use most of it: to load all tests takes longer than most mutants live. The quick ones
 * first, since the first failure ends a run.
 */
function testsOfCore(): string[] {
  const others = ['slice', 'slice-ranges', 'copy', 'text', 'arena', 'pool', 'pin', 'stream', 'call'];
  const ofRecords = ['see/blocks', 'see/label', 'record/channels'];
  const ofFunctions = ['handle', 'keeps', 'ownership', 'call', 'hostile'].map((name) => `func/${name}`);
  const names = [...others, ...ofRecords, ...ofFunctions].map((name) => `unit/${name}`);
  const inOtherWays = ['behaviour/c-blocks', 'behaviour/other-runtimes'];
  const files = [...testFiles('unit/core'), ...testFiles(...names, ...inOtherWays)];
  files.sort((a, b) => Number(slow.test(a)) - Number(slow.test(b)));
  return [...files, join(hooks, 'alone.test.mjs')];
}

function configuration(files: readonly string[], tests: readonly string[], jobs: number): object {
  return {
    mutate: files,
    testRunner: 'mocha',
    mochaOptions: {
      'no-config': true,
      spec: tests,
      require: [join(hooks, 'tests.mjs')],
    },
    testRunnerNodeArgs: ['--import=tsx', '--expose-gc', `--import=${join(hooks, 'covered.mjs')}`],
    coverageAnalysis: 'perTest',
    ignoreStatic: false, // what runs when a module is loaded takes all tests
    concurrency: jobs,
    maxTestRunnerReuse: 1,
    timeoutMS: 8000,
    timeoutFactor: 2,
    thresholds: { high: 95, low: 85, break: 85 },
    // Tests look at the lines of their own stacks, which a comment at the top would move.
    disableTypeChecks: false,
    tsconfigFile: 'none',
    // What is copied for the tests to run in.
    ignorePatterns: ['/*', '!/lib', '!/test', '!/csrc', '!/*.json', '!/build', '/build/*', '!/build/release'],
    tempDirName: 'build/mutation/copies',
    reporters: ['clear-text', 'progress-append-only', 'html', 'json'],
    clearTextReporter: { logTests: false },
    htmlReporter: { fileName: 'build/mutation/report.html' },
    jsonReporter: { fileName: 'build/mutation/report.json' },
    incrementalFile: 'build/mutation/incremental.json',
  };
}

const { values, positionals } = parseArgs({
  options: {
    incremental: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(availableParallelism()) },
    tests: { type: 'string', multiple: true, default: testsOfCore() },
  },
  allowPositionals: true,
});
if (!process.version.startsWith('v20.'))
  throw new Error(`npm run mutation needs Node 20, see above; this is ${process.version}`);
const files = positionals.length > 0 ? positionals : ['lib/core/**/*.ts'];
const program = stryker();
execFileSync('npm', ['run', '--silent', 'build:native'], { cwd: root, stdio: 'inherit' });
const config = join(directory, 'config.json');
writeFileSync(config, JSON.stringify(configuration(files, values.tests, Number(values.jobs)), null, 2));
const more = values.incremental ? ['--incremental'] : [];
process.exitCode =
  spawnSync(process.execPath, [program, 'run', config, ...more], { cwd: root, stdio: 'inherit' }).status ?? 1;
