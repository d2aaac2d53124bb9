import { toArrayBuffer } from 'bun:ffi';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../../harness/measure.ts';
import { free, malloc } from './libc.ts';

const byteLength = numberArgument();
report(
  await perOperation(() => {
    const address = malloc(byteLength);
    do_not_optimize(new Uint8Array(toArrayBuffer(address, 0, byteLength)));
    free(address);
  }),
);
