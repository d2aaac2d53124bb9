// The TypeScript side: the tests that `npm test` leaves out, all tests over a sanitized C library, a model walked at random, V8 under
// pressure, and the bounds of memory.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { flags } from '../../test/helpers/engine.ts';
import {
  type Figure,
  floods,
  measureFlood,
  measureLimit,
  measureRecycled,
  measureService,
} from '../../test/helpers/memory/figures.ts';
import { type Known, runTests, testFiles } from '../../test/helpers/runner.ts';
import { knownHere } from '../../test/runtimes/node.ts';
import type { Proof } from './shared/proof.ts';
import { buildPackage, Failure, must, type Report, type Tally } from './shared/report.ts';
import { pathWithoutSanitizers, sanitizedLibrary } from './shared/sanitizers.ts';
import { everything, quick, tallyOf } from './shared/tests.ts';

const root = join(import.meta.dirname, '../..');
/** Tests that cannot run over the sanitized library, by their title. */
const unsanitized: readonly Known[] = [
  {
    never: true,
    title: /^memory stays bounded within|^garbage collection (keeps|happens)|drops blocks of C$/,
    why: "they measure the process, of which AddressSanitizer's shadow and its quarantine of freed memory are a part",
  },
  { never: true, title: /recycled many times/, why: 'the quarantine recycles no address' },
  {
    never: true,
    title: /^the installed C interface/,
    why: 'they build and load copies of the library without the sanitizers',
  },
  { never: true, title: /^the search for the C library/, why: 'they look for the release build' },
  { never: true, title: /plain \.async\(\) of koffi corrupts memory/, why: 'they corrupt memory on purpose' },
  { never: true, title: /as AddressSanitizer finds/, why: 'they bring an AddressSanitizer of their own' },
  { never: true, title: /README\.md: snippet 1 /, why: 'it reads freed memory on purpose' },
  {
    never: true,
    title: /^memory that is given back while Node works on it/,
    why: 'they bring an allocator of their own',
  },
  {
    never: true,
    title: /^a service that answers with C memory/,
    why: 'it measures memory, and takes ten times as long',
  },
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

async function others(): Promise<Tally> {
  const files = everything.filter((file) => !quick.unit.includes(file) && !quick.behaviour.includes(file));
  return tallyOf(await runTests({ files, known: knownHere, partial: true, timeout: 120_000 }));
}

async function sanitized(): Promise<Tally> {
  const library = await sanitizedLibrary();
  const reports = join(root, 'build/asan/reports');
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const result = await runTests({
    files: everything,
    known: [...unsanitized, ...knownHere],
    timeout: 300_000,
    environment: {
      ...library,
      PATH: pathWithoutSanitizers(['cc', 'c++', 'gcc', 'g++', 'clang', 'cmake', 'make', 'pkg-config']),
      CSLICE_REPORTS: reports,
      NODE_OPTIONS: `--require=${join(import.meta.dirname, 'name-process.cjs')}`,
      ASAN_OPTIONS: `detect_leaks=1:malloc_context_size=2:log_path=${join(reports, 'report')}`,
      UBSAN_OPTIONS: `print_stacktrace=1:log_path=${join(reports, 'report')}`,
      // A leak is a report, and no test's failure.
      LSAN_OPTIONS: `suppressions=${join(import.meta.dirname, 'lsan.supp')}:print_suppressions=0:exitcode=0`,
    },
  });
  const found = reportsIn(reports);
  const { passed, total, lines = [] } = tallyOf(result);
  const why = unsanitized.map((known) => `without ${known.title.source}: ${known.why}`);
  const expected = expectedReports.map((known) => `leaks of ${known.program.source}: ${known.why}`);
  return {
    passed,
    total: total + found.length,
    figures: `${found.length} reports`,
    lines: [...lines, ...found, ...why, ...expected],
  };
}

async function walked(operations: number): Promise<Tally> {
  const program = ['test/programs/properties/walk.ts', String(operations)];
  const output = await must([process.execPath, ...flags.node, ...program]);
  const { operations: done, worlds, seed } = JSON.parse(output.trim().split('\n').at(-1) ?? '');
  const figures = `${done} operations (CSLICE_SEED=${seed}), 0 differences from the model`;
  return { passed: worlds, total: worlds, figures };
}

async function pressed(more: readonly string[], ...imports: string[]): Promise<Tally> {
  const command = [process.execPath, ...more, ...flags.node];
  const files = testFiles('unit', 'behaviour/moved-buffers');
  return tallyOf(
    await runTests({
      files,
      command,
      imports,
      timeout: 120_000,
      partial: true,
      known: knownHere,
    }),
  );
}

async function underPressure(report: Report): Promise<void> {
  for (const flag of ['--stress-compaction', '--jitless', '--no-opt']) {
    await report.proof(`js unit tests with ${flag}`, () => pressed([flag]));
  }
  const program = join(root, 'test/programs/collect-at-every-step.ts');
  await report.proof('js unit tests with a collection at every step', () => pressed([], program));
}

function check({ title, peak, bar, wrong }: Figure): Tally {
  const figures = `${title}: peak ${peak} MiB, bar ${bar} MiB`;
  if (wrong !== undefined || peak > bar) throw new Failure(`${figures}${wrong === undefined ? '' : `, ${wrong}`}`);
  return { passed: 1, total: 1, figures };
}

function limited(): Tally {
  const { peakMebibytesLive, code, mostHeld, again, fraction } = measureLimit(64, 10_000);
  const right = peakMebibytesLive <= 64 && code === 'ERR_CSLICE_LIMIT' && mostHeld === 64 && !again && !fraction;
  const dropped = `10,000 slices dropped in one job, ${peakMebibytesLive} MiB live at most`;
  return { passed: right ? 1 : 0, total: 1, figures: `${dropped}; ${mostHeld} MiB held, then ${code}` };
}

function recycled(): Tally {
  const { count, early, wrong, broken, liveBlocks, recycled: times } = measureRecycled(1_000_000);
  const right = early + wrong + broken === 0 && liveBlocks === 1;
  const adopted = `${count} times adopted, ${times} times recycled by malloc`;
  const figures = `${adopted}: ${early} ended early, ${wrong} not ended once, ${broken} broken`;
  return { passed: right ? 1 : 0, total: 1, figures };
}

async function measured(report: Report): Promise<void> {
  for (const flood of floods) await report.proof('js memory', () => check(measureFlood(flood)));
  await report.proof('js memory', () => check(measureService()));
  await report.proof('js limit of 64 MiB', limited);
  await report.proof('js one address', recycled);
}

export const proof: Proof = {
  about: 'the TypeScript side: the long tests, all tests under sanitizers, random worlds, V8 under pressure, memory',
  options: { operations: { type: 'string', default: '100000' } },
  parts: ['tests', 'asan', 'walk', 'pressure', 'memory'],
  async prove(report, args) {
    const operations = args.count('operations', 1) ?? 100_000;
    await buildPackage();
    const proofs: Readonly<Record<string, () => Promise<void>>> = {
      tests: () => report.proof('js tests that npm test leaves out', others),
      asan: () => report.proof('js tests under asan, ubsan and lsan', sanitized),
      walk: () => report.proof('js worlds walked at random', () => walked(operations)),
      pressure: () => underPressure(report),
      memory: () => measured(report),
    };
    for (const part of args.parts) await proofs[part]?.();
  },
};
