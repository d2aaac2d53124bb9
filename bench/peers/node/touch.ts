/** Milliseconds to allocate a Buffer and write to each of its pages. */
import { medianOf, numberArgument, report } from '../../harness/measure.ts';
import { touch } from '../../harness/touch.ts';

const byteLength = numberArgument();
report(
  await medianOf(3, () => {
    const start = performance.now();
    touch(Buffer.alloc(byteLength));
    return performance.now() - start;
  }),
);
