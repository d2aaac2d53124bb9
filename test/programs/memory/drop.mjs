// Drops slices in one job that never yields. `kind` says how each has been used: `view`, written through a view;
// `unviewed`, filled by C and never viewed; `tiny`, not at all.
import { Slice, stats } from 'cslice';
import { collectUntil, peak } from './load.mjs';

const [kind, count, byteLength] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const source = new Uint8Array(byteLength).fill(1);

const uses = {
  view: (i) => {
    Slice.alloc(byteLength, { zero: false }).bytes.fill(i);
  },
  unviewed: () => {
    Slice.fromBytes(source);
  },
  tiny: () => {
    Slice.alloc(byteLength);
  },
};

const use = uses[kind];
const start = performance.now();
for (let i = 0; i < count; i++) use(i);
const nanoseconds = Math.round(((performance.now() - start) * 1e6) / count);
const peakMebibytes = peak();
const { releasedByCollection } = stats();
await collectUntil(() => stats().liveBlocks === 0);
const { liveBlocks } = stats();
console.log(JSON.stringify({ peakMebibytes, releasedInJob: releasedByCollection, liveBlocks, nanoseconds }));
