import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { locate } from '../../../lib/native/locate.ts';
import { compile, temporary } from '../../helpers/fixture.ts';
import { type Outcome, run } from '../../helpers/run.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const build = /cmake --preset release && cmake --build --preset release/;

/** As the error must name it: ` (glibc 2.36)`, ` (musl)`, or nothing where there is one C library only. */
function expectedLibc(): string {
  if (process.platform !== 'linux' || process.versions.bun !== undefined || 'Deno' in globalThis) return '';
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined ? ' (musl)' : ` (glibc ${header.glibcVersionRuntime})`;
}

const libc = expectedLibc();

function importWith(library: string, entry?: string): Outcome {
  return run('import.ts', { env: { CSLICE_LIBRARY: library }, args: entry === undefined ? [] : [entry] });
}

function expectFailure({ status, signal, stdout }: Outcome, problem: RegExp, paths: string[]): void {
  expect([status, signal]).to.deep.equal([0, null]);
  expect(stdout).to.match(/^ERR_CSLICE_LIBRARY CSliceError The C library of cslice for /);
  expect(stdout).to.contain(` for ${process.platform}-${process.arch}${libc} `);
  expect(stdout).to.match(problem);
  for (const path of paths) expect(stdout).to.contain(`\n  ${path}\n`);
  expect(stdout).to.match(build);
}

describe('the search for the C library', () => {
  it('finds a file that exists, in this checkout the local build or a prebuilt one', () => {
    const named = process.env.CSLICE_LIBRARY; // when this test runs over another build
    if (named) expect(locate()).to.equal(named);
    else expect(locate()).to.match(/(build[\\/]release|prebuilds[\\/][^\\/]+)[\\/]\S*cslice\.\w+$/);
  });

  it('takes the one that CSLICE_LIBRARY names', () => {
    const { status, stdout, stderr } = importWith(locate());
    expect(stderr).to.equal('');
    expect([status, stdout]).to.deep.equal([0, 'loaded\n']);
  });

  it('ignores an empty CSLICE_LIBRARY', () => {
    expect(importWith('').stdout).to.equal('loaded\n');
  });

  it('says what CSLICE_LIBRARY named and how to build the library, where there is no such file', () => {
    const path = temporary('no-such-library.so');
    const outcome = importWith(path);
    expectFailure(outcome, /was not found/, [path]);
    expect(outcome.stdout).to.match(/CSLICE_LIBRARY names it/);
  });

  it('says the same of a file that is not a library, with the reason', () => {
    const path = temporary('text.so');
    writeFileSync(path, 'This is not a shared library.\n');
    expectFailure(importWith(path), /cannot be loaded \(.+\)/, [path]);
  });

  it('says the same of a library that is another one', () => {
    const path = compile('fixture.c', 'other.so');
    expectFailure(importWith(path), /cannot be loaded \(.*cslice_abi_version.*\)/, [path]);
  });

  it('refuses a library of another ABI, with both version numbers', () => {
    const path = compile('wrong-abi.c', 'wrong-abi.so');
    expectFailure(importWith(path), /has ABI version 999, but this package needs \d+\./, [path]);
  });

  it('looks for a prebuilt one, then for the local build, and names both and where to build', () => {
    const copy = temporary('package');
    mkdirSync(copy);
    cpSync(join(root, 'lib'), join(copy, 'lib'), { recursive: true });
    cpSync(join(root, 'package.json'), join(copy, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'junction');
    const outcome = importWith('', join(copy, 'lib/index.ts'));
    const found = [...outcome.stdout.matchAll(/^ {2}(.*)$/gm)].map(([, path]) => path ?? '');
    expectFailure(outcome, /was not found/, found);
    expect(found.length).to.equal(2);
    expect(found[0]).to.match(new RegExp(`package/prebuilds/${process.platform}-${process.arch}/\\S+$`));
    expect(found[1]).to.match(/package\/build\/release\/\S+$/);
    expect(outcome.stdout).to.match(/Build it with: cd \S*\/package\/ && cmake/);
    expect(outcome.stdout).to.match(/If this is a bundle, leave cslice and koffi out of the bundle/);
  });
});
