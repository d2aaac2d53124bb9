// Loaded into the processes and threads that a test starts, while Stryker finds out which tests reach which mutants: writes
// the numbers of those that are reached here, at once, since a test may terminate what it has started. See tests.mjs.
import { appendFileSync } from 'node:fs';

const path = process.env.CSLICE_MUTANTS_REACHED;

if (path) {
  const reached = new Proxy(
    {},
    {
      set(target, mutant, count) {
        if (!(mutant in target)) appendFileSync(path, `${String(mutant)}\n`);
        return Reflect.set(target, mutant, count);
      },
    },
  );
  globalThis.__stryker__ ??= { mutantCoverage: { static: reached, perTest: {} } };
}
