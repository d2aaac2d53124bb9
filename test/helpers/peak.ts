import { Slice, stats } from '../../lib/index.ts';

/** Slices over no memory at all, with which 1,000 bytes more are live than ever before. */
export function exceedPeak(): Slice[] {
  const { peakBytes, liveBytes } = stats();
  const slices: Slice[] = [];
  for (let left = peakBytes - liveBytes + 1000; left > 0; left -= slices.at(-1)?.byteLength ?? 0) {
    slices.push(Slice.adopt(4096n, Math.min(left, 2 ** 30), () => {}));
  }
  return slices;
}
