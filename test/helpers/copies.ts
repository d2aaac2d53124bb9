import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

export type Package = typeof import('../../lib/index.ts');

/** Copies the package's files into a directory. Returns the URL of its entry; the C library stays where it was. */
export function copyPackage(directory: string): string {
  mkdirSync(directory);
  cpSync(join(root, 'lib'), join(directory, 'lib'), { recursive: true });
  for (const name of ['node_modules', 'build', 'prebuilds']) {
    if (existsSync(join(root, name))) symlinkSync(join(root, name), join(directory, name));
  }
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  return pathToFileURL(join(directory, 'lib/index.ts')).href;
}
