/** Drops many slices of every kind, then collects until none is left. */
import { Slice, stats } from '../../../lib/index.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { collectUntil } from '../../helpers/collect.ts';

const count = 20_000;
let destructors = 0;

function drop(i: number): void {
  switch (i % 4) {
    case 0:
      Slice.alloc(64);
      break;
    case 1:
      Slice.alloc(100).bytes.fill(1);
      break;
    case 2:
      Slice.fromString(`slice ${i}`).view(DataView).getUint8(0);
      break;
    default:
      Slice.adopt(malloc(32), 32, (address) => {
        destructors++;
        free(address);
      });
  }
}

for (let i = 0; i < count; i++) drop(i);
await collectUntil(() => stats().liveBlocks === 0, 'no block is left', 30_000);
const { liveBlocks, liveBytes, allocatedBlocks, releasedByCollection } = stats();
console.log(JSON.stringify({ count, liveBlocks, liveBytes, allocatedBlocks, releasedByCollection, destructors }));
