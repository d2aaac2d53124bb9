import { destructor, Slice } from 'cslice';
import koffi from 'koffi';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../harness/measure.ts';

const byteLength = numberArgument();
const libc = koffi.load(null);
const malloc: (size: number) => bigint = libc.func('void *malloc(size_t size)');
const free = destructor(libc, 'free');
report(
  await perOperation(() => {
    const slice = Slice.adopt(malloc(byteLength), byteLength, free);
    do_not_optimize(slice.bytes);
    slice.release();
  }),
);
