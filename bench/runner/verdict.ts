import type { Bar } from '../comparisons/types.ts';
import type { Outcome, Result } from './rounds.ts';
import { ratioOf, type Spread, spreadOf } from './statistics.ts';

export interface Verdict {
  readonly subject: string;
  readonly bar: Bar;
  /** The ratio, or the subject's own value; undefined where a program did not run. */
  readonly reading: Spread | undefined;
  /** The same ratio of processor time, which a busy machine disturbs less. Undefined where it was not taken. */
  readonly processor: Spread | undefined;
  readonly reached: boolean | undefined;
}

type Values = readonly number[] | undefined;

export function valuesOf(outcome: Outcome | undefined): Values {
  return outcome === undefined || 'skipped' in outcome ? undefined : outcome.values;
}

/** Processor time for one operation, of all threads of the process. */
export function processorOf(outcome: Outcome | undefined): Values {
  if (outcome === undefined || 'skipped' in outcome) return undefined;
  const times = outcome.details.flatMap((details) => details?.cpu ?? []);
  return times.length === outcome.values.length ? times : undefined;
}

export function subjectOf({ comparison }: Result): string {
  return comparison.programs[0]?.name as string;
}

export function ratioIfBoth(subject: Values, baseline: Values): Spread | undefined {
  return subject && baseline && ratioOf(subject, baseline);
}

export function verdictsOf(result: Result): Verdict[] {
  const { comparison, outcomes } = result;
  return comparison.bars.map((bar) => {
    const subject = bar.subject ?? subjectOf(result);
    const ours = outcomes.get(subject);
    const values = valuesOf(ours);
    if (bar.against === undefined) {
      const reading = values && spreadOf(values);
      return { subject, bar, reading, processor: undefined, reached: reached(reading, bar) };
    }
    const theirs = outcomes.get(bar.against);
    const reading = ratioIfBoth(values, valuesOf(theirs));
    const processor = ratioIfBoth(processorOf(ours), processorOf(theirs));
    return { subject, bar, reading, processor, reached: reached(reading, bar) };
  });
}

function reached(reading: Spread | undefined, { atMost, atLeast = 0 }: Bar): boolean | undefined {
  return reading && reading.median <= atMost && reading.median >= atLeast;
}
