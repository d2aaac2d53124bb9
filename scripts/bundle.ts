// Bundles lib into dist. Classes and functions keep their names, for stack traces, `console.log` and heap snapshots, and
// comments stay: the package has no other copy of the source, and needs no source maps.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '..');

/** The entry points of the package by the name of their file in dist. */
const entries = { index: 'lib/index.ts', metrics: 'lib/metrics.ts', cli: 'lib/cli.ts' };

/** What goes into dist as it is: uPlot for the page of `cslice watch`, and what that loads into other processes. */
const copies = {
  'preload.mjs': 'lib/cli/preload.mjs',
  'uplot/uPlot.iife.min.js': 'node_modules/uplot/dist/uPlot.iife.min.js',
  'uplot/uPlot.min.css': 'node_modules/uplot/dist/uPlot.min.css',
  'uplot/LICENSE': 'node_modules/uplot/LICENSE',
};

const bundle = await rolldown({
  cwd: root,
  input: entries,
  platform: 'node',
  external: ['koffi'],
  transform: { target: 'node20' },
});
await bundle.write({ dir: 'dist', format: 'esm', comments: true, chunkFileNames: '[name].js' });
mkdirSync(join(root, 'dist/uplot'), { recursive: true });
for (const [to, from] of Object.entries(copies)) copyFileSync(join(root, from), join(root, 'dist', to));
