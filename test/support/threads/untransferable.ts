/** Marks views of C memory with Node's markAsUntransferable(), which from Node 24 on makes them impossible to detach. */
import { markAsUntransferable } from 'node:worker_threads';
import koffi from 'koffi';
import { pin, Slice } from '../../../lib/index.ts';
import { malloc } from '../blocks.ts';
import { collectManyTimes } from '../collect.ts';

const how = process.argv[2];

function mark(): Slice {
  const slice = Slice.alloc(64);
  markAsUntransferable(slice.buffer);
  return slice;
}

/** Node itself aborts at its exit where such a buffer is still there, so none may be. */
async function endOf(action: () => void): Promise<void> {
  action();
  await collectManyTimes();
}

if (how === 'release') {
  await endOf(() => {
    const slice = mark();
    slice.release();
    console.log(slice.released);
  });
} else if (how === 'drop') {
  await endOf(mark);
} else {
  await endOf(() => pin(koffi.view(malloc(64), 64)).release()); // memory of C that another package shows
}
