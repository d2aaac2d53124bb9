/** What two threads do to share a slice, without the second thread: its wake-up would drown all the rest. */
import { Slice } from 'cslice';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../harness/measure.ts';

const slice = Slice.alloc(numberArgument());
report(
  await perOperation(() => {
    const other = Slice.attach(structuredClone(slice.toSharedBuffer()));
    do_not_optimize(other.bytes);
    other.release();
  }),
);
