/** Drops blocks in many turns of the event loop, with no view of them seen and no gc() of ours. */
import { setImmediate as turn } from 'node:timers/promises';
import { Slice, stats } from '../../../lib/index.ts';
import { collectUntil } from '../../helpers/collect.ts';

const [count, byteLength] = [Number(process.argv[2]), Number(process.argv[3])];

for (let i = 0; i < count; i++) {
  Slice.alloc(byteLength, { zero: false });
  if (i % 10 === 0) await turn();
}
const { peakBytes } = stats();
await collectUntil(() => stats().liveBlocks === 0, 'no block is left', 30_000);
console.log(
  JSON.stringify({ peakMebibytesLive: Math.round(peakBytes / (1 << 20)), released: stats().releasedByCollection }),
);
