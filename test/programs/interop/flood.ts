/** Drops blocks that C made in one job that never yields. Says how much of them was live at most. */
import koffi from 'koffi';
import { func, stats } from '../../../lib/index.ts';
import { collectUntil } from '../../helpers/collect.ts';

const [path, count, byteLength] = [process.argv[2] as string, Number(process.argv[3]), Number(process.argv[4])];
const make = func(koffi.load(path), 'void *blk_new(size_t size)', { returns: 'block' });

function dropAfterUse(): void {
  make(byteLength).bytes[0] = 1;
}

for (let i = 0; i < count; i++) dropAfterUse();
const peakMebibytes = Math.round(stats().peakBytes / (1 << 20));
await collectUntil(() => stats().liveBlocks === 0, 'no block is left', 30_000);
console.log(JSON.stringify({ peakMebibytes, liveBlocks: stats().liveBlocks }));
