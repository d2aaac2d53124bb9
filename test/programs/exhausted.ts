/** Fails each allocation of the first uses in turn: the slots, the mailbox, the block, its header. */
import { Slice, stats } from '../../lib/index.ts';
import { free, malloc } from '../helpers/blocks.ts';
import { failEach } from '../helpers/fail-each.ts';

function codesOf(action: () => Slice): string {
  const { allocatedBlocks } = stats();
  const unchanged = (): void => {
    if (stats().allocatedBlocks !== allocatedBlocks) throw new Error('a block was made');
  };
  return failEach(action, (slice) => slice.release(), unchanged).codes.join();
}

const alloc = codesOf(() => Slice.alloc(8));
const address = malloc(8);
let calls = 0;
const adopt = codesOf(() =>
  Slice.adopt(address, 8, (at) => {
    calls++;
    free(at);
  }),
);
console.log(JSON.stringify({ alloc, adopt, calls, liveBlocks: stats().liveBlocks }));
