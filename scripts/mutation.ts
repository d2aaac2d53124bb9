// The mutation score of lib/core: StrykerJS changes one expression or statement at a time, and the unit tests must notice.
//   npm run mutation
//   npm run mutation -- lib/core/holds.ts
//   npm run mutation -- lib/core/holds.ts --tests test/unit/core/holds.test.ts   fewer tests: quicker, and at most that score
//   npm run mutation -- --incremental   measures only what has changed since the last run with this option
//
// A mutant is killed if a test fails, or does not end. One that crashes the process counts neither way. Each mutant has a
// process of its own: in one process, what a mutant leaves behind fails tests of the next one, which counts as killed.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');
const directory = join(root, 'build', 'mutation');

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

/** Tests that take long and reach nothing of lib/core that others do not. The runner splits such patterns at commas. */
const leftOut = [
  'codec/**',
  'native/**',
  'call.test.ts',
  'func/call.test.ts',
  'func/hostile.test.ts',
  'see/snapshot.test.ts',
];

function configuration(files: readonly string[], tests: readonly string[], jobs: number): object {
  return {
    mutate: files,
    testRunner: 'mocha',
    mochaOptions: {
      'no-config': true,
      spec: tests,
      ignore: leftOut.map((files) => `test/unit/${files}`),
    },
    testRunnerNodeArgs: ['--import=tsx', '--expose-gc'],
    coverageAnalysis: 'perTest',
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
    tests: { type: 'string', multiple: true, default: ['test/unit/**/*.test.ts'] },
  },
  allowPositionals: true,
});
const files = positionals.length > 0 ? positionals : ['lib/core/**/*.ts'];
const program = stryker();
execFileSync('npm', ['run', '--silent', 'build:native'], { cwd: root, stdio: 'inherit' });
const config = join(directory, 'config.json');
writeFileSync(config, JSON.stringify(configuration(files, values.tests, Number(values.jobs)), null, 2));
const more = values.incremental ? ['--incremental'] : [];
process.exitCode =
  spawnSync(process.execPath, [program, 'run', config, ...more], { cwd: root, stdio: 'inherit' }).status ?? 1;
