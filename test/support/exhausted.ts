/** Fails each allocation of the first uses in turn: the slots, the mailbox, the block, its header. */
import { CSliceError } from '../../lib/errors.ts';
import { Slice, stats } from '../../lib/index.ts';
import { testFailAllocation } from '../../lib/native/symbols.ts';
import { free, malloc } from './blocks.ts';

function failEach(action: () => Slice): string {
  const codes = new Set<string>();
  for (let n = 1; ; n++) {
    const { allocatedBlocks, liveBytes } = stats();
    try {
      testFailAllocation(n);
      const slice = action();
      testFailAllocation(0);
      slice.release();
      return [...codes].join();
    } catch (error) {
      testFailAllocation(0);
      if (!(error instanceof CSliceError)) throw error;
      codes.add(error.code);
      const now = stats();
      if (now.allocatedBlocks !== allocatedBlocks || now.liveBytes !== liveBytes) throw new Error('left something');
    }
  }
}

const alloc = failEach(() => Slice.alloc(8));
const address = malloc(8);
let calls = 0;
const adopt = failEach(() =>
  Slice.adopt(address, 8, (at) => {
    calls++;
    free(at);
  }),
);
console.log(JSON.stringify({ alloc, adopt, calls, liveBlocks: stats().liveBlocks }));
