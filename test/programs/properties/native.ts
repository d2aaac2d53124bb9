import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { type Destructor, destructor } from '../../../lib/index.ts';

/** As in native.c: an adopted block may be as long as this. */
export const nativeBytes = 16;

/** The counters of native.c. */
export interface Native {
  memory(name: number): bigint;
  ended(name: number): number;
  reset(name: number): void;
  /** One for each signature. */
  readonly destructors: readonly Destructor[];
}

export function openNative(): Native {
  const directory = mkdtempSync(join(tmpdir(), 'cslice-properties-'));
  try {
    const path = join(directory, 'native.so');
    const source = fileURLToPath(new URL('../../fixtures/native.c', import.meta.url));
    execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', path, source]);
    const library = koffi.load(path);
    return {
      memory: library.func('void *counted_memory(uint32_t i)'),
      ended: library.func('uint32_t counted_ended(uint32_t i)'),
      reset: library.func('void counted_reset(uint32_t i)'),
      destructors: [
        destructor(library, 'counted_free'),
        destructor(library, 'counted_free_sized', { signature: 'ptr,size' }),
        destructor(library, 'counted_free_in', { signature: 'ctx,ptr', context: 7n }),
      ],
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
