// Proves the C library: its tests as they are, under each sanitizer and under valgrind, and a fuzzer against a model.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({ options: { 'fuzz-seconds': { type: 'string', default: '60' } } });
const fuzzSeconds = Number(values['fuzz-seconds']);

/** Programs by the Debian package that holds them. */
const tools: Record<string, string> = {
  cmake: 'cmake',
  ctest: 'cmake',
  make: 'make',
  cc: 'gcc',
  'c++': 'g++',
  valgrind: 'valgrind',
};
const report = /ERROR: (?:Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:/g;

interface Result {
  readonly passed: boolean;
  readonly output: string;
}

interface ListedTest {
  readonly name: string;
  readonly command?: readonly string[];
  readonly properties?: readonly { readonly name: string; readonly value: unknown }[];
}

class Failure extends Error {}

let failures = 0;

function run(command: readonly string[], environment: Record<string, string> = {}): Result {
  const [program = '', ...rest] = command;
  const { status, stdout, stderr } = spawnSync(program, rest, {
    cwd: root,
    env: { ...process.env, ...environment },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return { passed: status === 0, output: `${stdout ?? ''}${stderr ?? ''}` };
}

function must(command: readonly string[]): string {
  const { passed, output } = run(command);
  if (!passed) throw new Failure(`${command.join(' ')} failed:\n${output}`);
  return output;
}

function prove(name: string, proof: () => string): void {
  try {
    console.log(`${name}: ${proof()}`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    failures++;
    console.log(`${name}: FAILED`);
    console.error(error.message);
  }
}

function checkTools(): string {
  const missing = Object.keys(tools).filter((tool) => !run([tool, '--version']).passed);
  const packages = missing.map((tool) => tools[tool] ?? tool);
  if (!run(['clang', '--version']).passed) packages.push('clang', 'libclang-rt-dev');
  else if (!hasFuzzer()) packages.push(`libclang-rt-${run(['clang', '-dumpversion']).output.split('.')[0]}-dev`);
  if (packages.length > 0) throw new Failure(`apt-get install ${[...new Set(packages)].join(' ')}`);
  return 'all there';
}

/** Clang prints a bare name where it finds no such file. */
function hasFuzzer(): boolean {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  return [`libclang_rt.fuzzer-${machine}.a`, 'libclang_rt.fuzzer.a'].some((file) =>
    existsSync(run(['clang', `-print-file-name=${file}`]).output.trim()),
  );
}

function build(preset: string): void {
  must(['cmake', '--preset', preset]);
  must(['cmake', '--build', '--preset', preset]);
}

/** ThreadSanitizer of older compilers does not start where addresses are randomized by more than 28 bits. */
function fixedAddresses(): string[] {
  return run(['setarch', '-R', 'true']).passed ? ['setarch', '-R'] : [];
}

function ctest(preset: string, environment: Record<string, string> = {}, prefix: readonly string[] = []): string {
  build(preset);
  const { passed, output } = run([...prefix, 'ctest', '--preset', preset, '-V'], environment);
  const reports = output.match(report)?.length ?? 0;
  const [, failed, total] = /(\d+) tests? failed out of (\d+)/.exec(output) ?? [];
  if (!passed || reports > 0 || total === undefined) throw new Failure(output);
  return `${Number(total) - Number(failed)} of ${total} passed, ${reports} reports`;
}

function isDisabled(test: ListedTest): boolean {
  return test.properties?.some(({ name, value }) => name === 'DISABLED' && value === true) ?? false;
}

function valgrind(): string {
  const leaks = ['--leak-check=full', '--errors-for-leak-kinds=definite,indirect'];
  const checker = ['valgrind', '-q', '--error-exitcode=1', '--fair-sched=try', ...leaks];
  build('dev');
  const listed = JSON.parse(must(['ctest', '--preset', 'dev', '--show-only=json-v1'])) as { tests: ListedTest[] };
  const tests = listed.tests.filter((test) => !isDisabled(test));
  for (const { name, command } of tests) {
    if (command === undefined) throw new Failure(`${name} was not built`);
    const { passed, output } = run([...checker, ...command], { UNDER_VALGRIND: '1' });
    if (!passed) throw new Failure(`${name}:\n${output}`);
  }
  return `${tests.length} of ${tests.length} passed, 0 errors, 0 leaks`;
}

function fuzz(): string {
  build('fuzz');
  const found = join(root, 'build/fuzz/corpus');
  mkdirSync(found, { recursive: true });
  const options = [`-max_total_time=${fuzzSeconds}`, '-max_len=512', `-artifact_prefix=${join(root, 'build/fuzz/')}`];
  const fuzzer = join(root, 'build/fuzz/test/c/fuzz_blocks');
  const { passed, output } = run([fuzzer, ...options, found, 'test/c/corpus'], { ASAN_OPTIONS: 'detect_leaks=1' });
  const [, inputs, seconds] = /Done (\d+) runs in (\d+) second/.exec(output) ?? [];
  if (!passed || inputs === undefined) throw new Failure(output.slice(-8000));
  return `${inputs} inputs in ${seconds} s, 0 failures`;
}

if (!Number.isInteger(fuzzSeconds) || fuzzSeconds < 1) {
  console.error(`--fuzz-seconds takes a whole number from 1 on, not ${values['fuzz-seconds']}`);
  process.exit(2);
}
prove('tools', checkTools);
if (failures === 0) {
  prove('ctest', () => ctest('dev'));
  prove('asan+ubsan ctest', () => ctest('asan', { ASAN_OPTIONS: 'detect_leaks=1' }));
  prove('tsan ctest', () => ctest('tsan', {}, fixedAddresses()));
  prove('valgrind', valgrind);
  prove('fuzzer', fuzz);
}
process.exitCode = failures === 0 ? 0 : 1;
