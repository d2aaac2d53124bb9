// One address, adopted again and again before its former slices are collected: the end of an old one must never end a
// new one. And the same with addresses that malloc gives out again.
import { setImmediate as turn } from 'node:timers/promises';
import { Slice, stats } from 'cslice';
import { collectUntil } from './load.mjs';

const count = Number(process.argv[2]);
const home = Slice.alloc(64);
const { address } = home;
const endings = new Uint8Array(count);
const kept = new Map();
let early = 0;
let disowned = 0;

function adopt(i) {
  return Slice.adopt(address, 64, () => {
    endings[i]++;
    if (kept.has(i)) early++;
  });
}

/** Each way to end, but one in a hundred is kept for a while, and must not end meanwhile. */
function step(i) {
  const slice = adopt(i);
  if (i % 100 === 0) return kept.set(i, slice);
  switch (i % 5) {
    case 0:
      return slice.release();
    case 1:
      return; // dropped
    case 2:
      return void (i % 40 === 2 && slice.bytes); // dropped, some with a view
    case 3:
      slice.lease();
      return slice.release(); // the lease is forgotten
    default:
      if (i % 50 === 4) {
        disowned++;
        endings[i]++;
        slice.disown();
      } else {
        slice[Symbol.dispose]?.();
        slice.release();
      }
  }
}

function endKept() {
  for (const [i, slice] of kept) {
    if (endings[i] !== 0) early++;
    kept.delete(i);
    slice.release();
  }
}

for (let i = 0; i < count; i++) {
  step(i);
  if (i % 10_000 === 9999) globalThis.gc(); // in the job
  if (i % 15_000 === 14_999) endKept();
  if (i % 50_000 === 49_999) await turn();
}
endKept();
await collectUntil(() => endings.every((times) => times > 0));
const wrong = endings.reduce((sum, times) => sum + (times === 1 ? 0 : 1), 0);

// malloc's own recycling: blocks in hand keep their marks, and no two have one address.
const held = [];
let broken = 0;
const addresses = new Set();
for (let i = 0; i < count; i++) {
  const slice = Slice.alloc(64);
  addresses.add(slice.address);
  if (i % 3 === 0) slice.release();
  else if (i % 500 === 1) {
    slice.write('int', 0, i);
    held.push([i, slice]);
    if (held.length > 50) {
      const [mark, oldest] = held.shift();
      if (oldest.read('int') !== mark) broken++;
      oldest.release();
    }
  }
  if (i % 20_000 === 19_999) globalThis.gc();
  if (i % 50_000 === 49_999) await turn();
}
if (new Set(held.map(([, slice]) => slice.address)).size !== held.length) broken++;
for (const [mark, slice] of held) {
  if (slice.read('int') !== mark) broken++;
  slice.release();
}
await collectUntil(() => stats().liveBlocks === 1);
const { liveBlocks, disownedBlocks } = stats();
const recycled = count - addresses.size;
home.release();
console.log(JSON.stringify({ count, early, wrong, broken, liveBlocks, disowned, disownedBlocks, recycled }));
