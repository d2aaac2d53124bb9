import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { output, root, sources } from './paths.ts';

/** What a command prints is of interest only if it fails. */
function run(command: string, ...args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed\n${error ?? `${stdout}${stderr}`}`);
}

/**
 * Installs the package as its users have it, built and in a node_modules: the loader that runs this program must not
 * be measured, and a rebuild during a long run must not matter.
 */
function installPackage(): void {
  const target = join(output, 'node_modules/cslice');
  rmSync(target, { recursive: true, force: true });
  const prebuilds = join(target, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(prebuilds, { recursive: true });
  copyFileSync(join(root, 'package.json'), join(target, 'package.json'));
  cpSync(join(root, 'dist'), join(target, 'dist'), { recursive: true });
  const built = join(root, 'build/release');
  const library = readdirSync(built).find((name) => /^(lib)?cslice\.(so|dylib|dll)$/.test(name));
  if (library === undefined) throw new Error(`no shared library in ${built}`);
  copyFileSync(join(built, library), join(prebuilds, library));
}

function compileCases(): void {
  run(join(root, 'node_modules/.bin/tsc'), '-p', join(sources, 'tsconfig.json'));
  // Nameless, so that 'cslice' is the one installed here. Deno resolves nothing that is not declared.
  const manifest = { type: 'module', dependencies: { cslice: '*', koffi: '*', mitata: '*' } };
  writeFileSync(join(output, 'package.json'), JSON.stringify(manifest));
}

function compileLibrary(source: string, target: string, ...flags: string[]): void {
  const path = join(output, target);
  mkdirSync(dirname(path), { recursive: true });
  run('cc', '-O2', '-fPIC', ...flags, join(sources, source), '-o', path);
}

function compilePeers(): void {
  const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers');
  const module = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
  compileLibrary('peers/addon/addon.c', 'peers/addon/addon.node', ...module, `-I${headers}`);
  compileLibrary('peers/counted/counted.c', 'peers/counted/libcounted.so', '-shared');
}

/** Builds the package (unless told not to), the cases and the C peers. */
export function build(buildPackage: boolean): void {
  if (buildPackage) {
    run('npm', 'run', '--silent', 'build');
    rmSync(output, { recursive: true, force: true });
    installPackage();
  }
  compileCases();
  compilePeers();
}
