import { Slice } from 'cslice';
import { numberArgument, perOperation, report } from '../harness/measure.ts';

const byteLength = numberArgument();
report(
  await perOperation(() => {
    Slice.alloc(byteLength).release();
  }),
);
