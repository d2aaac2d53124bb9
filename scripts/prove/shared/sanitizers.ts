import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildPreset } from './report.ts';

const root = join(import.meta.dirname, '../../..');

function libraryOfCompiler(name: string): string {
  return spawnSync('cc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
}

/** Builds the C library with AddressSanitizer and UBSan. Returns the environment in which Node loads it. */
export async function sanitizedLibrary(): Promise<NodeJS.ProcessEnv> {
  await buildPreset('asan', '--target', 'cslice');
  return {
    CSLICE_LIBRARY: join(root, 'build/asan/libcslice.so'),
    LD_PRELOAD: [libraryOfCompiler('libasan.so'), libraryOfCompiler('libubsan.so')].join(' '),
  };
}

/** A PATH on which programs run without the sanitizers: compilers leak memory, and are no part of the proof. */
export function pathWithoutSanitizers(programs: readonly string[]): string {
  const directory = join(root, 'build/asan/bin');
  mkdirSync(directory, { recursive: true });
  for (const program of programs) {
    const real = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim();
    if (real === '') continue;
    const file = join(directory, program);
    writeFileSync(file, `#!/bin/sh\nunset LD_PRELOAD\nexec ${real} "$@"\n`);
    chmodSync(file, 0o755);
  }
  return `${directory}:${process.env.PATH}`;
}
