import { expect } from 'chai';
import { collectGarbage } from '../../lib/core/collect.ts';
import { releaseKept } from '../../lib/core/free-list.ts';
import { CSliceError } from '../../lib/errors.ts';
import { stats } from '../../lib/index.ts';
import { testFailAllocation } from '../../lib/native/symbols.ts';

/** What must not have changed after a failure. The peak may: half of what was asked for was there for a moment. */
function kept(): unknown {
  const { liveBlocks, liveBytes } = stats();
  return { liveBlocks, liveBytes };
}

export interface Failures {
  failures: number;
  codes: string[];
}

/**
 * Runs `action` with its first allocation failing, then with its second, ... until none is left to fail. `undo` gets
 * what the one that succeeded returned. `unchanged` is called after each failure, when nothing may be live that was not.
 */
export function failEach<T>(
  action: () => T,
  undo: (result: T) => void = () => {},
  unchanged: () => void = () => {},
): Failures {
  const codes = new Set<string>();
  collectGarbage(); // of earlier tests, which a failed allocation would end as well
  for (let n = 1; n <= 100; n++) {
    const before = kept();
    releaseKept(); // or an allocation might need no memory
    try {
      testFailAllocation(n);
      const result = action();
      testFailAllocation(0);
      undo(result);
      return { failures: n - 1, codes: [...codes] };
    } catch (error) {
      testFailAllocation(0);
      if (!(error instanceof CSliceError)) throw error;
      codes.add(error.code);
      expect(kept(), `after failure ${n}`).to.deep.equal(before);
      unchanged();
    }
  }
  throw new Error('It still fails after a hundred allocations');
}
