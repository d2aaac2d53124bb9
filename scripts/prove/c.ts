// The C library: its tests as they are, under each sanitizer and under valgrind, and a fuzzer against a model.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { start } from '../../test/helpers/start.ts';
import type { Proof } from './shared/proof.ts';
import { buildPreset, Failure, must, type Tally } from './shared/report.ts';

const root = join(import.meta.dirname, '../..');

/** Programs by the Debian package that holds them. */
const tools: Readonly<Record<string, string>> = {
  cmake: 'cmake',
  ctest: 'cmake',
  make: 'make',
  cc: 'gcc',
  'c++': 'g++',
  valgrind: 'valgrind',
};
const sanitizerReport = /ERROR: (?:Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:/g;

async function works(command: readonly string[]): Promise<boolean> {
  return start(command).then(
    ({ status }) => status === 0,
    () => false,
  );
}

/** Clang prints a bare name where it finds no such file. */
async function hasFuzzer(): Promise<boolean> {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  for (const file of [`libclang_rt.fuzzer-${machine}.a`, 'libclang_rt.fuzzer.a']) {
    if (existsSync((await must(['clang', `-print-file-name=${file}`])).trim())) return true;
  }
  return false;
}

async function checkTools(): Promise<void> {
  const packages = new Set<string>();
  for (const [tool, name] of Object.entries(tools)) if (!(await works([tool, '--version']))) packages.add(name);
  if (!(await works(['clang', '--version']))) packages.add('clang').add('libclang-rt-dev');
  else if (!(await hasFuzzer()))
    packages.add(`libclang-rt-${(await must(['clang', '-dumpversion'])).split('.')[0]}-dev`);
  if (packages.size > 0) throw new Failure(`Missing: apt-get install ${[...packages].join(' ')}`);
}

/** ThreadSanitizer of older compilers does not start where addresses are randomized by more than 28 bits. */
async function fixedAddresses(): Promise<string[]> {
  return (await works(['setarch', '-R', 'true'])) ? ['setarch', '-R'] : [];
}

async function ctest(preset: string, environment = {}, prefix: readonly string[] = []): Promise<Tally> {
  await buildPreset(preset);
  const { status, output } = await start([...prefix, 'ctest', '--preset', preset, '-V'], environment);
  const reports = output.match(sanitizerReport)?.length ?? 0;
  const [, failed, total] = /(\d+) tests? failed out of (\d+)/.exec(output) ?? [];
  if (status !== 0 || reports > 0 || total === undefined) throw new Failure(output);
  return { passed: Number(total) - Number(failed), total: Number(total), figures: `${reports} reports` };
}

interface ListedTest {
  readonly name: string;
  readonly command?: readonly string[];
  readonly properties?: readonly { readonly name: string; readonly value: unknown }[];
}

function isDisabled(test: ListedTest): boolean {
  return test.properties?.some(({ name, value }) => name === 'DISABLED' && value === true) ?? false;
}

async function valgrind(): Promise<Tally> {
  const leaks = ['--leak-check=full', '--errors-for-leak-kinds=definite,indirect'];
  const checker = ['valgrind', '-q', '--error-exitcode=1', '--fair-sched=try', ...leaks];
  await buildPreset('dev');
  const listed = JSON.parse(await must(['ctest', '--preset', 'dev', '--show-only=json-v1'])) as { tests: ListedTest[] };
  const waiting = listed.tests.filter((test) => !isDisabled(test));
  const total = waiting.length;
  const lane = async (): Promise<void> => {
    for (let test = waiting.shift(); test !== undefined; test = waiting.shift()) {
      if (test.command === undefined) throw new Failure(`${test.name} was not built`);
      await must([...checker, ...test.command], { UNDER_VALGRIND: '1' });
    }
  };
  await Promise.all([lane(), lane()]);
  return { passed: total, total, figures: '0 errors, 0 leaks' };
}

async function fuzz(seconds: number): Promise<Tally> {
  await buildPreset('fuzz');
  const found = join(root, 'build/fuzz/corpus');
  mkdirSync(found, { recursive: true });
  const options = [`-max_total_time=${seconds}`, '-max_len=512', `-artifact_prefix=${join(root, 'build/fuzz/')}`];
  const fuzzer = [join(root, 'build/fuzz/test/c/fuzz_blocks'), ...options, found, 'test/c/corpus'];
  const { status, output } = await start(fuzzer, { ASAN_OPTIONS: 'detect_leaks=1' });
  const [, inputs, took] = /Done (\d+) runs in (\d+) second/.exec(output) ?? [];
  if (status !== 0 || inputs === undefined) throw new Failure(output.slice(-8000));
  return { passed: 1, total: 1, figures: `${inputs} inputs in ${took} s, 0 failures` };
}

export const proof: Proof = {
  about: 'the C library: its tests, under each sanitizer and valgrind, and a fuzzer against a model',
  options: { 'fuzz-seconds': { type: 'string', default: '60' } },
  parts: ['tests', 'asan', 'tsan', 'valgrind', 'fuzzer'],
  async prove(report, args) {
    const seconds = args.count('fuzz-seconds', 1) ?? 60;
    await checkTools();
    const proofs: Readonly<Record<string, () => Promise<Tally>>> = {
      tests: () => ctest('dev'),
      asan: () => ctest('asan', { ASAN_OPTIONS: 'detect_leaks=1' }),
      tsan: async () => ctest('tsan', {}, await fixedAddresses()),
      valgrind,
      fuzzer: () => fuzz(seconds),
    };
    for (const part of args.parts) await report.proof(`c ${part}`, proofs[part] as () => Promise<Tally>);
  },
};
