/** The oldest of many live slices is released for each new one. */
import { Slice } from 'cslice';
import { numberArgument, perOperation, report } from '../harness/measure.ts';

const [byteLength, count] = [numberArgument(), numberArgument(1)];
const live = Array.from({ length: count }, () => Slice.alloc(byteLength));
let oldest = 0;
report(
  await perOperation(() => {
    (live[oldest] as Slice).release();
    live[oldest] = Slice.alloc(byteLength);
    oldest = oldest + 1 === count ? 0 : oldest + 1;
  }),
);
