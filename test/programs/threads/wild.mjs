// Does everything that a thread can do with slices, for ever: its parent terminates it at some moment.
import { parentPort, workerData } from 'node:worker_threads';

const { Slice, Arena, Pool, copy, copyBytes, stats } = await import(workerData.entry);

let state = workerData.seed;

/** A number below `bound`; the seed is the parent's. */
function random(bound) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * bound);
}

const kept = [];

function move(buffer) {
  return structuredClone(buffer, { transfer: [buffer] });
}

const pool = new Pool({ byteLength: 256, capacity: 8 });

const actions = [
  () => kept.push(Slice.alloc(random(5000))),
  () => kept.push(Slice.fromString('grüße 🌍')),
  () => kept.push(Slice.fromBytes(new Uint8Array(random(300)))),
  () => kept.push(Slice.adopt(Slice.alloc(64).disown(), 64, () => {})),
  () => Slice.alloc(random(1 << 20), { zero: false }).bytes.fill(1),
  () => Slice.alloc(64),
  () => pick()?.release(),
  () => pick()?.bytes.fill(7),
  () => pick()?.toBuffer().toString('latin1'),
  () => pick()?.view(DataView),
  () => pick()?.copy(),
  () => pick()?.text(),
  () => kept.push(pick()?.lease()),
  () => kept.push(pick()?.subslice()),
  () => pick()?.write('uint8_t', 0, 5),
  () => pick()?.read('uint8_t', 0),
  () => copyBytes(pick()?.address ?? 0n, 1),
  () => copy(Slice.alloc(5000), pick() ?? new Uint8Array(8)),
  () => kept.push(Slice.attach(pick()?.toSharedBuffer())),
  () => kept.push(Slice.attach(new SharedArrayBuffer(random(5000)))),
  () => parentPort.postMessage(pick()?.toSharedBuffer()),
  () => kept.push({ release() {}, moved: move(pick()?.buffer) }),
  () =>
    void pick()
      ?.lend(() => new Promise(setImmediate))
      .catch(() => {}),
  () => pick()?.resize(random(3000)),
  () => kept.push(pool.rent()),
  () => {
    const arena = new Arena({ slabBytes: 4096 });
    for (let i = 0; i < 5; i++) arena.alloc(100).fill(i);
    if (random(2) === 0) arena.release();
  },
  () => stats(),
  () => kept.splice(random(20)),
];

function pick() {
  return kept[random(kept.length)];
}

parentPort.postMessage('at work');
for (;;) {
  for (let i = 0; i < 200; i++) {
    try {
      actions[random(actions.length)]();
    } catch {} // a lease has no bytes, an empty slice no first byte, a released one nothing
  }
  if (random(3) === 0) await new Promise(setImmediate);
}
