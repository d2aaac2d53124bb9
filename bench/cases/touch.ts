/** Milliseconds to allocate a block and write to each of its pages. */
import { Slice } from 'cslice';
import { medianOf, numberArgument, report } from '../harness/measure.ts';
import { touch } from '../harness/touch.ts';

const byteLength = numberArgument();
report(
  await medianOf(3, () => {
    const start = performance.now();
    const slice = Slice.alloc(byteLength);
    touch(slice.bytes);
    const milliseconds = performance.now() - start;
    slice.release();
    return milliseconds;
  }),
);
