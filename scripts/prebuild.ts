// Puts the library that was built for this machine where a package carries it, named by platform and CPU.
import { copyFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';

const { locate } = await import('../lib/native/locate.ts');

const root = join(import.meta.dirname, '..');
const directory = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
const built = locate();
mkdirSync(directory, { recursive: true });
copyFileSync(built, join(directory, basename(built)));
console.log(`prebuilt ${basename(built)} for ${process.platform}-${process.arch}`);
