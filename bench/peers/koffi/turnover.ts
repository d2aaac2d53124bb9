/** The oldest of many live blocks is freed for each new one: what C's allocator and the caches make of it. */
import { numberArgument, perOperation, report } from '../../harness/measure.ts';
import { free, malloc } from './libc.ts';

const [byteLength, count] = [numberArgument(), numberArgument(1)];
const live = Array.from({ length: count }, () => malloc(byteLength));
let oldest = 0;
report(
  await perOperation(() => {
    free(live[oldest] as number);
    live[oldest] = malloc(byteLength);
    oldest = oldest + 1 === count ? 0 : oldest + 1;
  }),
);
