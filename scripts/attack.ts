// Attacks the package for as long as asked: `tsx scripts/attack.ts walk --steps 1000000 --seed 7 --asan`. Without names,
// all programs. `--runtime` takes the executable of another Node, of Bun or of Deno.
import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { drive, type Outcome } from '../test/helpers/attack.ts';
import { withLibrary } from '../test/programs/attack/native.ts';

const root = join(import.meta.dirname, '..');
const { values, positionals } = parseArgs({
  options: {
    steps: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    /** The first unit, and how many: a failure is replayed by its seed and its unit. */
    unit: { type: 'string', default: '0' },
    units: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    failures: { type: 'string', default: '10' },
    without: { type: 'string', default: '' },
    runtime: { type: 'string', default: process.execPath },
    asan: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

const programs = ['walk', 'chain', 'interrupt', 'terminate', 'arguments', 'limits'] as const;

function number(name: 'steps' | 'seed' | 'unit' | 'units' | 'seconds' | 'failures'): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`--${name} takes a whole number from 0 on, not ${text}`);
  process.exit(2);
}

function libraryOfCompiler(name: string): string {
  return spawnSync('cc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
}

function build(...command: string[]): void {
  const [program = '', ...args] = command;
  const { status, stderr } = spawnSync(program, args, { cwd: root, encoding: 'utf8' });
  if (status === 0) return;
  console.error(`${command.join(' ')} failed:\n${stderr}`);
  process.exit(2);
}

function sanitizer(): NodeJS.ProcessEnv {
  build('cmake', '--preset', 'asan');
  build('cmake', '--build', '--preset', 'asan', '--target', 'cslice');
  return {
    CSLICE_LIBRARY: join(root, 'build/asan/libcslice.so'),
    LD_PRELOAD: [libraryOfCompiler('libasan.so'), libraryOfCompiler('libubsan.so')].join(' '),
    // Memory that was freed is filled, so that whoever still shows it shows other bytes.
    ASAN_OPTIONS:
      'detect_leaks=0:malloc_context_size=8:allocator_may_return_null=1:max_free_fill_size=65536:free_fill_byte=221',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  };
}

function print(name: string, { units, steps, failures, figures }: Outcome): void {
  const counts = Object.entries(figures).map(([what, count]) => `, ${count} ${what}`);
  console.log(`${name}: ${steps} steps in ${units} units, ${failures.length} kinds of failure${counts.join('')}`);
  for (const { unit, times, message } of failures) {
    console.log(`\n--- unit ${unit} (${times} in all): ${message.slice(0, 4000)}`);
  }
}

const unknown = positionals.filter((name) => !(programs as readonly string[]).includes(name));
if (unknown.length > 0) {
  console.error(`No such program: ${unknown.join(' ')}. There are ${programs.join(' ')}`);
  process.exit(2);
}

const seed = number('seed') ?? 0;
const from = number('unit') ?? 0;
const units = number('units');
const isNode = !/^(bun|deno)/.test(basename(values.runtime));
const environment: NodeJS.ProcessEnv = {
  ...(values.asan ? sanitizer() : {}),
  ...(isNode ? {} : { CSLICE_ATTACK_ENTRY: new URL('../dist/index.js', import.meta.url).href }),
};
console.log(`seed ${seed} (--seed ${seed} for the same)`);
let failed = 0;
withLibrary((library) => {
  for (const program of positionals.length > 0 ? positionals : programs) {
    const steps = number('steps');
    const outcome = drive(`${program}.ts`, {
      seed,
      from,
      ...(units === undefined ? (steps === undefined ? {} : { steps }) : { to: from + units }),
      milliseconds: (number('seconds') ?? 60) * 1000,
      mostFailures: number('failures') ?? 10,
      without: values.without === '' ? [] : values.without.split(','),
      executable: values.runtime,
      environment,
      library,
    });
    print(program, outcome);
    failed += outcome.failures.length;
  }
});
process.exitCode = failed === 0 ? 0 : 1;
