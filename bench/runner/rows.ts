/** The cells that the table on the terminal and the one in the document have in common. */
import { formatBar, formatOutcome, formatRatio, formatReading, formatSpread, formatWork } from './format.ts';
import type { Result } from './rounds.ts';
import { spreadOf } from './statistics.ts';
import { processorOf, ratioIfBoth, subjectOf, type Verdict, valuesOf, verdictsOf } from './verdict.ts';

export interface Row {
  readonly name: string;
  readonly subject: boolean;
  readonly skipped: string | undefined;
  /** Median, ratio to the subject; the same of processor time. Empty where there is none. */
  readonly cells: readonly [string, string, string, string];
}

export function headOf({ comparison: { unit } }: Result): string[] {
  const processor = unit === 'bytes' || unit === 'ms' ? '' : 'processor time';
  return [`median (min–max), ${unit}`, 'cslice ÷ this', processor, processor && 'cslice ÷ this'];
}

export function rowsOf(result: Result): Row[] {
  const { comparison, outcomes } = result;
  const ours = outcomes.get(subjectOf(result));
  return comparison.programs.map(({ name }) => {
    const subject = name === subjectOf(result);
    const outcome = outcomes.get(name);
    const values = valuesOf(outcome);
    if (values === undefined) {
      const skipped = outcome !== undefined && 'skipped' in outcome ? outcome.skipped : '';
      return { name, subject, skipped, cells: ['', '', '', ''] };
    }
    const processor = processorOf(outcome);
    const ratio = subject ? undefined : ratioIfBoth(valuesOf(ours), values);
    const processorRatio = subject ? undefined : ratioIfBoth(processorOf(ours), processor);
    const cells = [
      formatSpread(spreadOf(values)),
      ratio ? formatRatio(ratio) : '',
      processor ? formatSpread(spreadOf(processor)) : '',
      processorRatio ? formatRatio(processorRatio) : '',
    ] as const;
    return { name, subject, skipped: undefined, cells };
  });
}

export interface BarRow {
  readonly verdict: Verdict;
  readonly work: string;
  readonly reading: string;
  readonly processor: string;
  readonly bar: string;
  readonly outcome: string;
}

export function barRowsOf(result: Result): BarRow[] {
  return verdictsOf(result).map((verdict) => ({
    verdict,
    work: formatWork(verdict),
    reading: formatReading(verdict),
    processor: verdict.processor ? formatRatio(verdict.processor) : '',
    bar: formatBar(verdict, result.comparison.unit),
    outcome: formatOutcome(verdict),
  }));
}
