// The article's whole program: a slice over memory of malloc, filled, printed by JavaScript and by C, dropped and freed.
// Run with --expose-gc.
import { setImmediate } from 'node:timers/promises';
import { copy, func, Slice } from 'cslice';
import koffi from 'koffi';

const c = koffi.load(null);
const malloc = c.func('void *malloc(size_t size)');
const free = c.func('void free(void *memory)');
const printf = func(c, 'int printf(const char *format, const char *text)');
const fflush = func(c, 'int fflush(void *stream)');

const hex = (address: bigint): string => `0x${address.toString(16)}`;
let freed = false;

function newSlice(byteLength: number): Slice {
  const memory = malloc(byteLength) as bigint;
  console.log(`malloc: ${hex(memory)}`);
  return Slice.adopt(memory, byteLength, (address) => {
    free(address);
    console.log(`gc: ${hex(address)}`);
    freed = true;
  });
}

function main(): void {
  const text = Buffer.from('hello world!');
  const slice = newSlice(text.length);
  copy(slice, text);
  console.log(slice.toBuffer().toString());
  printf('print: %s\n', slice.text());
  fflush(null);
} // the slice is dropped here

main();
while (!freed) {
  globalThis.gc?.();
  await setImmediate();
}
