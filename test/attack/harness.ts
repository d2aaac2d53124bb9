/**
 * How a program of the attack is run: it does numbered units of work, notes which one is under way in a file that
 * outlives a crash, and prints what it did, or the first unit that failed.
 */
import { openSync, writeSync } from 'node:fs';

export interface Task {
  readonly seed: number;
  readonly from: number;
  /** Before this unit. */
  readonly to: number;
  readonly steps: number;
  readonly milliseconds: number;
  readonly without: readonly string[];
  /** Where the unit under way is noted. */
  readonly mark: string;
  /** attack.c, compiled. */
  readonly library: string;
}

/** The last line that a program prints. */
export interface Report {
  /** The unit after the last that was done. */
  readonly next: number;
  /** What was done in all. */
  readonly steps: number;
  /** What failed, by unit. */
  readonly failed?: string | undefined;
  readonly figures?: Readonly<Record<string, number>> | undefined;
}

export interface Marker {
  readonly task: Task;
  /** Notes synchronously what is done now. */
  note(what: string): void;
}

const width = 200;

function open(task: Task): Marker & { unit: number } {
  const file = openSync(task.mark, 'w');
  const marker = {
    task,
    unit: task.from,
    note(what: string): void {
      writeSync(file, `${marker.unit} ${what}`.slice(0, width).padEnd(width), 0);
    },
  };
  return marker;
}

export type Unit = (unit: number, marker: Marker) => Promise<number> | number;

/** Does units until they, the time, or the first failure ends it. A unit says how many steps it was. */
export async function serve(unit: Unit, figures?: () => Record<string, number>): Promise<void> {
  const task = JSON.parse(process.argv[2] ?? '') as Task;
  const marker = open(task);
  const end = Date.now() + task.milliseconds;
  let steps = 0;
  const report = (failed?: unknown): void => {
    const text = failed instanceof Error ? (failed.stack ?? failed.message) : failed;
    const next = failed === undefined ? marker.unit : marker.unit + 1;
    const said: Report = { next, steps, failed: text as string | undefined, figures: figures?.() };
    writeSync(1, `\n${JSON.stringify(said)}\n`);
  };
  process.on('uncaughtException', (error) => {
    report(error);
    process.exit(3);
  });
  process.on('warning', () => {});
  for (; marker.unit < task.to && steps < task.steps && Date.now() < end; marker.unit++) {
    marker.note('');
    try {
      steps += await unit(marker.unit, marker);
    } catch (error) {
      report(error);
      process.exit(3);
    }
  }
  report();
  process.exit(0);
}
