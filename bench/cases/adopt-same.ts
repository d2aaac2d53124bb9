/** Adoption alone, over memory that stays: the C allocator's share grows with the size, cslice's must not. */
import { destructor, Slice } from 'cslice';
import koffi from 'koffi';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../harness/measure.ts';

const byteLength = numberArgument();
const withView = process.argv[3] !== 'handle';
const libc = koffi.load(null);
const address: bigint = libc.func('void *malloc(size_t size)')(byteLength);
const doNothing = destructor(libc, 'abs'); // a C function that takes a pointer's register and touches nothing
report(
  await perOperation(() => {
    const slice = Slice.adopt(address, byteLength, doNothing);
    if (withView) do_not_optimize(slice.bytes);
    slice.release();
  }),
);
