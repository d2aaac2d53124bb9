// A service that drops 64 KiB in every step and yields every 100: with slices, or with Node's own buffers.
import { setImmediate as turn } from 'node:timers/promises';
import { peak } from './load.mjs';

const [kind, count, byteLength] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

async function user() {
  if (kind === 'buffer') return (i) => Buffer.alloc(byteLength).fill(i);
  const { Slice } = await import('cslice');
  return (i) => Slice.alloc(byteLength).bytes.fill(i);
}

const use = await user();
for (let i = 0; i < count; i++) {
  use(i);
  if (i % 100 === 99) await turn();
}
console.log(JSON.stringify({ peakMebibytes: peak() }));
