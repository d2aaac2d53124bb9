import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';

let directory: string | undefined;
let library: ReturnType<typeof koffi.load> | undefined;

// On the root suite: whichever test file comes first has the directory, and it goes after the last one.
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'cslice-test-'));
});

after(() => {
  if (directory === undefined) return;
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch (error) {
    if (process.platform !== 'win32') throw error; // Windows removes no library that is loaded
  }
});

/** A path for a temporary file of this run. */
export function temporary(name: string): string {
  if (directory === undefined) throw new Error('Only within a test');
  return join(directory, name);
}

/** Where the fixtures are compiled already, for the platforms whose tests cannot start a compiler. */
const compiled = process.env.CSLICE_FIXTURES;

/** Compiles a C file of test/fixtures to a shared library, with further arguments for the compiler. Returns its path. */
export function compile(source: string, name: string, args: readonly string[] = []): string {
  const isWindows = process.platform === 'win32';
  const output = temporary(isWindows ? name.replace(/\.so$/, '.dll') : name);
  if (compiled !== undefined) {
    copyFileSync(join(compiled, source.replace(/\.c$/, extname(output))), output);
    return output;
  }
  const path = fileURLToPath(new URL(`../fixtures/${source}`, import.meta.url));
  execFileSync(isWindows ? 'gcc' : 'cc', ['-shared', '-fPIC', '-o', output, path, ...args]);
  return output;
}

/** The library of fixture.c. */
export function fixture(): ReturnType<typeof koffi.load> {
  library ??= koffi.load(compile('fixture.c', 'fixture.so'));
  return library;
}

/** A block of memory from C's malloc, whose byte i is i mod 256. */
export function make(byteLength: number): bigint {
  return fixture().func('void *fixture_make(size_t size)')(byteLength);
}

export interface LastCall {
  calls: number;
  address: bigint;
  size: number;
  context: bigint;
}

/** How often a destructor of the fixture ran, and what the last one was called with. */
export function lastCall(): LastCall {
  const counts = new BigUint64Array(4);
  fixture().func('void fixture_last(void *counts)')(counts);
  const [calls, address, size, context] = Array.from(counts) as [bigint, bigint, bigint, bigint];
  return { calls: Number(calls), address, size: Number(size), context };
}
