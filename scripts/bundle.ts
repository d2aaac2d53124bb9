// Bundles lib into dist. Classes and functions keep their names, for stack traces, `console.log` and heap snapshots.
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '..');

/** The entry points of the package by the name of their file in dist. */
const entries = { index: 'lib/index.ts', metrics: 'lib/metrics.ts' };

const bundle = await rolldown({
  cwd: root,
  input: entries,
  platform: 'node',
  external: ['koffi'],
  transform: { target: 'node20' },
});
await bundle.write({ dir: 'dist', format: 'esm', sourcemap: true, comments: false });
