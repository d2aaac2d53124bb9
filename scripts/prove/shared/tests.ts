import { type Result, testFiles } from '../../../test/helpers/runner.ts';
import type { Tally } from './report.ts';

export const everything: readonly string[] = testFiles('unit', 'behaviour', 'stress');

/** What `npm test` runs: what takes a minute on two processors. */
export const quick: Readonly<Record<'unit' | 'behaviour', readonly string[]>> = {
  unit: testFiles('unit'),
  behaviour: testFiles(
    'behaviour/c-blocks',
    'behaviour/reentrancy',
    'behaviour/threads/copies',
    'behaviour/threads/realms',
  ),
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
