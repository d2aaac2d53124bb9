import { Slice, stats } from 'cslice';
import { do_not_optimize } from 'mitata';
import { numberArgument, perDropped, report } from '../harness/measure.ts';

const byteLength = numberArgument();
const options = byteLength > 4096 ? { zero: false } : undefined; // as malloc, which the peers call
report(
  await perDropped(
    10_000,
    () => do_not_optimize(Slice.alloc(byteLength, options).bytes),
    () => stats().releasedByCollection,
  ),
);
