import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Program, RuntimeName } from '../comparisons/types.ts';
import { output, peerModules, sources } from './paths.ts';

export interface Runtime {
  readonly version: string;
  /** The command line of a program. */
  command(program: Program): [string, ...string[]];
}

/** A runtime, or why there is none. */
export type Found = Runtime | string;

/** What a command prints, or undefined if it fails or does not exist. */
export function outputOf(command: string, ...args: string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

const node: Runtime = {
  version: process.version,
  command: (program) => [process.execPath, '--expose-gc', ...scriptOf(program)],
};

/** Another JavaScript runtime: where a variable says, where `npm run bench:peers` puts it, or on the PATH. */
function javaScript(name: string, variable: string, onPath: string[], ...flags: string[]): Found {
  const named = process.env[variable];
  const installed = join(peerModules, '.bin', name);
  for (const candidate of named === undefined ? [installed, ...onPath] : [named]) {
    const version = outputOf(candidate, '--version')?.match(/v?\d[\w.]*/)?.[0];
    if (version !== undefined) return { version, command: (program) => [candidate, ...flags, ...scriptOf(program)] };
  }
  return `not found: npm run bench:peers installs it, or ${variable} names one`;
}

function scriptOf({ file, args }: Program): string[] {
  return [join(output, `${file}.js`), ...args.map(String)];
}

function ffiRs(): Found {
  const manifest = join(peerModules, 'ffi-rs/package.json');
  if (!existsSync(manifest)) return 'not found: npm run bench:peers installs it';
  return { ...node, version: JSON.parse(readFileSync(manifest, 'utf8')).version };
}

/** The system's own Python first: cffi is a package of the system. */
function python(): Found {
  const compiled = join(output, 'peers/cffi');
  process.env.CSLICE_BENCH_CFFI = compiled;
  mkdirSync(compiled, { recursive: true });
  const named = process.env.CSLICE_BENCH_PYTHON;
  for (const candidate of named === undefined ? ['/usr/bin/python3', 'python3'] : [named]) {
    if (outputOf(candidate, join(sources, 'peers/cffi/peer.py'), '--build', compiled) === undefined) continue;
    const versions = 'import sys, cffi; print(f"{sys.version.split()[0]}, cffi {cffi.__version__}")';
    return {
      version: outputOf(candidate, '-c', versions) ?? 'unknown',
      command: ({ file, args }) => [candidate, join(sources, `${file}.py`), ...args.map(String)],
    };
  }
  return 'not found: a python3 with cffi that can compile, or CSLICE_BENCH_PYTHON names one';
}

function go(): Found {
  const version = outputOf('go', 'env', 'GOVERSION');
  if (version === undefined) return 'go not found';
  const directory = join(sources, 'peers/go');
  const program = join(output, 'peers/go/newslice');
  try {
    execFileSync('go', ['build', '-o', program, '.'], { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    return `go build failed: ${(error as { stderr?: Buffer }).stderr?.toString().trim().split('\n', 1)[0]}`;
  }
  return { version, command: ({ args }) => [program, ...args.map(String)] };
}

const finders: Record<RuntimeName, () => Found> = {
  node: () => node,
  node26: () => javaScript('node', 'CSLICE_BENCH_NODE26', [], '--expose-gc', '--experimental-ffi'),
  bun: () => javaScript('bun', 'CSLICE_BENCH_BUN', ['bun'], '--expose-gc'),
  deno: () => javaScript('deno', 'CSLICE_BENCH_DENO', ['deno'], 'run', '--allow-all', '--v8-flags=--expose-gc'),
  'ffi-rs': ffiRs,
  python,
  go,
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
