import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { locate } from '../../lib/native/locate.ts';
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
  const library = locate();
  copyFileSync(library, join(prebuilds, basename(library)));
}

function compileCases(): void {
  run(join(root, 'node_modules/.bin/tsc'), '-p', join(sources, 'tsconfig.json'));
  writeFileSync(join(output, 'package.json'), '{ "type": "module" }\n'); // nameless: 'cslice' is the one installed here
}

function compileAddon(): void {
  const headers = createRequire(import.meta.url)('node-api-headers').include_dir;
  const source = join(sources, 'peers/addon/addon.c');
  const flags = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
  run('cc', '-O2', '-fPIC', ...flags, `-I${headers}`, source, '-o', join(output, 'peers/addon/addon.node'));
}

/** Builds the package (unless told not to), the cases and the addon. */
export function build(buildPackage: boolean): void {
  if (buildPackage) {
    run('npm', 'run', '--silent', 'build');
    rmSync(output, { recursive: true, force: true });
    installPackage();
  }
  compileCases();
  compileAddon();
}
