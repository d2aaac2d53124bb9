/**
 * Ends a slice that is shared and that nobody attaches, in the way that is asked for. Waits with nothing but timers and
 * collections, and looks at C's own counts: stats() would end the share by itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, readable, Slice } from '../../../lib/index.ts';
import { statisticsGet } from '../../../lib/native/symbols.ts';

const how = process.argv[2];

function liveBlocks(): number {
  const counts = new BigUint64Array(16);
  statisticsGet(counts);
  return Number(counts[0]);
}

function share(): void {
  const pool = new Pool({ byteLength: 64 });
  const slice = how === 'rented' ? pool.rent() : Slice.alloc(64);
  slice.share({ patience: 20 });
  if (how === 'subslice') slice.subslice(8).share({ patience: 20 });
  if (how === 'streamed') readable(slice).resume();
  else if (how !== 'dropped') slice.release();
}

share();
for (let i = 0; i < 100 && liveBlocks() > 0; i++) {
  globalThis.gc?.();
  await sleep(20);
}
console.log(JSON.stringify({ liveBlocks: liveBlocks() }));
