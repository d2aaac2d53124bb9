// A slice that frees its C memory when it is collected. Go: runtime.SetFinalizer(slice, func(...) { C.free(...) }).
// Run with --expose-gc, so that the program can ask for a collection.
import { setImmediate } from 'node:timers/promises';
import { Slice } from 'cslice';
import koffi from 'koffi';

const c = koffi.load(null);
const malloc = c.func('void *malloc(size_t size)');
const free = c.func('void free(void *memory)');

let freed = false;

/** Memory that C allocated. It is freed by `release()`, or once neither the slice nor a view of it is reachable. */
function newSlice(byteLength: number): Slice {
  return Slice.adopt(malloc(byteLength) as bigint, byteLength, (address) => {
    free(address);
    freed = true;
  });
}

newSlice(64).bytes.fill(1); // dropped at once

while (!freed) {
  globalThis.gc?.();
  await setImmediate();
}
console.log('collected: the C memory was freed');
