/** Allocates without a pause; a signal of its own asks for the report meanwhile. Prints how many slices it has made. */
import { setImmediate as turn } from 'node:timers/promises';
import { Slice } from '../../../lib/index.ts';

const signal = (process.argv[2] ?? 'SIGUSR2') as NodeJS.Signals;
using kept = Slice.alloc(4321);
let made = 0;
for (let round = 0; round < 20; round++) {
  process.kill(process.pid, signal);
  for (let i = 0; i < 200; i++, made++) Slice.alloc(8 + (i % 64)).release();
  await turn();
}
await turn();
console.log(JSON.stringify({ made, kept: kept.byteLength }));
process.exitCode = 0;
