import { Arena } from 'cslice';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../harness/measure.ts';

const byteLength = numberArgument();
/** As many as a request of a service might make. */
const perArena = 1000;
let arena = new Arena();
let made = 0;
report(
  await perOperation(() => {
    if (made === perArena) {
      arena.release();
      arena = new Arena();
      made = 0;
    }
    made++;
    do_not_optimize(arena.alloc(byteLength));
  }),
);
