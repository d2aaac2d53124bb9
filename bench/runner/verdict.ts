import type { Bar } from '../comparisons/types.ts';
import type { Outcome, Result } from './rounds.ts';
import { ratioOf, type Spread, spreadOf } from './statistics.ts';

export interface Verdict {
  readonly subject: string;
  readonly bar: Bar;
  /** The ratio, or the subject's own value; undefined where a program did not run. */
  readonly reading: Spread | undefined;
  readonly reached: boolean | undefined;
}

export function valuesOf(outcome: Outcome | undefined): readonly number[] | undefined {
  return outcome === undefined || 'skipped' in outcome ? undefined : outcome.values;
}

export function subjectOf({ comparison }: Result): string {
  return comparison.programs[0]?.name as string;
}

export function verdictsOf(result: Result): Verdict[] {
  return result.comparison.bars.map((bar) => {
    const subject = bar.subject ?? subjectOf(result);
    const reading = read(valuesOf(result.outcomes.get(subject)), bar, result);
    const reached = reading && reading.median <= bar.atMost && reading.median >= (bar.atLeast ?? 0);
    return { subject, bar, reading, reached };
  });
}

function read(subject: readonly number[] | undefined, { against }: Bar, { outcomes }: Result): Spread | undefined {
  if (subject === undefined) return undefined;
  if (against === undefined) return spreadOf(subject);
  const baseline = valuesOf(outcomes.get(against));
  return baseline && ratioOf(subject, baseline);
}
