import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Comparison, Program } from '../comparisons/types.ts';
import type { Measurement } from '../harness/measure.ts';
import { runtimeOf } from './runtimes.ts';

/** A program's result of every round, in order; or a word on why it has none. */
export type Outcome = { readonly values: number[]; readonly details: Measurement['details'][] } | { skipped: string };

export interface Result {
  readonly comparison: Comparison;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

export interface Settings {
  readonly rounds: number;
  /** Of measuring, for one program in one round. */
  readonly milliseconds: number;
}

/** Far above what any case takes: only a case that hangs gets there. */
const timeout = 300_000;

async function measure(program: Program, milliseconds: number): Promise<Measurement> {
  const runtime = runtimeOf(program.runtime);
  if (typeof runtime === 'string') throw new Error(runtime);
  const [command, ...args] = runtime.command(program);
  const env = { ...process.env, CSLICE_BENCH_MS: String(milliseconds), NODE_OPTIONS: '', NODE_NO_WARNINGS: '1' };
  const { stdout } = await promisify(execFile)(command, args, { env, timeout });
  return JSON.parse(stdout.trim().split('\n').at(-1) as string);
}

function reasonOf(error: unknown): string {
  const { stderr, message } = error as Error & { stderr?: string };
  const lines = (stderr || message).trim().split('\n');
  return lines.find((line) => /error|cannot|not found/i.test(line))?.trim() ?? (lines[0] as string);
}

/**
 * Runs the programs of a comparison in turn, each in a process of its own, round after round: whatever else the machine
 * is doing then falls on all of them. Every other round goes backwards, so that nobody always follows the same program.
 */
export async function runRounds(
  comparison: Comparison,
  { rounds, milliseconds }: Settings,
  progress: (round: number, program: Program) => void,
): Promise<Result> {
  const outcomes = new Map<string, Outcome>(
    comparison.programs.map(({ name }) => [name, { values: [], details: [] }] as const),
  );
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? comparison.programs : [...comparison.programs].reverse();
    for (const program of order) {
      const outcome = outcomes.get(program.name) as Outcome;
      if ('skipped' in outcome) continue;
      progress(round, program);
      try {
        const { value, details } = await measure(program, milliseconds);
        outcome.values.push(value);
        outcome.details.push(details);
      } catch (error) {
        outcomes.set(program.name, { skipped: reasonOf(error) });
      }
    }
  }
  return { comparison, outcomes };
}
