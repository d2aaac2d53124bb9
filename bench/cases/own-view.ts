import { Slice } from 'cslice';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../harness/measure.ts';

const byteLength = numberArgument();
// malloc, which the peers call, does not zero either. It only shows from some KiB on: a small block keeps the default.
const options = byteLength > 4096 ? { zero: false } : undefined;
report(
  await perOperation(() => {
    const slice = Slice.alloc(byteLength, options);
    do_not_optimize(slice.bytes);
    slice.release();
  }),
);
