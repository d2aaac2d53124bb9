/** Allocation and release while many other slices are alive. */
import { Slice } from 'cslice';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../harness/measure.ts';

const [byteLength, count] = [numberArgument(), numberArgument(1)];
const live = Array.from({ length: count }, () => Slice.alloc(byteLength));
report(
  await perOperation(() => {
    Slice.alloc(byteLength).release();
  }),
);
do_not_optimize(live);
