// Packs the package and uses the tarball as a newcomer would: in an empty project, with no install script allowed, from
// ESM, CommonJS and strict TypeScript under both module resolutions.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const project = mkdtempSync(join(tmpdir(), 'cslice-package-'));

// The library of this machine will do; `npm run prove package` packs all of them.
const env = { ...process.env, CSLICE_PACK: 'local' };

function run(command: string, args: string[], cwd = project): string {
  return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

const use = `
  using slice = Slice.fromString('hello');
  if (slice.text() !== 'hello' || slice.bytes.length !== 6) throw new Error('wrong text');
`;

const files: Record<string, string> = {
  'package.json': JSON.stringify({ name: 'newcomer', private: true, type: 'module' }),
  'esm.js': `import { Slice, stats } from 'cslice';
const slice = Slice.fromString('hello');
if (slice.text() !== 'hello') throw new Error('wrong text');
slice.release();
if (stats().liveBlocks !== 0) throw new Error('not released');
`,
  'commonjs.cjs': `const { Slice } = require('cslice');
const slice = Slice.fromString('hello');
if (slice.text() !== 'hello') throw new Error('wrong text');
slice.release();
`,
  'metrics.js': `import { registerPrometheus } from 'cslice/metrics';
try {
  registerPrometheus();
  throw new Error('there is no prom-client');
} catch (error) {
  if (error.code !== 'ERR_CSLICE_STATE' || !error.message.includes('prom-client cannot be loaded')) throw error;
}
`,
  'leak.js': `import { Slice } from 'cslice';
globalThis.kept = Slice.alloc(100);
`,
  'typed.ts': `import { Slice, type Stats, stats } from 'cslice';
import { type Registration, registerPrometheus } from 'cslice/metrics';
${use}
const bytes: Uint8Array<ArrayBuffer> = Slice.alloc(8).bytes;
const doubles: Float64Array = Slice.alloc(8).view(Float64Array);
const counts: Stats = stats();
export const metrics: () => Registration = () => registerPrometheus();
export { bytes, counts, doubles };
`,
  'typed-commonjs.cts': `import cslice = require('cslice');
cslice.Slice.alloc(8).release();
`,
};

function tsconfig(module: string, moduleResolution: string): string {
  return JSON.stringify({
    compilerOptions: {
      module,
      moduleResolution,
      target: 'es2022',
      lib: ['es2024', 'esnext.disposable'],
      strict: true,
      noEmit: true,
      types: ['node'],
    },
    files: module === 'nodenext' ? ['typed.ts', 'typed-commonjs.cts'] : ['typed.ts'],
  });
}

const checks: [string, () => void][] = [
  ['an import from ESM works', () => run(process.execPath, ['esm.js'])],
  ['a require from CommonJS works', () => run(process.execPath, ['commonjs.cjs'])],
  ['cslice/metrics works without its peers', () => run(process.execPath, ['metrics.js'])],
  ['npx cslice leaks reports a leak', () => expectStatus(1, ['cslice', 'leaks', '--', 'node', 'leak.js'])],
  ['npx cslice watch writes its page', watchIt],
  ['TypeScript accepts it under nodenext', () => check('nodenext', 'nodenext')],
  ['TypeScript accepts it under bundler', () => check('preserve', 'bundler')],
];

function expectStatus(wanted: number, args: string[]): void {
  const { status, stdout, stderr } = spawnSync('npx', ['--no-install', ...args], { cwd: project, encoding: 'utf8' });
  if (status !== wanted) throw new Error(`npx ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`);
}

function watchIt(): void {
  expectStatus(0, ['cslice', 'watch', '--output', 'page.html', '--', 'node', 'leak.js']);
  if (!readFileSync(join(project, 'page.html'), 'utf8').includes('100 B in 1 block was live'))
    throw new Error('wrong page');
}

function check(module: string, moduleResolution: string): void {
  writeFileSync(join(project, 'tsconfig.json'), tsconfig(module, moduleResolution));
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.']);
}

try {
  const tarball = run('npm', ['pack', '--silent', '--pack-destination', project], root).trim().split('\n').at(-1) ?? '';
  for (const [name, text] of Object.entries(files)) writeFileSync(join(project, name), text);
  const types = `@types/node@${JSON.parse(readFileSync(join(root, 'node_modules/@types/node/package.json'), 'utf8')).version}`;
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', join(project, tarball), types]);
  for (const [name, test] of checks) {
    test();
    console.log(`  ✔ package: ${name}`);
  }
  console.log(`package: ${checks.length} of ${checks.length} passed (${tarball})`);
} finally {
  rmSync(project, { recursive: true, force: true });
}
