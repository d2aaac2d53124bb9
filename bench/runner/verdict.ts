import type { Bar } from '../comparisons.ts';
import type { Outcome, Result } from './rounds.ts';
import { ratioOf, type Spread } from './statistics.ts';

export interface Verdict {
  readonly bar: Bar;
  /** Of the subject to `bar.against`; undefined where one of them did not run. */
  readonly ratio: Spread | undefined;
  readonly reached: boolean | undefined;
}

export function valuesOf(outcome: Outcome | undefined): readonly number[] | undefined {
  return outcome === undefined || 'skipped' in outcome ? undefined : outcome.values;
}

export function subjectOf({ comparison, outcomes }: Result): Outcome {
  const name = comparison.programs[0]?.name as string;
  return outcomes.get(name) as Outcome;
}

export function verdictsOf(result: Result): Verdict[] {
  const subject = valuesOf(subjectOf(result));
  return result.comparison.bars.map((bar) => {
    const baseline = valuesOf(result.outcomes.get(bar.against));
    if (subject === undefined || baseline === undefined) return { bar, ratio: undefined, reached: undefined };
    const ratio = ratioOf(subject, baseline);
    return { bar, ratio, reached: ratio.median <= bar.atMost && ratio.median >= (bar.atLeast ?? 0) };
  });
}
