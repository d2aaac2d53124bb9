import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root: string = fileURLToPath(new URL('../..', import.meta.url));
export const sources: string = join(root, 'bench');
/** Everything the benchmark makes, but for the charts and the results that it is asked to keep. */
export const output: string = join(root, 'build/bench');
/** Where `npm run bench:peers` puts other runtimes: not in the package's own node_modules, which `npm ci` rewrites. */
export const peerModules: string = join(root, 'build/peers/node_modules');
export const document: string = join(root, 'docs/benchmarks.md');
export const charts: string = join(root, 'docs/benchmarks');
