// Proves the TypeScript side: the test suite over a sanitized C library, a model walked at random, exhausted memory, V8
// under pressure, and the bounds of memory. `npm run prove:js -- asan memory` runs the proofs named.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type Figure,
  floods,
  measureFlood,
  measureLimit,
  measureRecycled,
  measureService,
} from '../test/helpers/memory/figures.ts';

const root = join(import.meta.dirname, '..');
const { values, positionals } = parseArgs({
  options: { operations: { type: 'string', default: '100000' } },
  allowPositionals: true,
});
const operations = Number(values.operations);

/** Tests that cannot run over the sanitized library, by their title. */
const unsanitized: readonly { readonly title: RegExp; readonly why: string }[] = [
  {
    title: /^memory stays bounded within|^garbage collection (keeps|happens)|drops blocks of C$/,
    why: "they measure the process, of which AddressSanitizer's shadow and its quarantine of freed memory are a part",
  },
  { title: /recycled many times/, why: 'the quarantine recycles no address' },
  { title: /^the installed C interface/, why: 'they build and load copies of the library without the sanitizers' },
  { title: /^the search for the C library/, why: 'they look for the release build' },
  { title: /plain \.async\(\) of koffi corrupts memory/, why: 'they corrupt memory on purpose' },
  { title: /in the eyes of AddressSanitizer/, why: 'they bring an AddressSanitizer of their own' },
  { title: /README\.md: snippet 1 /, why: 'it reads freed memory on purpose' },
  { title: /^memory that is given back while Node works on it/, why: 'they bring an allocator of their own' },
  { title: /^a service that answers with C memory/, why: 'it measures memory, and takes ten times as long' },
];

/** Leaks that a test's own program is made of. */
const leak = /^SUMMARY: AddressSanitizer: \d+ byte\(s\) leaked in (\d+) allocation/m;
const expectedReports: readonly { readonly program: RegExp; readonly why: string }[] = [
  { program: /programs\/unload\.ts/, why: 'it unloads a library whose memory it still has' },
  {
    program: /threads\/ends\.ts|attack\/terminate\.ts/,
    why: 'its threads end with memory that only their JavaScript destructors could have given back',
  },
];

class Failure extends Error {}

interface Result {
  readonly status: number | null;
  readonly output: string;
}

function run(command: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Result> {
  const [program = '', ...rest] = command;
  return new Promise((resolve, reject) => {
    const options = {
      cwd: root,
      env: { ...process.env, TSX_DISABLE_CACHE: '1', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'] as const,
    };
    const child = spawn(program, rest, options as never);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk) => {
        output += chunk;
      });
    }
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
  });
}

async function must(command: readonly string[], environment?: NodeJS.ProcessEnv): Promise<string> {
  const { status, output } = await run(command, environment);
  if (status !== 0) throw new Failure(`${command.join(' ')} ended with ${status}:\n${output.slice(-8000)}`);
  return output;
}

let failures = 0;

async function prove(name: string, proof: () => Promise<string> | string): Promise<void> {
  try {
    console.log(`${name}: ${await proof()}`);
  } catch (error) {
    failures++;
    console.log(`${name}: FAILED`);
    console.error(error instanceof Failure ? error.message : error);
  }
}

interface Report {
  readonly stats: { readonly tests: number; readonly passes: number; readonly pending: number };
  readonly failures: readonly { readonly fullTitle: string; readonly err: { readonly stack?: string } }[];
}

async function mocha(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Report> {
  const file = join(root, 'build/prove-js.json');
  rmSync(file, { force: true });
  const reporter = ['--reporter', 'json', '--reporter-option', `output=${file}`];
  const command = [process.execPath, 'node_modules/mocha/bin/mocha.js', ...reporter, ...args];
  const { status, output } = await run(command, environment);
  if (!existsSync(file)) throw new Failure(`mocha ended with ${status}:\n${output.slice(-8000)}`);
  return JSON.parse(readFileSync(file, 'utf8')) as Report;
}

function describe({ stats, failures: failed }: Report): string {
  const list = failed.map(({ fullTitle, err }) => `${fullTitle}: ${err.stack?.slice(0, 1000)}`);
  return `${failed.length} of ${stats.tests} tests failed:\n${list.join('\n')}`;
}

function libraryOfCompiler(name: string): string {
  return spawnSync('cc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
}

/** Compilers leak as a habit; they and their linkers are no part of the proof. */
function shims(directory: string, programs: readonly string[]): string {
  mkdirSync(directory, { recursive: true });
  for (const program of programs) {
    const real = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim();
    if (real === '') continue;
    const file = join(directory, program);
    writeFileSync(file, `#!/bin/sh\nunset LD_PRELOAD\nexec ${real} "$@"\n`);
    chmodSync(file, 0o755);
  }
  return directory;
}

/** What the sanitizers have written, but for what is expected, each with the program that it is about. */
function reportsIn(directory: string): string[] {
  return readdirSync(directory)
    .filter((file) => file.startsWith('report.'))
    .map((file) => {
      const named = join(directory, `${file.slice('report.'.length)}.argv`);
      const program = existsSync(named) ? readFileSync(named, 'utf8') : 'a program of another runtime';
      return { program, report: readFileSync(join(directory, file), 'utf8') };
    })
    .filter((found) => !expectedReports.some((known) => known.program.test(found.program) && leak.test(found.report)))
    .map(({ program, report }) => `${program}\n${report.slice(0, 3000)}`);
}

async function sanitized(): Promise<string> {
  await must(['cmake', '--preset', 'asan']);
  await must(['cmake', '--build', '--preset', 'asan', '--target', 'cslice']);
  const reports = join(root, 'build/asan/reports');
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const path = shims(join(root, 'build/asan/bin'), ['cc', 'c++', 'gcc', 'g++', 'clang', 'cmake', 'make', 'pkg-config']);
  const skipped = unsanitized.map(({ title }) => `(?:${title.source})`).join('|');
  const result = await mocha(['--timeout', '300000', '--grep', skipped, '--invert'], {
    PATH: `${path}:${process.env.PATH}`,
    CSLICE_LIBRARY: join(root, 'build/asan/libcslice.so'),
    CSLICE_REPORTS: reports,
    NODE_OPTIONS: `--require=${join(root, 'scripts/name-process.cjs')}`,
    LD_PRELOAD: [libraryOfCompiler('libasan.so'), libraryOfCompiler('libubsan.so')].join(' '),
    ASAN_OPTIONS: `detect_leaks=1:malloc_context_size=2:log_path=${join(reports, 'report')}`,
    UBSAN_OPTIONS: `print_stacktrace=1:log_path=${join(reports, 'report')}`,
    LSAN_OPTIONS: `suppressions=${join(root, 'scripts/lsan.supp')}:print_suppressions=0:exitcode=0`, // a leak is a report, and no test's failure
  });
  const found = reportsIn(reports);
  if (found.length + result.failures.length > 0) {
    throw new Failure(`${describe(result)}\n${found.length} reports:\n${found.join('\n')}`);
  }
  const { stats } = result;
  const why = unsanitized.map(({ title, why }) => `\n  without ${title.source}: ${why}`).join('');
  const expected = expectedReports.map(({ program, why }) => `\n  leaks of ${program.source}: ${why}`).join('');
  return `${stats.passes} of ${stats.tests} passed, 0 reports${why}${expected}`;
}

const source = ['--expose-gc', '--conditions=@cslice/source', '--import', 'tsx'];

async function walked(): Promise<string> {
  const output = await must([process.execPath, ...source, 'test/programs/properties/walk.ts', String(operations)]);
  const { operations: done, worlds, seed } = JSON.parse(output.trim().split('\n').at(-1) ?? '');
  return `${done} operations in ${worlds} worlds (CSLICE_SEED=${seed}), 0 differences from the model`;
}

async function exhausted(): Promise<string> {
  const result = await mocha(['--grep', 'memory is exhausted']);
  if (result.failures.length > 0) throw new Failure(describe(result));
  const { passes, tests } = result.stats;
  return `${passes} of ${tests} tests of public operations passed, each allocation failing in turn`;
}

async function underPressure(flags: string, environment: NodeJS.ProcessEnv = {}): Promise<string> {
  const core = [process.execPath, '--expose-gc', '--import', 'tsx', 'test/runtimes/core.ts'];
  const output = await must(core, { CSLICE_CORE_FLAGS: flags, ...environment });
  return (
    output
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^runtime /, '') ?? ''
  );
}

function show({ title, peak, bar, wrong }: Figure): string {
  const figure = `${title}: peak ${peak} MiB, bar ${bar} MiB`;
  if (wrong !== undefined || peak > bar) throw new Failure(`${figure}${wrong === undefined ? '' : `, ${wrong}`}`);
  return figure;
}

function limited(): string {
  const { peakMebibytesLive, code, mostHeld, again, fraction } = measureLimit(64, 10_000);
  const right = peakMebibytesLive <= 64 && code === 'ERR_CSLICE_LIMIT' && mostHeld === 64 && !again && !fraction;
  const figure = `10,000 slices dropped in one job, ${peakMebibytesLive} MiB live at most; ${mostHeld} MiB held, then ${code}`;
  if (!right) throw new Failure(figure);
  return figure;
}

function recycled(): string {
  const { count, early, wrong, broken, liveBlocks, recycled: times } = measureRecycled(1_000_000);
  const figure = `${count} times adopted, ${times} times recycled by malloc: ${early} ended early, ${wrong} not ended once, ${broken} broken`;
  if (early + wrong + broken !== 0 || liveBlocks !== 1) throw new Failure(figure);
  return figure;
}

const proofs: Readonly<Record<string, () => Promise<void>>> = {
  asan: () => prove('mocha under asan+ubsan+lsan', sanitized),
  walk: () => prove('fast-check', walked),
  exhaustion: () => prove('exhaustion', exhausted),
  async pressure() {
    for (const flags of ['--stress-compaction', '--jitless', '--no-opt']) {
      await prove(`core with ${flags}`, () => underPressure(flags));
    }
    await prove('core with a collection at every step', () => underPressure('', { CSLICE_CORE_COLLECT: '1' }));
  },
  async memory() {
    for (const flood of floods) await prove('memory', () => show(measureFlood(flood)));
    await prove('memory', () => show(measureService()));
    await prove('limit of 64 MiB', limited);
    await prove('one address', recycled);
  },
};

if (!Number.isInteger(operations) || operations < 1) {
  console.error(`--operations takes a whole number from 1 on, not ${values.operations}`);
  process.exit(2);
}
const unknown = positionals.filter((name) => !(name in proofs));
if (unknown.length > 0) {
  console.error(`No such proof: ${unknown.join(' ')}. There are ${Object.keys(proofs).join(' ')}`);
  process.exit(2);
}
await must(['npm', 'run', 'build']);
for (const [name, proof] of Object.entries(proofs)) {
  if (positionals.length === 0 || positionals.includes(name)) await proof();
}
process.exitCode = failures === 0 ? 0 : 1;
