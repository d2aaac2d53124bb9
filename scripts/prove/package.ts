// The package as the tools of its users see it: packed with the libraries of all platforms, and installed in a new project
// beside the real tools, from npm.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { start } from '../../test/helpers/start.ts';
import type { Proof } from './shared/proof.ts';
import { Failure, must, type Tally } from './shared/report.ts';

const tools = [
  'esbuild',
  'webpack',
  'webpack-cli',
  'rollup',
  'publint',
  '@arethetypeswrong/cli',
  'vitest',
  'jest',
  'postject',
];

const program = `import { Slice, stats } from 'cslice';
const slice = Slice.fromString('works');
const text = slice.text();
slice.release();
console.log(text, stats().liveBlocks);
`;

const testOf = (imports: string, name: string): string => `${imports}
import { Slice, stats } from 'cslice';
test('${name}', () => {
  const slice = Slice.alloc(100);
  const { bytes } = slice;
  slice.release();
  if (bytes.length !== 0 || stats().liveBlocks !== 0) throw new Error('the view is not detached');
});
`;

const files: Readonly<Record<string, string>> = {
  'package.json': JSON.stringify({ name: 'user', private: true, type: 'module' }),
  'main.mjs': program,
  'webpack.config.cjs': `module.exports = {
  mode: 'production', target: 'node', entry: './main.mjs',
  output: { filename: 'webpack.cjs' },
  externals: { cslice: 'commonjs cslice', koffi: 'commonjs koffi' },
};`,
  'rollup.config.mjs': `export default { input: 'main.mjs', external: ['cslice', 'koffi'], output: { file: 'dist/rollup.mjs' } };`,
  'vitest/a.test.mjs': testOf(`import { test } from 'vitest';`, 'a'),
  'vitest/b.test.mjs': testOf(`import { test } from 'vitest';`, 'b'),
  'jest/a.test.mjs': testOf('', 'a'),
  'jest/b.test.mjs': testOf('', 'b'),
  'node/a.test.mjs': testOf(`import test from 'node:test';`, 'a'),
  'node/b.test.mjs': testOf(`import test from 'node:test';`, 'b'),
  'copies.mjs': `const first = await import('cslice');
const second = await import(import.meta.resolve('cslice') + '?second');
const [one, two] = [first.Slice.alloc(100), second.Slice.alloc(200)];
const views = [one.bytes, two.bytes];
console.log(first.Slice !== second.Slice, first.stats().liveBytes, second.stats().liveBytes);
one.release();
two.release();
console.log(...views.map((view) => view.length), first.stats().liveBlocks);
`,
  'sea.cjs': `const { createRequire } = require('node:module');
const { Slice } = createRequire(process.execPath)('cslice');
const slice = Slice.fromString('works');
console.log(slice.text());
`,
  'sea.json': JSON.stringify({ main: 'sea.cjs', output: 'sea.blob', disableExperimentalSEAWarning: true }),
};

function one(passed: boolean, output: string): Tally {
  return { passed: passed ? 1 : 0, total: 1, lines: passed ? [] : [output.slice(-3000)] };
}

export const proof: Proof = {
  about: 'the packed package, with the tools of its users: managers, bundlers, test runners, permissions',
  async prove(report) {
    const project = mkdtempSync(join(tmpdir(), 'cslice-user-'));
    const inProject = (command: string, directory = project): Promise<{ status: number | null; output: string }> =>
      start(['sh', '-c', `cd ${directory} && ${command}`], {
        PATH: `${project}/node_modules/.bin:${process.env.PATH}`,
      }) as Promise<{
        status: number | null;
        output: string;
      }>;
    const expect = (name: string, command: string, wanted: RegExp, status = 0): Promise<void> =>
      report.proof(name, async () => {
        const result = await inProject(command);
        return one((result.status === 0) === (status === 0) && wanted.test(result.output), result.output);
      });
    try {
      const printed = await must(['npm', 'pack', '--silent', '--pack-destination', project]);
      const tarball = join(project, printed.trim().split('\n').at(-1) ?? '');
      await report.proof('the package is below 600 KB', () => {
        const kilobytes = Math.ceil(statSync(tarball).size / 1000);
        return { ...one(kilobytes < 600, `${kilobytes} KB`), figures: `${kilobytes} KB` };
      });
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(project, name)), { recursive: true });
        writeFileSync(join(project, name), text);
      }
      await must([
        'npm',
        'install',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--prefix',
        project,
        tarball,
        ...tools,
      ]);
      await report.proof('it has no install script', () => {
        const { scripts = {} } = JSON.parse(readFileSync(join(project, 'node_modules/cslice/package.json'), 'utf8'));
        return one(!['preinstall', 'install', 'postinstall'].some((name) => name in scripts), JSON.stringify(scripts));
      });
      await expect('npm', 'node main.mjs', /works 0/);
      await expect('publint', `publint ${tarball} --strict`, /All good|No issues/i);
      await expect('Are the types wrong', `attw ${tarball} --profile esm-only`, /🟢 \(ESM\)/u);
      const bundle = 'esbuild main.mjs --bundle --platform=node --format=esm --log-level=error';
      await expect(
        'esbuild',
        `${bundle} --external:cslice --external:koffi --outfile=dist/e.mjs && node dist/e.mjs`,
        /works 0/,
      );
      await expect(
        'esbuild, with cslice in the bundle',
        `${bundle} --outfile=/tmp/cslice-bundled/e.mjs && node /tmp/cslice-bundled/e.mjs`,
        /ERR_CSLICE_LIBRARY[\s\S]*leave cslice and koffi out/,
        1,
      );
      await expect(
        'esbuild, with cslice in a bundle of CommonJS',
        'esbuild main.mjs --bundle --platform=node --log-level=error --outfile=/tmp/cslice-bundled/e.js && ' +
          'node /tmp/cslice-bundled/e.js',
        /leave cslice and koffi out[\s\S]*ERR_CSLICE_LIBRARY/,
        1,
      );
      await expect('webpack', 'webpack && node dist/webpack.cjs', /works 0/);
      await expect('rollup', 'rollup --silent -c && node dist/rollup.mjs', /works 0/);
      await expect('vitest', 'vitest run vitest', /2 passed/);
      await expect(
        'jest',
        'NODE_OPTIONS=--experimental-vm-modules jest --runInBand --testMatch "**/jest/*.mjs"',
        /2 passed/,
      );
      await expect('node --test', 'node --test node/', /pass 2/);
      await expect('two copies in one thread', 'node copies.mjs', /true 300 300\n0 0 0/);
      const permission = Number.parseInt(process.versions.node, 10) < 22 ? '--experimental-permission' : '--permission';
      const addons = Number.parseInt(process.versions.node, 10) < 22 ? '' : ' --allow-addons';
      await expect(
        `node ${permission}`,
        `node ${permission}${addons} --allow-fs-read='*' main.mjs`,
        addons === '' ? /ERR_DLOPEN_DISABLED|works 0/ : /works 0/,
        addons === '' ? 1 : 0,
      );
      await expect(
        'a single-executable application',
        'node --experimental-sea-config sea.json && cp "$(command -v node)" app && chmod +w app && postject app NODE_SEA_BLOB sea.blob --sentinel-fuse NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2 >/dev/null && ./app',
        /works/,
      );
      for (const [name, add, run] of [
        ['pnpm, isolated', 'npx --yes pnpm@10 add --ignore-scripts', 'node main.mjs'],
        ['pnpm, hoisted', 'npx --yes pnpm@10 add --ignore-scripts --config.node-linker=hoisted', 'node main.mjs'],
        [
          'yarn, node-modules',
          'export YARN_NODE_LINKER=node-modules && touch yarn.lock && npx --yes @yarnpkg/cli-dist@4 add',
          'node main.mjs',
        ],
        [
          'yarn, Plug and Play',
          'export YARN_NODE_LINKER=pnp && touch yarn.lock && npx --yes @yarnpkg/cli-dist@4 add',
          'npx --yes @yarnpkg/cli-dist@4 node main.mjs',
        ],
      ] as const) {
        await report.proof(name, async () => {
          const directory = mkdtempSync(join(tmpdir(), 'cslice-manager-'));
          writeFileSync(join(directory, 'package.json'), files['package.json'] ?? '');
          writeFileSync(join(directory, 'main.mjs'), program);
          const { output } = await inProject(`${add} cslice@file:${tarball} && ${run}`, directory);
          rmSync(directory, { recursive: true, force: true });
          return one(/works 0/.test(output), output);
        });
      }
      await report.proof('from the sources, with Node, cmake and cc alone', async () => {
        const installed = join(project, 'node_modules/cslice');
        rmSync(join(installed, 'prebuilds'), { recursive: true });
        const without = await inProject('node main.mjs');
        const [, command] = /Build it with: (cd \/.*)$/m.exec(without.output) ?? [];
        if (command === undefined) throw new Failure(without.output);
        const bin = join(project, 'bin-only');
        const links = ['node', 'cmake', 'make', 'cc', 'as', 'ld', 'ar', 'ranlib', 'sh', 'uname'];
        await must([
          'sh',
          '-c',
          `mkdir ${bin} && for each in ${links.join(' ')}; do ln -s "$(command -v $each)" ${bin}/; done`,
        ]);
        const { output } = await inProject(`export PATH=${bin} && ${command} && cd ${project} && node main.mjs`);
        return one(/works 0/.test(output), output);
      });
    } finally {
      rmSync(project, { recursive: true, force: true });
    }
  },
};
