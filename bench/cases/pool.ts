import { Pool } from 'cslice';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../harness/measure.ts';

const pool = new Pool({ byteLength: numberArgument(), capacity: 4 });
report(
  await perOperation(() => {
    const slice = pool.rent();
    do_not_optimize(slice.bytes);
    slice.release();
  }),
);
