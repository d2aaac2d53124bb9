// Removes the directories that the arguments name, relative to the package.
import { rmSync } from 'node:fs';
import { join } from 'node:path';

for (const directory of process.argv.slice(2)) {
  rmSync(join(import.meta.dirname, '..', directory), { recursive: true, force: true });
}
