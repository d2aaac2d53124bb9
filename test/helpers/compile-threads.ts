import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { compile } from './fixture.ts';

let compiled: string | undefined;

/** The path of the library of threads.c. */
export function compileThreads(): string {
  compiled ??= compile('threads.c', 'threads.so');
  return compiled;
}

/** The environment in which a process of Node has AddressSanitizer's allocator; undefined where the compiler has none. */
export function underSanitizer(): NodeJS.ProcessEnv | undefined {
  const libasan = execFileSync('cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
  if (process.platform !== 'linux' || !libasan.startsWith('/') || !existsSync(libasan)) return undefined;
  return { LD_PRELOAD: libasan, ASAN_OPTIONS: 'detect_leaks=0' }; // Node itself leaks at its end
}
