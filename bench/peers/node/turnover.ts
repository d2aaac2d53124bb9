/** The oldest of many live objects is forgotten for each new one: what V8 alone asks for objects that live so long. */
import { numberArgument, perOperation, report } from '../../harness/measure.ts';

interface Four {
  one: object;
  two: number;
  three: number;
  four: undefined;
}

const count = numberArgument(1);
const held = {};
const make = (i: number): Four => ({ one: held, two: 2 ** 40 + i, three: 64, four: undefined });
const live = Array.from({ length: count }, (_, i) => make(i));
let oldest = 0;
report(
  await perOperation(() => {
    live[oldest] = make(oldest);
    oldest = oldest + 1 === count ? 0 : oldest + 1;
  }),
);
