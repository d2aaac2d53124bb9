import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../../harness/measure.ts';
import { free, malloc, UnsafePointerView } from './libc.ts';

const byteLength = numberArgument();
const size = BigInt(byteLength);
report(
  await perOperation(() => {
    const pointer = malloc(size);
    do_not_optimize(new Uint8Array(UnsafePointerView.getArrayBuffer(pointer, byteLength)));
    free(pointer);
  }),
);
