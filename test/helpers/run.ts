import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { flags, runtime } from './engine.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Outcome {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  args?: string[];
  /** For node itself. */
  flags?: string[];
  env?: NodeJS.ProcessEnv;
  /** Where its stdout goes: a file descriptor. Default: what the outcome holds. */
  stdout?: number;
}

/** Without it the loader reads its cache's directory in the background, and a release of memory in use would wait. */
export const quietLoader = { TSX_DISABLE_CACHE: '1' };

/** The command line that runs a TypeScript program of test/programs in a process of its own. */
export function command(program: string, args: string[] = []): string[] {
  const path = fileURLToPath(new URL(`../programs/${program}`, import.meta.url));
  return [process.execPath, ...flags[runtime], path, ...args];
}

/** Runs a program of test/programs, such as `collection/dropped.ts`, to its end. */
export function run(program: string, { args = [], flags: more = [], env = {}, stdout }: RunOptions = {}): Outcome {
  const [file, ...rest] = command(program, args) as [string, ...string[]];
  const result = spawnSync(file, [...more, ...rest], {
    cwd: root,
    env: { ...process.env, ...quietLoader, ...env },
    stdio: ['ignore', stdout ?? 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: 180_000,
    maxBuffer: 1 << 26,
  });
  return { status: result.status, signal: result.signal, stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
}

/** The JSON value that the program printed as its last line. Throws what it wrote to stderr if it failed. */
export function runForJson<T>(program: string, options?: RunOptions): T {
  const { status, signal, stdout, stderr } = run(program, options);
  if (status !== 0) throw new Error(`${program} ended with ${signal ?? status}\n${stdout}\n${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T;
}
