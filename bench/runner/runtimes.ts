import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Program, RuntimeName } from '../comparisons.ts';
import { output, peerModules } from './paths.ts';

export interface Runtime {
  readonly version: string;
  /** The command line of a program. */
  command(program: Program): [string, ...string[]];
}

/** A runtime, or why there is none. */
export type Found = Runtime | string;

export function outputOf(command: string, ...args: string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

/** Another JavaScript runtime: where a variable says, where `npm run bench:peers` puts it, or on the PATH. */
function javaScript(name: string, variable: string, onPath: string[], ...flags: string[]): Found {
  const named = process.env[variable];
  const installed = join(peerModules, '.bin', name);
  const candidates = named === undefined ? [...(existsSync(installed) ? [installed] : []), ...onPath] : [named];
  for (const candidate of candidates) {
    const version = outputOf(candidate, '--version')?.split('\n', 1)[0];
    if (version !== undefined) return { version, command: (program) => [candidate, ...flags, ...scriptOf(program)] };
  }
  return `not found: npm run bench:peers installs it, or ${variable} names one`;
}

function scriptOf({ file, args }: Program): string[] {
  return [join(output, `${file}.js`), ...args.map(String)];
}

const finders: Record<RuntimeName, () => Found> = {
  node: () => ({
    version: process.version,
    command: (program) => [process.execPath, '--expose-gc', ...scriptOf(program)],
  }),
  node26: () => javaScript('node', 'CSLICE_BENCH_NODE26', [], '--expose-gc', '--experimental-ffi'),
  bun: () => javaScript('bun', 'CSLICE_BENCH_BUN', ['bun'], '--expose-gc'),
  deno: () => javaScript('deno', 'CSLICE_BENCH_DENO', ['deno'], 'run', '--allow-all', '--v8-flags=--expose-gc'),
};

const found = new Map<RuntimeName, Found>();

export function runtimeOf(name: RuntimeName): Found {
  let runtime = found.get(name);
  if (runtime === undefined) {
    runtime = finders[name]();
    found.set(name, runtime);
  }
  return runtime;
}

/** The runtimes asked for so far. */
export function foundRuntimes(): ReadonlyMap<RuntimeName, Found> {
  return found;
}
