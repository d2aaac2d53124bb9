import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { root } from './paths.ts';
import { foundRuntimes, outputOf } from './runtimes.ts';

export interface Machine {
  readonly cpu: string;
  readonly system: string;
  readonly memory: string;
  readonly load: string;
  /** Whether other processes took part of the processors when the runs began. */
  readonly busy: boolean;
  readonly date: string;
  readonly commit: string;
  readonly versions: Readonly<Record<string, string>>;
}

function versionOfPackage(directory: string): string {
  return JSON.parse(readFileSync(join(root, directory, 'package.json'), 'utf8')).version;
}

function commit(): string {
  const hash = outputOf('git', '-C', root, 'rev-parse', '--short', 'HEAD') ?? 'unknown';
  const changed = outputOf('git', '-C', root, 'status', '--porcelain', '--', 'lib', 'csrc') !== '';
  return changed ? `${hash} with changes` : hash;
}

/** What numbers mean nothing without. Call it after the runs: only then it is known which runtimes took part. */
export function describeMachine(started: Date, loadAtStart: number): Machine {
  const processors = cpus();
  const runtimes = [...foundRuntimes()].map(([name, found]) => [name, typeof found === 'string' ? '-' : found.version]);
  return {
    cpu: `${processors[0]?.model.trim() ?? 'unknown'} × ${processors.length}`,
    system: `${type()} ${release()} ${arch()}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    load: `${loadAtStart.toFixed(1)} before, ${(loadavg()[0] as number).toFixed(1)} after`,
    busy: loadAtStart > processors.length / 4,
    date: started.toISOString().slice(0, 16).replace('T', ' '),
    commit: commit(),
    versions: {
      cslice: versionOfPackage('.'),
      koffi: versionOfPackage('node_modules/koffi'),
      ...Object.fromEntries(runtimes.filter(([, version]) => version !== '-')),
    },
  };
}
