/** Deno has no deallocator: a FinalizationRegistry frees what is dropped. */
import { do_not_optimize } from 'mitata';
import { numberArgument, perDropped, report } from '../../harness/measure.ts';
import { free, malloc, type Pointer, UnsafePointerView } from './libc.ts';

const [byteLength, count] = [numberArgument(), numberArgument(1)];
const size = BigInt(byteLength);
let collected = 0;
const registry = new FinalizationRegistry<Pointer>((pointer) => {
  free(pointer);
  collected++;
});
report(
  await perDropped(
    count,
    () => {
      const pointer = malloc(size);
      const buffer = UnsafePointerView.getArrayBuffer(pointer, byteLength);
      registry.register(buffer, pointer);
      do_not_optimize(new Uint8Array(buffer));
    },
    () => collected,
  ),
);
