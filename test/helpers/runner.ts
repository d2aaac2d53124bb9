/** Runs test files in processes of their own, in any runtime, and says what came of each test. A crash is a failed test. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Note, Task } from '../programs/tests.ts';
import { withoutTools } from '../runtimes/tools.ts';
import { flags } from './engine.ts';
import { start } from './start.ts';

const project = join(import.meta.dirname, '../..');

/** Tests that cannot pass somewhere, and why. */
export interface Known {
  readonly title: RegExp;
  readonly why: string;
  /** Whether they pass in some runs. Their passing is no failure then. */
  readonly sometimes?: boolean;
  /** Whether they must not be started at all. Default: they are run, each must fail, and one that passes is reported. */
  readonly never?: boolean;
}

export interface Outcome {
  readonly file: string;
  readonly title: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  readonly detail: string;
}

export interface Run {
  readonly files: readonly string[];
  /** The directory of `lib` and `test`. Default: the project's. */
  readonly root?: string;
  /** The executable with its flags. Default: this Node. */
  readonly command?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  readonly worker?: boolean;
  readonly known?: readonly Known[];
  /** Whether `files` are a part, so that some of the known tests may be missing. */
  readonly partial?: boolean;
  /** In milliseconds, for each test. */
  readonly timeout?: number;
  /** How many processes at once. Default: as many as there are processors. */
  readonly jobs?: number;
  /** How many files a process runs. Default: one. */
  readonly together?: number;
  readonly imports?: readonly string[];
  /** Called with what is worth a line while the run goes on. */
  readonly tell?: (line: string) => void;
}

export interface Result {
  readonly passed: number;
  /** All but those that were not to be run. */
  readonly tests: number;
  /** What is wrong: a test that failed, or one that passed though it is known to fail. A paragraph each. */
  readonly wrong: readonly string[];
  /** The tests that failed as they were known to, a line each. */
  readonly gaps: readonly string[];
}

function readNotes(path: string): Note[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Note);
}

interface Part {
  readonly outcomes: Outcome[];
  readonly left: number;
}

/** Runs the tests that `which` chooses, and after each crash, in a new process, those that have not been run. */
async function runPart(
  files: readonly string[],
  run: Run,
  which: Pick<Task, 'titles' | 'run'>,
  directory: string,
): Promise<Part> {
  const {
    command = [process.execPath, ...flags.node],
    root = project,
    worker = false,
    timeout = 60_000,
    imports = [],
  } = run;
  const program = join(root, 'test/programs/tests.ts');
  const file = files.join(' ');
  const outcomes: Outcome[] = [];
  for (let crashes = 0; crashes < 100; crashes++) {
    const notes = join(directory, 'notes');
    rmSync(notes, { force: true });
    const task: Task = { files, notes, worker, timeout, imports, done: outcomes.map(({ title }) => title), ...which };
    const { status, output } = await start([...command, program, JSON.stringify(task)], run.environment, 900_000);
    let underWay: string | undefined;
    let left: number | undefined;
    let failures = 0;
    for (const note of readNotes(notes)) {
      if (note.event === 'started') underWay = note.title;
      else if (note.event === 'ended') left = note.left;
      else {
        underWay = undefined;
        if (note.event === 'failed') failures++;
        outcomes.push({ file: note.file, title: note.title, result: note.event, detail: note.detail });
      }
    }
    const detail = `the process ended with ${status}\n${output.slice(-6000)}`;
    if (left !== undefined) {
      if (failures === 0 && status !== 0)
        outcomes.push({ file, title: `the end of ${file}`, result: 'failed', detail });
      return { outcomes, left };
    }
    outcomes.push({ file, title: underWay ?? `the start of ${file}`, result: 'failed', detail });
    if (underWay === undefined) return { outcomes, left: 0 };
  }
  throw new Error(`${file}: a hundred crashes`);
}

/** First what must pass, then, apart from it, what is known to fail. */
async function runGroup(group: readonly string[], run: Run): Promise<Outcome[]> {
  const { known = [], root = project } = run;
  const directory = mkdtempSync(join(tmpdir(), 'cslice-tests-'));
  try {
    const files = group.map((file) => join(root, file));
    const titles = known.map(({ title }) => title.source);
    const { outcomes, left } = await runPart(files, run, { titles, run: 'others' }, directory);
    const tried = known.filter(({ never }) => never !== true).map(({ title }) => title.source);
    if (left === 0 || tried.length === 0) return outcomes;
    return [...outcomes, ...(await runPart(files, run, { titles: tried, run: 'only' }, directory)).outcomes];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function judge(outcomes: readonly Outcome[], { known = [], partial = false }: Run): Result {
  const wrong: string[] = [];
  const gaps: string[] = [];
  for (const { title, result, detail } of outcomes) {
    const gap = known.find((candidate) => candidate.title.test(title));
    if (gap === undefined) {
      if (result !== 'passed') wrong.push(`${result.toUpperCase()}: ${title}\n${detail}`);
    } else if (result !== 'passed') {
      gaps.push(`${title}: ${gap.why}`);
    } else if (gap.sometimes !== true) {
      wrong.push(`PASSED, though it is known to fail (${gap.title}): ${title}`);
    }
  }
  for (const { title, never } of known) {
    if (partial || never === true || outcomes.some((outcome) => title.test(outcome.title))) continue;
    wrong.push(`NO SUCH TEST: ${title}`);
  }
  return { passed: outcomes.filter(({ result }) => result === 'passed').length, tests: outcomes.length, wrong, gaps };
}

function lineOf(file: string, outcomes: readonly Outcome[], { known = [], root = project }: Run): string {
  const found = outcomes.filter((outcome) => outcome.file === join(root, file));
  const failed = found.filter(({ result }) => result !== 'passed');
  const gaps = failed.filter(({ title }) => known.some((candidate) => candidate.title.test(title)));
  const passed = `${found.length - failed.length} of ${found.length}`;
  const note = gaps.length === 0 ? '' : `, ${gaps.length} known to fail here`;
  return `${failed.length === gaps.length ? '✔' : '✘'} ${file}: ${passed}${note}`;
}

/** Runs the files, several processes at once, and compares what came of each test with what is known. */
export async function runTests(given: Run): Promise<Result> {
  const run: Run = { ...given, known: [...withoutTools, ...(given.known ?? [])] };
  const { files, jobs = availableParallelism(), together = 1, tell } = run;
  const outcomes: Outcome[] = [];
  const waiting = [...files];
  const lane = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = waiting.splice(0, together);
      const found = await runGroup(group, run);
      outcomes.push(...found);
      for (const file of group) tell?.(lineOf(file, found, run));
    }
  };
  await Promise.all(Array.from({ length: jobs }, lane));
  return judge(outcomes, run);
}

/** The test files below directories of test/, such as `unit`, and test files named as `behaviour/docs`. */
export function testFiles(...names: string[]): string[] {
  const all = readdirSync(join(project, 'test'), { recursive: true, encoding: 'utf8' }).sort();
  const named = (file: string): boolean =>
    names.some((name) => file === `${name}.test.ts` || file.startsWith(`${name}/`));
  return all.filter((file) => file.endsWith('.test.ts') && named(file)).map((file) => `test/${file}`);
}
