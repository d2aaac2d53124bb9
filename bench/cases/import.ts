/** Milliseconds for a process that imports one module and ends. `details` has the import alone, seen from inside. */
import { spawnSync } from 'node:child_process';
import { report } from '../harness/measure.ts';

const name = process.argv[2];
const repeats = Math.max(3, Math.round(Number(process.env.CSLICE_BENCH_MS ?? 500) / 25)); // starts scatter widely

const program = `
  const start = performance.now();
  await import(${JSON.stringify(name)});
  console.log(JSON.stringify({ wall: performance.now() - start, cpu: process.cpuUsage().user / 1000 }));
`;

interface Run {
  whole: number;
  wall: number;
  cpu: number;
}

function run(): Run {
  const start = performance.now();
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const whole = performance.now() - start;
  if (status !== 0) throw new Error(`import of ${name} ended with ${status}`);
  return { whole, ...JSON.parse(stdout) };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] as number;
}

const runs = Array.from({ length: repeats }, run);
report({
  value: median(runs.map(({ whole }) => whole)),
  details: { import: median(runs.map(({ wall }) => wall)), cpu: median(runs.map(({ cpu }) => cpu)) },
});
