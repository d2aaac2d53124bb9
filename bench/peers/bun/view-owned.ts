/** bun:ffi's way to own C memory: a view whose deallocator runs when it is collected. It has no release. */
import { dlopen, toArrayBuffer } from 'bun:ffi';
import { do_not_optimize } from 'mitata';
import { numberArgument, perDropped, report } from '../../harness/measure.ts';
import { malloc } from './libc.ts';

const [byteLength, count] = [numberArgument(), numberArgument(1)];
const { counted_free, counted_frees } = dlopen(new URL('../counted/libcounted.so', import.meta.url).pathname, {
  counted_free: { args: ['ptr', 'ptr'], returns: 'void' },
  counted_frees: { args: [], returns: 'u32' },
}).symbols;
report(
  await perDropped(
    count,
    () => {
      const buffer = toArrayBuffer(malloc(byteLength), 0, byteLength, null, counted_free.ptr);
      do_not_optimize(new Uint8Array(buffer));
    },
    counted_frees,
  ),
);
