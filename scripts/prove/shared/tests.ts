import { type Result, testFiles } from '../../../test/helpers/runner.ts';
import type { Tally } from './report.ts';

export const everything: readonly string[] = testFiles('unit', 'behaviour', 'stress');

const long = testFiles(
  'behaviour/arguments',
  'behaviour/collection',
  'behaviour/docs',
  'behaviour/install',
  'behaviour/io',
  'behaviour/libraries',
  'behaviour/worker',
);

/** What `npm test` runs. */
export const quick: Readonly<Record<'unit' | 'behaviour', readonly string[]>> = {
  unit: testFiles('unit'),
  behaviour: testFiles('behaviour').filter((file) => !long.includes(file)),
};

/** What a run of test files comes to: tests that are known to fail, and do, count neither way. */
export function tallyOf({ passed, wrong, gaps }: Result): Tally {
  const total = passed + wrong.filter((line) => !line.startsWith('PASSED')).length;
  const stale = wrong.length > 0 && total === passed ? wrong.length : 0;
  return {
    passed: passed - stale,
    total,
    ...(gaps.length > 0 && { figures: `${gaps.length} known to fail` }),
    lines: wrong.map((line) => line.slice(0, 3000)),
  };
}
