/** Drops blocks in one job that never yields, each written through once. Says how much memory the process had at most. */
import { Slice, stats } from '../../../lib/index.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { collectUntil } from '../../helpers/collect.ts';

const [kind, count, byteLength] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

function make(): Slice {
  if (kind === 'adopt') return Slice.adopt(malloc(byteLength), byteLength, free);
  return Slice.alloc(byteLength, { zero: kind === 'zero' });
}

function dropAfterUse(i: number): void {
  const { bytes } = make();
  bytes.fill(i);
}

for (let i = 0; i < count; i++) dropAfterUse(i);

const peakMebibytes = Math.round(process.resourceUsage().maxRSS / 1024);
const inJob = stats();
await collectUntil(() => stats().liveBlocks === 0, 'no block is left', 30_000);
console.log(
  JSON.stringify({
    peakMebibytes,
    peakMebibytesLive: Math.round(inJob.peakBytes / (1 << 20)),
    releasedInJob: inJob.releasedByCollection,
    released: stats().releasedByCollection,
  }),
);
