import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { locate } from '../../lib/native/locate.ts';
import { temporary } from '../helpers/fixture.ts';
import { runForJson } from '../helpers/run.ts';

const root = join(import.meta.dirname, '../..');
const consumer = fileURLToPath(new URL('../fixtures/consumer.cpp', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

let prefix: string;
/** lib, or lib64 on some systems. */
let libraries: string;
let environment: NodeJS.ProcessEnv;

function run(command: string, args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The flags that pkg-config has for what is asked. */
function flags(...options: string[]): string[] {
  return run('pkg-config', [...options, 'cslice'])
    .trim()
    .split(/\s+/);
}

/** Builds the example's library by its CMakeLists. Returns the path. */
function buildExample(name: string, ...options: string[]): string {
  const directory = temporary(name);
  run('cmake', ['-S', join(root, 'examples/progress'), '-B', directory, `-DCMAKE_PREFIX_PATH=${prefix}`, ...options]);
  run('cmake', ['--build', directory]);
  return join(directory, 'libsieve.so');
}

/** Builds it by one call of the compiler. */
function compileExample(name: string, ...options: string[]): string {
  const library = temporary(name);
  const source = join(root, 'examples/progress/sieve.c');
  const cslice = flags('--cflags', '--libs');
  run('cc', ['-shared', '-fPIC', '-pthread', '-o', library, source, ...cslice, '-Wl,-z,nodelete', ...options]);
  return library;
}

interface Loaded {
  /** The files of cslice that the process has mapped. */
  copies?: string[];
  /** Whether stats() counts a block that the C library made. */
  counted?: boolean;
  error?: string;
}

function load(first: 'c' | 'js', library: string, env: NodeJS.ProcessEnv = {}): Loaded {
  return runForJson('load-order.ts', { args: [first, library], env });
}

describe('the installed C interface', function () {
  this.timeout(60_000);

  before(() => {
    const first = temporary('installed');
    execFileSync('cmake', ['--install', join(root, 'build/release'), '--prefix', first], { stdio: 'ignore' });
    prefix = temporary('moved');
    renameSync(first, prefix); // nothing that was installed may know where
    libraries = join(prefix, existsSync(join(prefix, 'lib64')) ? 'lib64' : 'lib');
    environment = { ...process.env, PKG_CONFIG_PATH: join(libraries, 'pkgconfig') };
  });

  it('is a header, a library, a pkg-config file and a CMake package', () => {
    const files = [
      'pkgconfig/cslice.pc',
      'cmake/cslice/cslice-config.cmake',
      'cmake/cslice/cslice-config-version.cmake',
    ];
    for (const file of files) expect(existsSync(join(libraries, file)), file).to.equal(true);
    const header = readFileSync(join(prefix, 'include/cslice.h'), 'utf8');
    expect(header).to.equal(readFileSync(join(root, 'csrc/cslice.h'), 'utf8'));
  });

  it('has the version of the npm package', () => {
    expect(flags('--modversion')).to.deep.equal([version]);
  });

  it('compiles and runs from C++ without a warning', () => {
    const program = temporary('consumer');
    const strict = ['-std=c++14', '-Wall', '-Wextra', '-Wpedantic', '-Wold-style-cast', '-Werror', '-pthread'];
    const cslice = [...flags('--cflags', '--libs'), `-Wl,-rpath,${libraries}`];
    run('c++', [...strict, consumer, '-o', program, ...cslice]);
    expect(run(program, [])).to.equal('counted\n3\n1 given back, 0 live, 2 by C\nthe C allocator has no memory left\n');
  });

  it('is found by CMake in its own minor version and in no other', () => {
    const project = temporary('versions');
    mkdirSync(project);
    const find = (wanted: string): number | null => {
      const lines = [
        'cmake_minimum_required(VERSION 3.21)',
        'project(versions NONE)',
        `find_package(cslice ${wanted})`,
      ];
      writeFileSync(
        join(project, 'CMakeLists.txt'),
        [...lines, 'if(NOT TARGET cslice::cslice)', 'message(FATAL_ERROR)', 'endif()'].join('\n'),
      );
      const options = ['--fresh', '-S', project, '-B', join(project, 'build'), `-DCMAKE_PREFIX_PATH=${prefix}`];
      return spawnSync('cmake', options, { stdio: 'ignore' }).status;
    };
    const [major = 0, minor = 0] = version.split('.').map(Number);
    expect(find(`${major}.${minor}`)).to.equal(0);
    expect(find(`${major}.${minor + 1}`)).to.equal(1);
    expect(find(`${major + 1}`)).to.equal(1);
  });

  it('is what the example of docs/c-interface.md is built with, which prints what it says', function () {
    if (process.platform !== 'linux') this.skip();
    const text = readFileSync(join(root, 'docs/c-interface.md'), 'utf8');
    const [, c = '', js = '', output] = /```c\n(.*?)```.*?```js\n(.*?)```\n+```text\n(.*?)```/s.exec(text) ?? [];
    const directory = mkdtempSync(join(root, 'build', 'snippet-')); // inside the package, which it imports by name
    try {
      writeFileSync(join(directory, 'ramp.c'), c);
      writeFileSync(join(directory, 'main.mjs'), js);
      const library = ['-o', join(directory, 'libramp.so'), join(directory, 'ramp.c')];
      run('cc', ['-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', ...library, ...flags('--cflags', '--libs')]);
      const args = ['--import=tsx', 'main.mjs'];
      expect(execFileSync(process.execPath, args, { cwd: directory, encoding: 'utf8' })).to.equal(output);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  describe('in a Node process', () => {
    let byCmake: string;
    let withPath: string;
    /** The copy that cslice loads by itself, and the installed one. */
    let ours: string;
    let installed: string;

    before(function () {
      if (process.platform !== 'linux') this.skip();
      byCmake = buildExample('by-cmake');
      withPath = compileExample('libwithpath.so', `-Wl,-rpath,${libraries}`);
      ours = realpathSync(locate());
      installed = realpathSync(join(libraries, 'libcslice.so'));
    });

    const oneCopy = ({ copies, counted, error }: Loaded): string => {
      expect(error).to.equal(undefined);
      expect(copies).to.have.lengthOf(1);
      expect(counted, 'a block that C made is in stats()').to.equal(true);
      return copies?.[0] ?? '';
    };

    it('is the copy that Node has loaded, for a library built by the CMake package', () => {
      expect(oneCopy(load('js', byCmake))).to.equal(ours);
    });

    it('is that copy for a library built by CMake with pkg-config', () => {
      const library = buildExample('by-pkg-config', '-DSIEVE_PKG_CONFIG=ON');
      expect(oneCopy(load('js', library))).to.equal(ours);
    });

    it('is that copy even for a library that knows a path to the installed one', () => {
      expect(oneCopy(load('js', withPath))).to.equal(ours);
    });

    it('is missing where the library comes first and knows no path: nothing is loaded', () => {
      const { error } = load('c', byCmake);
      expect(error).to.match(/libcslice\.so\.\d+: cannot open shared object file/);
    });

    it('is a second copy where the library comes first and knows a path, as the documents warn', () => {
      const { copies, counted } = load('c', withPath);
      expect(copies).to.have.members([ours, installed]);
      expect(counted).to.equal(false);
    });

    it('is one copy in either order where CSLICE_LIBRARY names the installed file', () => {
      const env = { CSLICE_LIBRARY: join(libraries, 'libcslice.so') };
      expect(oneCopy(load('c', withPath, env))).to.equal(installed);
      expect(oneCopy(load('js', withPath, env))).to.equal(installed);
    });
  });
});
