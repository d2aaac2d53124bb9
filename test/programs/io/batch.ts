/**
 * Runs cells, whose names are in the file of its first argument, and writes a line before and after each: the process
 * that started this one then knows in which of them it ended. Bundled for every runtime; see runner.ts.
 */
import { once } from 'node:events';
import { readFileSync, writeSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { stats } from 'cslice';
import { type Cell, collected, judgeThread, runCell, type Surroundings, startInThread, type Verdict } from './cell.ts';
import { type CellName, cellOf, cells } from './matrix.ts';

export interface Task {
  readonly directory: string;
  readonly freed?: string;
  readonly cells: readonly CellName[];
}

export type Line = { readonly started: number } | ({ readonly ended: number } & Verdict);

const globals = globalThis as { gc?: (options?: object) => void; Bun?: { gc(force: boolean): void } };

function collect(young = false): void {
  if (globals.Bun !== undefined) globals.Bun.gc(!young);
  else if (young) globals.gc?.({ type: 'minor' });
  else globals.gc?.();
}

function surroundings(directory: string, freed: Surroundings['freed']): Surroundings {
  const key = readFileSync(`${directory}/key.pem`, 'utf8');
  const cert = readFileSync(`${directory}/cert.pem`, 'utf8');
  return { directory, key, cert, freed, uncaught: [], collect };
}

function tell(line: Line): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

/** Half of the threads end by themselves, at once, and the others are terminated a little later. */
async function runInThread(name: CellName, cell: Cell, around: Surroundings): Promise<Verdict> {
  const exits = cell.seed % 2 === 0;
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { name, directory: around.directory, exits },
    execArgv: [],
  });
  const ended = once(worker, 'exit');
  worker.on('error', () => {}); // what happens to the operation is no matter
  const started = new Promise((resolve) => worker.on('message', resolve));
  await Promise.race([started, ended]);
  if (!exits) {
    await new Promise((resolve) => setTimeout(resolve, cell.seed % 7));
    await worker.terminate();
  }
  await ended;
  return judgeThread(cell, around);
}

async function inThread(): Promise<void> {
  const { name, directory, exits } = workerData as { name: CellName; directory: string; exits: boolean };
  await startInThread(await cellOf(name), surroundings(directory, undefined));
  parentPort?.postMessage('started');
  if (exits) process.exit();
}

/** How many cells are run between two counts of the blocks that are left: each costs collections. */
const groupCells = 16;

async function attempt(name: CellName, around: Surroundings): Promise<Verdict> {
  try {
    const cell = await cellOf(name);
    return await (name.event === 'thread ended' ? runInThread(name, cell, around) : runCell(cell, around));
  } catch (error) {
    return { faults: [`it could not be tried: ${(error as Error).stack}`], arrived: 0 };
  }
}

async function runGroup(names: readonly CellName[], first: number, around: Surroundings): Promise<void> {
  const before = stats().liveBlocks;
  for (const [index, name] of names.entries()) {
    tell({ started: first + index });
    const verdict = await attempt(name, around);
    const last = index === names.length - 1;
    const left = last && (await collected(around, before)) > 0 ? await leavers(names, around) : [];
    tell({ ended: first + index, ...verdict, faults: [...verdict.faults, ...left] });
  }
}

/** Which of the cells leave blocks: each is run once more, by itself. */
async function leavers(names: readonly CellName[], around: Surroundings): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) {
    const before = stats().liveBlocks;
    await attempt(name, around);
    const left = await collected(around, before);
    if (left > 0) found.push(`${left} blocks were left by ${name.consumer} × ${name.source} × ${name.event}`);
  }
  return found.length > 0 ? found : ['blocks were left by this cell or one of the 15 before'];
}

async function inProcess(path: string): Promise<void> {
  const task = JSON.parse(readFileSync(path, 'utf8')) as Task;
  delete process.env.LD_PRELOAD; // not for the children of the cells
  const freed = task.freed === undefined ? undefined : (await import('./freed.ts')).watchFreed(task.freed);
  const around = surroundings(task.directory, freed);
  process.on('uncaughtException', (error) => around.uncaught.push(error));
  process.on('unhandledRejection', () => {}); // promises that only a stream has
  for (let at = 0; at < task.cells.length; at += groupCells) {
    await runGroup(task.cells.slice(at, at + groupCells), at, around);
  }
  process.exit(0);
}

if (!isMainThread) await inThread();
else if (process.argv[2] === '--list') console.log(JSON.stringify(await cells()));
else await inProcess(process.argv[2] ?? '');
