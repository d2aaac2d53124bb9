/** Runs the service once with slices and once with Buffers, with the clients in processes of their own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Counted, Load } from '../../programs/io/service/clients.ts';
import type { Left, Ready } from '../../programs/io/service/server.ts';
import { bundle, certify } from './runner.ts';

export interface ServiceOptions {
  readonly requests: number;
  readonly clients: number;
  readonly seed: number;
  readonly runtime?: string;
  /** Whether to run the service with Buffers too. */
  readonly compare: boolean;
}

export interface Served extends Counted, Left {
  readonly seconds: number;
}

export interface ServiceResult {
  readonly slices?: Served;
  readonly buffers?: Served;
  /** What ended before its time. */
  readonly died?: string;
}

/** As many as keep one server busy. */
const clientProcesses = 2;

/** The next message of a process, which fails if the process ends first. */
function message<T>(child: ChildProcess, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (value) => resolve(value as T));
    child.once('exit', (status, signal) => reject(new Error(`the ${what} ended with ${signal ?? status}`)));
  });
}

async function serve(
  kind: 'slice' | 'buffer',
  options: ServiceOptions,
  directory: string,
  programs: string,
): Promise<Served> {
  const environment = { execPath: options.runtime ?? process.execPath, execArgv: ['--expose-gc'] };
  const server = fork(join(programs, 'server.mjs'), [kind, directory], environment);
  const clients: ChildProcess[] = [];
  try {
    const ready = await message<Ready>(server, 'server');
    const died = message<Left>(server, 'server');
    const started = performance.now();
    const counts = Array.from({ length: clientProcesses }, (_, i) => {
      const load: Load = {
        ...ready,
        clients: Math.ceil(options.clients / clientProcesses),
        requests: Math.ceil(options.requests / clientProcesses),
        seed: options.seed + i,
      };
      const child = fork(join(programs, 'clients.mjs'), [JSON.stringify(load)], environment);
      clients.push(child);
      return message<Counted>(child, 'clients');
    });
    const all = await Promise.race([Promise.all(counts), died.then(() => [])]);
    const seconds = (performance.now() - started) / 1000;
    const ended = once(server, 'exit');
    server.send('finish');
    const left = await died;
    await ended;
    return { ...all.reduce(sum), ...left, seconds };
  } finally {
    for (const child of [server, ...clients]) child.kill();
  }
}

function sum(a: Counted, b: Counted): Counted {
  return {
    requests: a.requests + b.requests,
    slow: a.slow + b.slow,
    aborted: a.aborted + b.aborted,
    bytes: a.bytes + b.bytes,
    foreignBytes: a.foreignBytes + b.foreignBytes,
    foreignResponses: a.foreignResponses + b.foreignResponses,
    short: a.short + b.short,
    errors: [...a.errors, ...b.errors],
    examples: [...a.examples, ...b.examples],
  };
}

export async function runService(options: ServiceOptions): Promise<ServiceResult> {
  const directory = mkdtempSync(join(tmpdir(), 'cslice-service-'));
  const programs = await bundle('service/server', 'service/clients');
  try {
    certify(directory);
    const buffers = options.compare ? await serve('buffer', options, directory, programs) : undefined;
    const slices = await serve('slice', options, directory, programs).catch((error: Error) => error);
    const died = slices instanceof Error ? { died: slices.message } : { slices };
    return { ...died, ...(buffers !== undefined && { buffers }) };
  } finally {
    for (const path of [directory, programs]) rmSync(path, { recursive: true, force: true });
  }
}
