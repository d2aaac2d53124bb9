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

/** What a program prints, in a line, for each unit that fails. */
export interface Failed {
  readonly failure: { readonly unit: number; readonly message: string };
}

/** The last line that a program prints. */
export interface Report {
  /** The unit after the last that was done. */
  readonly next: number;
  readonly units: number;
  /** What was done in all. */
  readonly steps: number;
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

export interface Serving {
  readonly figures?: () => Record<string, number>;
  /** Units do not depend on each other, so that a failure is noted and the next one done. */
  readonly goesOn?: boolean;
  /** How many units there are. */
  readonly units?: number;
}

/** Does units until they, the time, or a failure ends it. A unit says how many steps it was. */
export async function serve(unit: Unit, { figures, goesOn = false, units = 2 ** 31 }: Serving = {}): Promise<void> {
  Error.stackTraceLimit = 40;
  const task = JSON.parse(process.argv[2] ?? '') as Task;
  const marker = open(task);
  const end = Date.now() + task.milliseconds;
  let steps = 0;
  const report = (next: number): void => {
    const said: Report = { next, units: marker.unit - task.from, steps, figures: figures?.() };
    writeSync(1, `\n${JSON.stringify(said)}\n`);
  };
  const note = (error: unknown): void => {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    // At once: a later unit may end the process.
    writeSync(1, `\n${JSON.stringify({ failure: { unit: marker.unit, message: message.slice(0, 8000) } })}\n`);
  };
  process.on('uncaughtException', (error) => {
    note(error);
    if (goesOn) return;
    report(marker.unit + 1);
    process.exit(3);
  });
  process.on('warning', () => {});
  const last = Math.min(task.to, units);
  for (; marker.unit < last && steps < task.steps && Date.now() < end; marker.unit++) {
    marker.note('');
    try {
      steps += await unit(marker.unit, marker);
    } catch (error) {
      note(error);
      if (goesOn) continue;
      report(marker.unit + 1);
      process.exit(3);
    }
  }
  report(marker.unit >= units ? task.to : marker.unit);
  process.exit(0);
}
