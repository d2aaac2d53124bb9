/**
 * A hook of mocha's before each test. Counts are those of the whole thread: what one test has dropped would else be
 * collected in the midst of a later one, at a moment that nobody chooses.
 */
import koffi from 'koffi';
import { stats } from '../../lib/diagnostics.ts';
import { collectOnce } from './collect.ts';

function live(): string {
  const { liveBlocks, liveBytes, liveHandles } = stats();
  return JSON.stringify([liveBlocks, liveBytes, liveHandles, koffi.stats().callbacks]);
}

/** What the files of tests keep for all of their tests. */
let kept = '';

export const mochaHooks = {
  /** Collects until only that is left, or what is left is the same after four collections. */
  async beforeEach(): Promise<void> {
    let before = live();
    for (let same = 0; before !== kept && same < 4; ) {
      await collectOnce();
      const now = live();
      same = now === before ? same + 1 : 0;
      before = now;
    }
    kept = before;
  },
};
