// Hooks of the tests under Stryker, which knows only of the process that runs them: mutants are active in the processes and
// threads that a test starts, too, and what is reached there counts as reached by the test.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const { mochaHooks: quiet } = await import(pathToFileURL(join(process.cwd(), 'test/helpers/quiet.ts')).href);

const path = join(tmpdir(), `cslice-mutants-${process.pid}`);
const preload = `--import=${new URL('./covered.mjs', import.meta.url).href}`;

/** The object that Stryker and the instrumented code share. */
const stryker = () => globalThis.__stryker__ ?? {};

/** What the hook of all tests reaches counts for none of them. */
async function beQuiet() {
  const shared = stryker();
  const { currentTestId } = shared;
  shared.currentTestId = 'quiet';
  await quiet.beforeEach();
  shared.currentTestId = currentTestId;
  delete shared.mutantCoverage?.perTest.quiet;
}

export const mochaHooks = {
  async beforeEach() {
    await beQuiet();
    // Stryker's messages to this process and from it are operations, for which memory that was seen would wait.
    for (let i = 0; i < 3; i++) await turn();
    const { activeMutant } = stryker();
    if (activeMutant !== undefined) {
      process.env.__STRYKER_ACTIVE_MUTANT__ = activeMutant;
      return;
    }
    process.env.CSLICE_MUTANTS_REACHED = path;
    process.env.NODE_OPTIONS = preload;
  },
  afterEach() {
    if (!existsSync(path)) return;
    const { currentTestId, mutantCoverage } = stryker();
    const reached = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    rmSync(path);
    if (currentTestId === undefined) return;
    mutantCoverage.perTest[currentTestId] ??= {};
    const counts = mutantCoverage.perTest[currentTestId];
    for (const mutant of reached) counts[mutant] = (counts[mutant] ?? 0) + 1;
  },
};
