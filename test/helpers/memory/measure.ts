import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

function newest(directory: string, extension: string): number {
  const files = readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' });
  const times = files
    .filter((file) => file.endsWith(extension))
    .map((file) => statSync(join(root, directory, file)).mtimeMs);
  return Math.max(0, ...times);
}

/** The built package where it is of today: no loader takes memory then. Else its source. */
function loader(): string[] {
  try {
    if (newest('dist', '.js') >= newest('lib', '.ts')) return [];
  } catch {}
  return ['--import', 'tsx'];
}

/** What a program of test/programs/memory prints, in a process of its own. */
export function measure<T>(program: string, ...args: (string | number)[]): T {
  const options = ['--expose-gc', ...loader(), join(root, 'test/programs/memory', program)];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [...options, ...args.map(String)], {
    cwd: root,
    encoding: 'utf8',
    timeout: 300_000,
  });
  if (status !== 0) throw new Error(`${program} ended with ${signal ?? status}\n${stdout}\n${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T;
}
