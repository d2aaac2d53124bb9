/** Runs programs of the attack in processes of their own, and goes on after each failure or crash. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Failed, Report, Task } from '../programs/attack/harness.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Plan {
  readonly seed: number;
  readonly from?: number;
  /** Before this unit. Default: as many as the time allows. */
  readonly to?: number;
  /** Ends once so many have been done. */
  readonly steps?: number;
  readonly milliseconds?: number;
  /** Ends after so many different failures. Default 1. */
  readonly mostFailures?: number;
  readonly without?: readonly string[];
  /** Another runtime than this process is. */
  readonly executable?: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly flags?: readonly string[];
  /** attack.c, compiled. */
  readonly library: string;
}

export interface Failure {
  readonly unit: number;
  readonly message: string;
  /** How many units failed in the same way. */
  times: number;
}

export interface Outcome {
  units: number;
  steps: number;
  readonly failures: Failure[];
  figures: Record<string, number>;
}

/** Names what differs between two failures of one cause by a sign. */
function kindOf(message: string): string {
  return (message.split('\nThe last operations')[0] ?? '')
    .replace(/\n.*at .*/g, '')
    .replace(/\d+n?/g, '#')
    .slice(0, 160);
}

function commandOf(executable: string, extra: readonly string[]): string[] {
  const name = basename(executable);
  if (name.startsWith('bun')) return [executable, '--expose-gc'];
  if (name.startsWith('deno')) return [executable, 'run', '--allow-all', '--v8-flags=--expose-gc'];
  return [executable, '--expose-gc', '--no-warnings', ...extra, '--import', 'tsx'];
}

/** Runs a program such as `walk.ts` until its units, the time or the failures are enough. */
export function drive(program: string, plan: Plan): Outcome {
  const {
    seed,
    mostFailures = 1,
    without = [],
    library,
    executable = process.execPath,
    flags = [],
    steps: mostSteps = 2 ** 40,
  } = plan;
  const end = Date.now() + (plan.milliseconds ?? 60_000);
  const outcome: Outcome = { units: 0, steps: 0, failures: [], figures: {} };
  const directory = mkdtempSync(join(tmpdir(), 'cslice-attack-'));
  const mark = join(directory, 'mark');
  const path = fileURLToPath(new URL(`../programs/attack/${program}`, import.meta.url));
  try {
    const to = plan.to ?? 2 ** 31;
    for (
      let from = plan.from ?? 0;
      from < to && Date.now() < end && outcome.failures.length < mostFailures && outcome.steps < mostSteps;
    ) {
      const steps = mostSteps - outcome.steps;
      const task: Task = { seed, from, to, steps, milliseconds: end - Date.now(), without, mark, library };
      const [file, ...args] = [...commandOf(executable, flags), path, JSON.stringify(task)];
      const child = spawnSync(file as string, args, {
        cwd: root,
        env: { ...process.env, ...plan.environment },
        stdio: ['ignore', 'pipe', 'pipe'],
        encoding: 'utf8',
        timeout: end - Date.now() + 30_000,
        killSignal: 'SIGKILL',
        maxBuffer: 1 << 26,
      });
      from = read(child, mark, from, outcome);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return outcome;
}

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The unit to go on with. */
function read(child: Ended, mark: string, from: number, outcome: Outcome): number {
  const lines = child.stdout.split('\n').filter((line) => line.startsWith('{'));
  const said = lines.flatMap((line) => parse(line));
  for (const each of said) if ('failure' in each) note(outcome, each.failure.unit, each.failure.message);
  const report = said.find((each) => 'next' in each);
  if (report === undefined) {
    const at = readMark(mark);
    const unit = at === '' ? from : Number.parseInt(at, 10);
    const stderr = child.stderr.split('\n').slice(0, 60).join('\n');
    note(outcome, unit, `The process ended with ${child.signal ?? `status ${child.status}`} in unit ${at}\n${stderr}`);
    outcome.units += unit - from;
    return unit + 1;
  }
  outcome.steps += report.steps;
  outcome.units += report.units;
  for (const [name, count] of Object.entries(report.figures ?? {})) {
    outcome.figures[name] = (outcome.figures[name] ?? 0) + count;
  }
  return report.next;
}

function parse(line: string): (Report | Failed)[] {
  try {
    return [JSON.parse(line) as Report | Failed];
  } catch {
    return []; // a line of something else
  }
}

function readMark(mark: string): string {
  try {
    return readFileSync(mark, 'utf8').trim();
  } catch {
    return '';
  }
}

function note({ failures }: Outcome, unit: number, message: string): void {
  const known = failures.find((failure) => kindOf(failure.message) === kindOf(message));
  if (known === undefined) failures.push({ unit, message, times: 1 });
  else known.times++;
}
