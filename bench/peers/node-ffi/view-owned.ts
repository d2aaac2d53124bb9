/** node:ffi has no deallocator: a FinalizationRegistry frees what is dropped. */
import { toArrayBuffer } from 'node:ffi';
import { do_not_optimize } from 'mitata';
import { numberArgument, perDropped, report } from '../../harness/measure.ts';
import { free, malloc } from './libc.ts';

const [byteLength, count] = [numberArgument(), numberArgument(1)];
const size = BigInt(byteLength);
let collected = 0;
const registry = new FinalizationRegistry<bigint>((pointer) => {
  free(pointer);
  collected++;
});
report(
  await perDropped(
    count,
    () => {
      const pointer = malloc(size);
      const buffer = toArrayBuffer(pointer, byteLength, false);
      registry.register(buffer, pointer);
      do_not_optimize(new Uint8Array(buffer));
    },
    () => collected,
  ),
);
