// What is run before a commit, in a minute and a half: static checks, the C tests, the unit tests, those of the behaviour
// that are quick, and the packed package. The long tests and the proofs are `npm run prove`.
import { runTests } from '../test/helpers/runner.ts';
import { start } from '../test/helpers/start.ts';
import { knownHere } from '../test/runtimes/node.ts';
import { buildPreset, Failure, must, Report, type Tally } from './prove/shared/report.ts';
import { quick, tallyOf } from './prove/shared/tests.ts';

async function checks(): Promise<Tally> {
  await must(['npm', 'run', '--silent', 'check']);
  return { passed: 1, total: 1 };
}

async function api(): Promise<Tally> {
  await must(['npm', 'run', '--silent', 'api:check']);
  return { passed: 1, total: 1 };
}

async function cTests(): Promise<Tally> {
  await buildPreset('dev');
  const { status, output } = await start(['ctest', '--preset', 'dev', '--parallel', '2']);
  const [, failed, total] = /(\d+) tests? failed out of (\d+)/.exec(output) ?? [];
  if (status !== 0 || total === undefined) throw new Failure(output);
  return { passed: Number(total) - Number(failed), total: Number(total) };
}

function tests(files: readonly string[]): () => Promise<Tally> {
  const tell = (line: string): void => console.log(`  ${line}`);
  // Few processes, and the loader's cache: most of the time would go into loading the sources otherwise.
  const environment = { TSX_DISABLE_CACHE: '' };
  const run = { files, known: knownHere, partial: true, together: 9, timeout: 20_000, environment, tell };
  return async () => tallyOf(await runTests(run));
}

async function packed(): Promise<Tally> {
  const output = await must(['npm', 'run', '--silent', 'test:package']);
  const [, passed, total] = /package: (\d+) of (\d+) passed/.exec(output) ?? [];
  return { passed: Number(passed), total: Number(total) };
}

const report = new Report();

/** Builds the C library and dist/, which the tests need. */
async function builds(): Promise<void> {
  await report.proof('build, pack, use of the packed package', packed);
  await report.proof('the API report and reference are current', api);
}

async function checksAndC(): Promise<void> {
  await report.proof('types, format, lint, directions of imports, signatures', checks);
  await report.proof('C tests', cTests);
}

await Promise.all([builds(), checksAndC()]); // each of them uses one processor for most of the time
await report.proof('unit tests', tests(quick.unit));
await report.proof('behaviour, the quick part', tests(quick.behaviour));
process.exitCode = report.end() ? 0 : 1;
