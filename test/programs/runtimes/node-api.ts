// What a slice promises where Node-API makes the ArrayBuffers: a version of Node that the package does not know. Prints what
// came of it.
import { PassThrough } from 'node:stream';
import { markAsUntransferable } from 'node:worker_threads';
import koffi from 'koffi';
import * as cslice from '../../../lib/index.ts';
import { direct, hasViews } from '../../../lib/native/host.ts';
import { collectUntil } from '../../helpers/collect.ts';

const { Slice, stats } = cslice;
const libc = koffi.load(null);
const outcomes: Record<string, unknown> = { direct, hasViews };
const { liveBlocks } = stats();

/** Notes what `action` returns, and that its blocks are given back afterwards. */
async function attempt(name: string, action: () => unknown): Promise<void> {
  try {
    outcomes[name] = await action();
  } catch (error) {
    outcomes[name] = (error as { code?: string }).code ?? String(error);
  }
  await collectUntil(() => stats().liveBlocks <= liveBlocks, `the blocks of "${name}" are given back`);
}

await attempt('a view of a released slice is detached in the call', () => {
  const slice = Slice.alloc(64);
  const { bytes } = slice;
  slice.release();
  return bytes.byteLength;
});
await attempt("a release calls no method of the program's", () => {
  let calls = 0;
  const slice = Slice.alloc(64);
  const { buffer } = slice;
  Object.defineProperty(buffer, 'transfer', { value: () => calls++ });
  slice.release();
  return [calls, buffer.byteLength];
});
await attempt('a view keeps its slice', async () => {
  const bytes = Slice.alloc(64).bytes.fill(7);
  for (let i = 0; i < 100; i++) Slice.alloc(64).bytes.fill(9);
  await collectUntil(() => stats().liveBlocks <= liveBlocks + 1, 'the others are given back');
  return bytes.every((byte) => byte === 7);
});
await attempt('destructors run once, for a released and a dropped slice', async () => {
  let calls = 0;
  Slice.adopt(4096n, 8, () => calls++).release();
  Slice.adopt(8192n, 8, () => calls++);
  await collectUntil(() => calls === 2, 'both have run');
  return calls;
});
await attempt('a resize ends the views and keeps the bytes', () => {
  using slice = Slice.fromString('abc');
  const { bytes } = slice;
  slice.resize(100_000);
  return [bytes.byteLength, slice.text(), slice.byteLength];
});
await attempt('a subslice outlives its slice', () => {
  const slice = Slice.fromString('one, two');
  using two = slice.subslice(5);
  slice.release();
  return Buffer.from(two.bytes).toString('utf8', 0, 3);
});
await attempt('a clone', () => {
  using slice = Slice.fromString('cloned');
  return Buffer.from(structuredClone(slice.bytes)).toString('utf8', 0, 6);
});
await attempt('a Buffer outlives its slice', () => {
  const slice = Slice.fromString('Buffer');
  const buffer = slice.toBuffer(0, 6);
  slice.release();
  return buffer.toString();
});
await attempt('toSharedBuffer', () => Slice.alloc(8).toSharedBuffer());
await attempt('attach', () => {
  const shared = new SharedArrayBuffer(4);
  using slice = Slice.attach(shared);
  slice.bytes.set([1, 2, 3, 4]);
  return [...new Uint8Array(shared)];
});
await attempt('a lease and a pin keep the memory', () => {
  const slice = Slice.fromString('held');
  using lease = slice.lease();
  using pinned = cslice.pin(slice.bytes);
  slice.release();
  return [cslice.readString(lease.address), cslice.readString(pinned.address)];
});
await attempt('a pin of JavaScript memory', () => {
  const bytes = Buffer.from('JavaScript\0');
  using pinned = cslice.pin(bytes);
  return cslice.readString(pinned.address);
});
await attempt('a loan', () => {
  const slice = Slice.fromString('lent');
  return slice.lend(async (bytes) => {
    slice.release();
    await new Promise(setImmediate);
    return Buffer.from(bytes).toString('utf8', 0, 4);
  });
});
await attempt('a stream', async () => {
  const stream = new PassThrough();
  await Slice.fromString('written').writeTo(stream);
  return String(stream.read()).slice(0, 7);
});
await attempt('an arena', () => {
  using arena = new cslice.Arena();
  const text = arena.string('in an arena');
  return cslice.func(libc, 'size_t strlen(const char *text)')(text);
});
await attempt('a pool rents a block again', () => {
  using pool = new cslice.Pool({ byteLength: 64 });
  const first = pool.rent();
  const { address } = first;
  first.release();
  using second = pool.rent();
  return second.address === address;
});
await attempt('a borrowed slice', () => {
  const owner = Slice.fromString('owner');
  using slice = Slice.borrow(owner.address, 5, owner);
  return Buffer.from(slice.bytes).toString();
});
await attempt('a block of C', () => {
  using slice = Slice.fromString('handed over');
  using back = Slice.fromBlock(slice.block);
  return back.text();
});
await attempt('memory given to C', () => {
  const slice = Slice.adopt(libc.func('void *malloc(size_t size)')(8), 8, cslice.destructor(libc, 'free'));
  const { bytes } = slice;
  libc.func('void free(void *memory)')(slice.disown());
  return bytes.byteLength;
});
await attempt('memory given to C, of which the program has marked the view', () => {
  const slice = Slice.adopt(libc.func('void *malloc(size_t size)')(8), 8, cslice.destructor(libc, 'free'));
  markAsUntransferable(slice.buffer);
  libc.func('void free(void *memory)')(slice.disown());
  return 'given';
});
await attempt('memory that others hold is not given to C, and its view stays', () => {
  const slice = Slice.fromString('shared');
  using lease = slice.lease();
  const { bytes } = slice;
  let code: unknown;
  try {
    slice.disown();
  } catch (error) {
    ({ code } = error as { code: string });
  }
  const found = [code, bytes.byteLength, slice.text(), lease.released];
  slice.release();
  return found;
});
await attempt('a call in the background', () => {
  using slice = Slice.fromString('background');
  return cslice.callAsync(libc.func('size_t strlen(const char *text)'), slice);
});
await attempt('the limit collects what was dropped, if the job yields', async () => {
  cslice.configure({ limitBytes: stats().liveBytes + (4 << 20) });
  for (let i = 0; i < 40; i++) {
    Slice.alloc(1 << 20);
    if (i % 3 === 2) await collectUntil(() => stats().liveBlocks <= liveBlocks, 'they are given back');
  }
  cslice.configure({ limitBytes: 0 });
  return 'within the limit';
});
await attempt('tracking names the holders', () => {
  cslice.configure({ track: true });
  using slice = Slice.alloc(64);
  const { bytes } = slice;
  using part = slice.subslice(8);
  const kinds = slice.holders().map(({ holder }) => holder);
  cslice.configure({ track: false });
  return [kinds, bytes.byteLength, part.byteLength];
});
await attempt('guard mode', () => {
  cslice.configure({ guard: { sample: 1 } });
  using slice = Slice.fromString('guarded');
  const { bytes } = slice;
  cslice.configure({ guard: false });
  return Buffer.from(bytes).toString('utf8', 0, 7);
});
console.log(JSON.stringify(outcomes));
