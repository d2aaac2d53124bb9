/** The tests for Node for Windows under Wine: a copy in plain JavaScript, since Wine starts neither tsx's compiler nor gcc. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { transform } from 'esbuild';
import { must } from './report.ts';

const root = join(import.meta.dirname, '../../..');

/** Files that keep their names: Node takes JavaScript for TypeScript too. `using` is compiled, which Node 22 does not know. */
async function copySources(to: string): Promise<void> {
  for (const top of ['lib', 'test']) {
    for (const name of readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })) {
      const [from, target] = [join(root, top, name), join(to, top, name)];
      if (statSync(from).isDirectory()) continue;
      mkdirSync(dirname(target), { recursive: true });
      if (!name.endsWith('.ts')) cpSync(from, target);
      else {
        const source = readFileSync(from, 'utf8');
        const { code } = await transform(source, { loader: 'ts', format: 'esm', target: 'node22' });
        writeFileSync(target, code);
      }
    }
  }
}

/** By the compiler of the prebuilds, with the few functions of POSIX threads that they use. */
async function compileFixtures(to: string, zig: string): Promise<void> {
  mkdirSync(to, { recursive: true });
  const library = join(root, 'prebuilds/win32-x64/cslice.dll');
  const includes = ['csrc', 'test/fixtures/windows'].map((name) => `-I${join(root, name)}`);
  for (const name of ['fixture', 'objects', 'owned', 'threads', 'block', 'wrong-abi']) {
    const source = join(root, `test/fixtures/${name}.c`);
    const linked = name === 'block' ? [library] : [];
    const output = join(to, `${name}.dll`);
    await must([zig, 'cc', '-target', 'x86_64-windows-gnu', '-shared', ...includes, '-o', output, source, ...linked]);
  }
}

/** Makes the copy. `koffi` is koffi's package for Windows. */
export async function copyForWine(to: string, zig: string, koffi: string): Promise<void> {
  rmSync(to, { recursive: true, force: true });
  await copySources(to);
  await compileFixtures(join(to, 'fixtures'), zig);
  cpSync(join(root, 'package.json'), join(to, 'package.json'));
  cpSync(join(root, 'prebuilds/win32-x64'), join(to, 'prebuilds/win32-x64'), { recursive: true });
  const modules = join(to, 'node_modules');
  mkdirSync(join(modules, '@koromix'), { recursive: true });
  symlinkSync(koffi, join(modules, '@koromix/koffi-win32-x64'));
  for (const name of ['mocha', 'chai', 'koffi', 'fast-check', 'pure-rand']) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
}
