/** Runs cells in processes of their own, so that one that ends a process is a cell that failed. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Line, Task } from '../../programs/io/batch.ts';
import type { CellName } from '../../programs/io/matrix.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export type Freed = 'poison' | 'unmap';

export interface Failure extends CellName {
  readonly freed: Freed;
  readonly faults: readonly string[];
}

export interface Laboratory {
  readonly directory: string;
  readonly program: string;
  readonly library: string;
  close(): void;
}

/** What every process needs: the program, in one file; the library that watches freed memory; a certificate. */
export async function laboratory(): Promise<Laboratory> {
  const directory = mkdtempSync(join(tmpdir(), 'cslice-io-'));
  const programs = await bundle('batch');
  const library = join(directory, 'freed.so');
  const source = fileURLToPath(new URL('../../fixtures/freed.c', import.meta.url));
  execFileSync('cc', ['-O2', '-Wall', '-Werror', '-shared', '-fPIC', '-o', library, source]);
  certify(directory);
  return {
    directory,
    program: join(programs, 'batch.mjs'),
    library,
    close() {
      for (const path of [directory, programs]) rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Programs of test/programs/io as JavaScript within the package, which they import by its name. Returns where they are. */
export async function bundle(...names: string[]): Promise<string> {
  mkdirSync(join(root, 'build'), { recursive: true });
  const outdir = mkdtempSync(join(root, 'build/io-'));
  await build({
    entryPoints: names.map((name) => fileURLToPath(new URL(`../../programs/io/${name}.ts`, import.meta.url))),
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true, // what a cell does not need is not loaded
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['cslice', 'koffi'],
    logLevel: 'error',
  });
  return outdir;
}

/** A key and a self-signed certificate for loopback. */
export function certify(directory: string): void {
  const files = ['-keyout', join(directory, 'key.pem'), '-out', join(directory, 'cert.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', '-subj', '/CN=localhost', ...kind, ...files], { stdio: 'ignore' });
}

export interface Runtime {
  readonly executable: string;
  readonly flags: readonly string[];
}

export const thisNode: Runtime = { executable: process.execPath, flags: ['--expose-gc'] };

/** Every cell that the runtime has. */
export function list({ executable, flags }: Runtime, { program }: Laboratory): CellName[] {
  const output = execFileSync(executable, [...flags, program, '--list'], {
    cwd: root,
    maxBuffer: 1 << 28,
    encoding: 'utf8',
  });
  return JSON.parse(output) as CellName[];
}

interface Ended {
  /** How many cells have been judged, the one included in which the process ended. */
  readonly done: number;
  readonly failures: readonly Failure[];
}

async function runBatch(cells: readonly CellName[], freed: Freed, runtime: Runtime, lab: Laboratory): Promise<Ended> {
  const directory = mkdtempSync(join(lab.directory, 'batch-'));
  for (const file of ['key.pem', 'cert.pem']) execFileSync('cp', [join(lab.directory, file), directory]);
  const task: Task = { directory, freed: lab.library, cells };
  writeFileSync(join(directory, 'task.json'), JSON.stringify(task));
  const child = spawn(runtime.executable, [...runtime.flags, lab.program, join(directory, 'task.json')], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', LD_PRELOAD: lab.library, FREED: freed, UV_THREADPOOL_SIZE: '1' },
  });
  let [output, errors] = ['', ''];
  const failures: Failure[] = [];
  let [started, ended] = [-1, -1];
  let timer: NodeJS.Timeout | undefined;
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  };
  const take = (line: Line): void => {
    wait();
    if ('started' in line) started = line.started;
    else {
      ended = line.ended;
      if (line.faults.length > 0) failures.push({ ...(cells[ended] as CellName), freed, faults: line.faults });
    }
  };
  wait();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (output + chunk).split('\n');
    output = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('{')) take(JSON.parse(line) as Line);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors = (errors + chunk).slice(-4000);
  });
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (...result) => resolve(result));
  });
  clearTimeout(timer);
  rmSync(directory, { recursive: true, force: true });
  if (started === ended && ended === cells.length - 1 && status === 0) return { done: cells.length, failures };
  const at = started > ended ? started : Math.max(ended, 0);
  const why = `the process ended with ${signal ?? status}: ${/freed\.c/.test(errors) ? errors : firstLine(errors)}`;
  if (cells[at]?.event === 'thread ended' && nodesOwn.test(why)) return { done: at + 1, failures };
  return { done: at + 1, failures: [...failures, { ...(cells[at] as CellName), freed, faults: [why] }] };
}

/** Node's own fault: a thread that ends while HTTP/2 or TLS reads may abort the process, with plain Buffers as well. */
const nodesOwn = /onread->IsFunction\(\)|FromJust Maybe value is Nothing/;

function firstLine(text: string): string {
  const lines = text.split('\n').filter((line) => /freed\.c|Error|assert|Assert|fatal|FATAL|panic/.test(line));
  return (lines[0] ?? text).trim().slice(0, 300);
}

export interface Result {
  readonly total: number;
  readonly failures: readonly Failure[];
}

export interface Settings {
  readonly runtime: Runtime;
  readonly freed: readonly Freed[];
  /** Processes at a time. */
  readonly jobs: number;
  /** Called for each cell that failed. */
  report?(failure: Failure): void;
}

const batchCells = 250;

export async function runAll(cells: readonly CellName[], settings: Settings, lab: Laboratory): Promise<Result> {
  const failures: Failure[] = [];
  const tasks: { readonly cells: readonly CellName[]; readonly freed: Freed }[] = [];
  for (const freed of settings.freed) {
    for (let at = 0; at < cells.length; at += batchCells)
      tasks.push({ cells: cells.slice(at, at + batchCells), freed });
  }
  const lane = async (): Promise<void> => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
      for (let rest = task.cells; rest.length > 0; ) {
        const result = await runBatch(rest, task.freed, settings.runtime, lab);
        for (const failure of result.failures) {
          failures.push(failure);
          settings.report?.(failure);
        }
        rest = rest.slice(result.done);
      }
    }
  };
  await Promise.all(Array.from({ length: settings.jobs }, lane));
  return { total: cells.length * settings.freed.length, failures };
}

export function show({ consumer, source, event, size, freed, faults }: Failure): string {
  return `${consumer} × ${source} × ${event} × ${size} B, ${freed}: ${faults.join('; ')}`;
}
