/** Runs the user's command: signals go to it, and its end is ours. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { exitCodes } from './options.ts';

const passedOn: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGBREAK'];

export interface Running {
  readonly child: ChildProcess;
  /** The exit code that this process should have. */
  readonly ended: Promise<number>;
}

/** The terminal sends these to every process of its foreground, the command included. */
function comesFromTerminal(signal: NodeJS.Signals): boolean {
  return process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
}

export function run([file, ...args]: readonly [string, ...string[]], options: SpawnOptions): Running {
  const child = spawn(file, args, { shell: process.platform === 'win32' && !file.endsWith('.exe'), ...options });
  const listeners = passedOn.map((signal) => {
    const listener = () => {
      if (!comesFromTerminal(signal)) child.kill(signal);
    };
    try {
      process.on(signal, listener);
    } catch {
      // this system has no such signal
    }
    return () => process.off(signal, listener);
  });
  const ended = new Promise<number>((resolve) => {
    child.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      process.stderr.write(`cslice: ${file} cannot be run: ${message}\n`);
      resolve(code === 'ENOENT' ? exitCodes.notFound : exitCodes.cannotRun);
    });
    child.once('close', (code, signal) => {
      if (signal === null) resolve(code ?? 0);
      else resolve(exitCodes.signalled + constants.signals[signal]);
    });
  }).finally(() => {
    for (const remove of listeners) remove();
  });
  return { child, ended };
}
