// The attack, for as long as asked: `npm run prove attack walk -- --steps 1000000 --seed 7 --asan`. `--runtime` takes the
// executable of another Node, of Bun or of Deno.
import { basename } from 'node:path';
import { drive, type Outcome } from '../../test/helpers/attack.ts';
import { withLibrary } from '../../test/programs/attack/native.ts';
import type { Proof } from './shared/proof.ts';
import { buildPackage, type Tally } from './shared/report.ts';
import { sanitizedLibrary } from './shared/sanitizers.ts';

function isNode(executable: string): boolean {
  return !/^(bun|deno)/.test(basename(executable));
}

async function sanitizer(): Promise<NodeJS.ProcessEnv> {
  return {
    ...(await sanitizedLibrary()),
    // Memory that was freed is filled, so that whoever still shows it shows other bytes.
    ASAN_OPTIONS:
      'detect_leaks=0:malloc_context_size=8:allocator_may_return_null=1:max_free_fill_size=65536:free_fill_byte=221',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  };
}

function tallyOf({ units, steps, failures, figures }: Outcome): Tally {
  const counts = Object.entries(figures).map(([what, count]) => `, ${count} ${what}`);
  const failed = failures.reduce((sum, { times }) => sum + times, 0);
  return {
    passed: units - failed,
    total: units,
    figures: `${steps} steps, ${failures.length} kinds of failure${counts.join('')}`,
    lines: failures.map(({ unit, times, message }) => `unit ${unit} (${times} in all): ${message.slice(0, 4000)}`),
  };
}

export const proof: Proof = {
  about: 'hostile programs: random walks, chains of destructors, interruptions, terminations, arguments, limits',
  options: {
    steps: { type: 'string' },
    seed: { type: 'string' },
    /** The first unit, and how many: a failure is replayed by its seed and its unit. */
    unit: { type: 'string', default: '0' },
    units: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    failures: { type: 'string', default: '10' },
    without: { type: 'string', default: '' },
    runtime: { type: 'string' },
    asan: { type: 'boolean', default: false },
  },
  parts: ['walk', 'chain', 'interrupt', 'terminate', 'arguments', 'limits'],
  async prove(report, args) {
    await buildPackage();
    const seed = args.count('seed') ?? Date.now() % 2 ** 31;
    const [from, units, steps] = [args.count('unit') ?? 0, args.count('units'), args.count('steps')];
    const executable = args.text('runtime') ?? process.execPath;
    const environment: NodeJS.ProcessEnv = {
      ...(args.flag('asan') ? await sanitizer() : {}),
      ...(isNode(executable) ? {} : { CSLICE_ATTACK_ENTRY: new URL('../../dist/index.js', import.meta.url).href }),
    };
    const plan = {
      seed,
      from,
      ...(units === undefined ? (steps === undefined ? {} : { steps }) : { to: from + units }),
      milliseconds: (args.count('seconds') ?? 60) * 1000,
      mostFailures: args.count('failures') ?? 10,
      without: (args.text('without') ?? '').split(',').filter((name) => name !== ''),
      executable,
      environment,
    };
    console.log(`seed ${seed} (--seed ${seed} for the same)`);
    for (const program of args.parts) {
      const attack = (): Tally => withLibrary((library) => tallyOf(drive(`${program}.ts`, { ...plan, library })));
      await report.proof(`attack ${program}: units`, attack);
    }
  },
};
