// A thread that uses each shared block that it is told of for a while, in one of many ways. All its bytes are `marker`,
// and must be that until this thread lets go, whatever the other threads have done.
import { parentPort, workerData } from 'node:worker_threads';

const { Slice, copy } = await import(workerData.entry);

function copyOfAll(slice) {
  const bytes = slice.copy();
  slice.release();
  return bytes;
}

function moved(buffer) {
  return new Uint8Array(structuredClone(buffer, { transfer: [buffer] }));
}

const ways = [
  (slice) => slice.bytes,
  (slice) => slice.copy(),
  (slice) => slice.toBuffer(),
  (slice) => new Uint8Array(slice.view(DataView).buffer),
  (slice) => [slice.read('uint8_t'), slice.read('uint8_t', slice.byteLength - 1)],
  (slice) => copyOfAll(slice.subslice(3, 40)),
  (slice) => copyOfAll(Slice.attach(slice.toSharedBuffer())),
  (slice) => new Uint8Array(slice.toSharedBuffer()),
  (slice) => moved(slice.subslice().buffer),
  (slice) => {
    const other = Slice.alloc(slice.byteLength);
    copy(other, slice);
    return copyOfAll(other);
  },
  (slice) => {
    const part = slice.subslice();
    const lease = part.lease();
    part.release();
    lease.release();
    return [];
  },
];

/** Uses of which one showed another byte than the marker. */
function countWrong(slice, marker, way) {
  return ways[way % ways.length](slice).every((byte) => byte === marker) ? 0 : 1;
}

function use({ shared, marker, uses, way, ending }) {
  const slice = Slice.attach(shared);
  let wrong = 0;
  for (let i = 0; i < uses; i++) wrong += countWrong(slice, marker, way + i);
  if (ending === 'release') {
    const view = slice.bytes;
    slice.release();
    if (!slice.released || view.length !== 0) wrong++;
  }
  return { uses, wrong }; // else it is dropped
}

parentPort.on('message', (task) => {
  try {
    parentPort.postMessage(use(task));
  } catch (error) {
    parentPort.postMessage({ uses: 0, wrong: 0, error: `${error.code} ${error.message}` });
  }
});
parentPort.postMessage('ready');
