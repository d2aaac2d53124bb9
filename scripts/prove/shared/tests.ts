import { type Result, testFiles } from '../../../test/helpers/runner.ts';
import type { Tally } from './report.ts';

export const everything: readonly string[] = testFiles('unit', 'behaviour', 'stress');

/** What `npm test` runs: what takes a minute on two processors. */
export const quick: Readonly<Record<'unit' | 'behaviour', readonly string[]>> = {
  unit: testFiles('unit'),
  behaviour: testFiles(
    'behaviour/c-blocks',
    'behaviour/hooks',
    'behaviour/reentrancy',
    'behaviour/threads/copies',
    'behaviour/threads/realms',
  ),
};

/** What a run of test files comes to: tests that are known to fail, and do, count neither way. */
export function tallyOf({ passed, wrong, gaps }: Result): Tally {
  const stale = wrong.filter((line) => /^(PASSED|NO SUCH TEST)/.test(line)).length;
  const total = passed + wrong.length - stale;
  return {
    passed: Math.max(0, passed - stale),
    total,
    ...(gaps.length > 0 && { figures: `${gaps.length} known to fail` }),
    lines: wrong.map((line) => line.slice(0, 3000)),
  };
}
