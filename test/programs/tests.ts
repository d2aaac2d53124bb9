/**
 * Runs test files by mocha, in this thread or in a worker, and notes what comes of each test in a file that outlives
 * a crash. Runs in Node, Bun and Deno. See helpers/runner.ts, which starts it.
 */
import { appendFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import Mocha from 'mocha';
import { runtime } from '../helpers/engine.ts';

export interface Task {
  readonly files: readonly string[];
  /** Where to note, a line of JSON for each event. */
  readonly notes: string;
  readonly worker: boolean;
  /** In milliseconds, for each test. */
  readonly timeout: number;
  /** Sources of regular expressions. Tests whose full title matches one are left out, or are the only ones to run. */
  readonly titles: readonly string[];
  readonly run: 'others' | 'only';
  /** Full titles of tests that an earlier process has run. */
  readonly done: readonly string[];
  /** Modules to import before the files. */
  readonly imports: readonly string[];
}

export type Note =
  | { readonly event: 'started'; readonly title: string }
  | {
      readonly event: 'passed' | 'skipped' | 'failed';
      readonly title: string;
      readonly file: string;
      readonly detail: string;
    }
  /** With the number of tests that were left out because of their titles. */
  | { readonly event: 'ended'; readonly left: number };

async function load(mocha: Mocha, { files, imports }: Task): Promise<void> {
  for (const path of imports) await import(pathToFileURL(path).href);
  for (const file of files) {
    mocha.suite.emit('pre-require', globalThis as never, file, mocha);
    await import(pathToFileURL(file).href);
    mocha.suite.emit('post-require', globalThis as never, file, mocha);
  }
  const { mochaHooks } = await import('../helpers/quiet.ts');
  mocha.rootHooks(mochaHooks);
}

/** Takes tests out of the suite. Returns how many were left out because of their titles. */
function select(suite: Mocha.Suite, { titles, run, done }: Task): number {
  const named = new RegExp(titles.length === 0 ? '(?!)' : titles.map((title) => `(?:${title})`).join('|'));
  const seen = new Set<string>();
  let left = 0;
  const visit = (visited: Mocha.Suite): void => {
    visited.tests = visited.tests.filter((test) => {
      const title = test.fullTitle();
      if (seen.has(title)) throw new Error(`Two tests have the title: ${title}`);
      seen.add(title);
      const chosen = named.test(title) === (run === 'only');
      if (!chosen) left++;
      return chosen && !done.includes(title);
    });
    visited.suites.forEach(visit);
  };
  visit(suite);
  return left;
}

function testsOf(suite: Mocha.Suite): Mocha.Test[] {
  return [...suite.tests, ...suite.suites.flatMap(testsOf)];
}

/** Resolves to whether every test has passed. */
async function runTests(task: Task): Promise<boolean> {
  const note = (line: Note): void => appendFileSync(task.notes, `${JSON.stringify(line)}\n`);
  const mocha = new Mocha({ ui: 'bdd', timeout: task.timeout, reporter: class {} as never });
  await load(mocha, task);
  const left = select(mocha.suite, task);
  const ahead = new Set<unknown>(testsOf(mocha.suite));
  const ended = (event: 'passed' | 'skipped' | 'failed', test: Mocha.Runnable, detail: string): void => {
    ahead.delete(test);
    note({ event, title: test.fullTitle(), file: test.file ?? task.files[0] ?? '', detail });
  };
  const failures = await new Promise<number>((resolve) => {
    const runner = mocha.run(resolve);
    runner.on('test', (test) => note({ event: 'started', title: test.fullTitle() }));
    runner.on('pass', (test) => ended('passed', test, ''));
    runner.on('pending', (test) => ended('skipped', test, 'it skips itself'));
    runner.on('fail', (test, error: Error) => ended('failed', test, `${error}\n${error?.stack ?? ''}`));
  });
  for (const test of ahead) ended('failed', test as Mocha.Test, 'not run, since a hook failed');
  note({ event: 'ended', left });
  return failures === 0;
}

if (!isMainThread) {
  process.exitCode = (await runTests(workerData.task as Task)) ? 0 : 1;
} else {
  const task = JSON.parse(process.argv[2] ?? '') as Task;
  if (task.worker) {
    // A worker of Node does not inherit the TypeScript loader. The other runtimes need none.
    const program = new URL(runtime === 'node' ? './worker.mjs' : import.meta.url, import.meta.url);
    const worker = new Worker(program, { workerData: { program: import.meta.url, task } });
    worker.on('exit', (code) => {
      process.exitCode = code;
    });
  } else {
    process.exitCode = (await runTests(task)) ? 0 : 1;
    if (runtime === 'bun') process.exit(); // it waits for a socket that both sides have closed
  }
}
