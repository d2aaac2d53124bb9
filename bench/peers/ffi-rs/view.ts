import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../../harness/measure.ts';
import { createExternalBuffer, free, malloc } from './libc.ts';

const byteLength = numberArgument();
report(
  await perOperation(() => {
    const pointer = malloc([byteLength]);
    do_not_optimize(createExternalBuffer(pointer, byteLength));
    free([pointer]);
  }),
);
