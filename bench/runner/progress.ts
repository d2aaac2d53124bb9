import type { Program } from '../comparisons/types.ts';

const { stderr } = process;

export interface Progress {
  step(id: string, round: number, rounds: number, program: Program): void;
  done(): void;
}

/** One line that changes on a terminal; elsewhere a line for each comparison. */
export function progressOf(total: number): Progress {
  let finished = 0;
  let shown: string | undefined;
  return {
    step(id, round, rounds, program) {
      if (stderr.isTTY) {
        const line = `[${finished + 1}/${total}] ${id}: round ${round + 1}/${rounds}, ${program.name}`;
        stderr.write(`\r\x1b[2K${line.slice(0, (stderr.columns ?? 80) - 1)}`);
      } else if (shown !== id) {
        stderr.write(`[${finished + 1}/${total}] ${id}, ${rounds} rounds\n`);
      }
      shown = id;
    },
    done() {
      finished++;
      if (stderr.isTTY) stderr.write('\r\x1b[2K');
    },
  };
}
