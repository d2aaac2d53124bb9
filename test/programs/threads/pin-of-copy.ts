/** Pins a view of a slice by another copy of the package, and then releases the slice. */
import * as first from '../../../lib/index.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { collectManyTimes } from '../../helpers/collect.ts';
import type { Package } from '../../helpers/copies.ts';

const second: Package = await import(process.argv[2] as string);

let ended = 0;
const slice = first.Slice.adopt(malloc(32), 32, (address) => {
  ended++;
  free(address);
});
let pin: ReturnType<Package['pin']> | undefined;
try {
  pin = second.pin(slice.bytes);
} catch {}
slice.release();
const early = pin === undefined ? 0 : ended; // the destructor ran while C might use the pin
pin?.release();
await collectManyTimes();
console.log(JSON.stringify({ refused: pin === undefined, early, ended }));
