import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { quietLoader } from './run.ts';

const root = join(import.meta.dirname, '../..');

export interface Ended {
  /** The exit code, or the signal that ended the process. */
  readonly status: number | string | null;
  /** What it wrote to stdout and stderr. */
  readonly output: string;
}

/** Runs a command in the package's directory to its end. Kills it after `limitMs`; what it has written is not lost. */
export function start(
  command: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  limitMs: number = 30 * 60_000,
): Promise<Ended> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...quietLoader, ...environment };
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env });
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        output += chunk;
      });
    }
    child.on('error', reject);
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      resolve({ status: signal ?? status, output });
    });
  });
}
