/** A million tracked blocks: how long the reports take, in ms, and how large they are. */
import { heapProfile, leakReport, liveBlocks, Slice, stats } from '../../../lib/index.ts';

const kept: Slice[] = [];
function make(): void {
  kept.push(Slice.alloc(16));
}
for (let i = 0; i < 1_000_000; i++) make();

function timed<T>(run: () => T): { ms: number; value: T } {
  const start = performance.now();
  const value = run();
  return { ms: Math.round(performance.now() - start), value };
}

const report = timed(() => leakReport());
const blocks = timed(() => liveBlocks());
const profile = timed(() => heapProfile());
const counts = timed(() => {
  for (let i = 0; i < 1000; i++) stats();
});
console.log(
  JSON.stringify({
    blocks: report.value.blocks,
    report: { ms: report.ms, length: report.value.text.length },
    live: { ms: blocks.ms, length: blocks.value.length },
    profile: { ms: profile.ms, length: profile.value.length },
    statsMicroseconds: counts.ms,
    rss: process.memoryUsage().rss,
  }),
);
kept.length = 0;
