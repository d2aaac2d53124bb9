// Everything public where the runtime forbids ArrayBuffers over C memory: it works, or throws ERR_CSLICE_NO_VIEW. Prints what
// differs from that, and what is live at the end.
import { PassThrough } from 'node:stream';
import koffi from 'koffi';
import * as cslice from '../../../lib/index.ts';
import { direct, hasViews } from '../../../lib/native/host.ts';
import { collectUntil } from '../../helpers/collect.ts';

const { Slice, stats } = cslice;
const libc = koffi.load(null);
const outcomes: Record<string, unknown> = { direct, hasViews };

async function attempt(name: string, action: () => unknown): Promise<void> {
  try {
    outcomes[name] = await action();
  } catch (error) {
    const { code } = error as { code?: string };
    outcomes[name] = code === 'ERR_CSLICE_NO_VIEW' || code === 'ERR_CSLICE_LIMIT' ? code : String(error);
  }
}

const text = (slice: cslice.Slice): string => Buffer.from(slice.copy()).toString();
const strdup = libc.func('void *strdup(const char *text)');
const adopted = (): cslice.Slice => Slice.adopt(strdup('from C'), 7, free);
const free = cslice.destructor(libc, 'free');
const { liveBlocks } = stats();

// What needs no view
await attempt('alloc', () => {
  using slice = Slice.alloc(8, { zero: true });
  return [...slice.copy()];
});
await attempt('aligned', () => {
  using slice = Slice.alloc(8, { alignment: 4096 });
  return slice.address % 4096n;
});
await attempt('fromBytes', () => {
  using slice = Slice.fromBytes(new Uint8Array([1, 2, 3]));
  return [...slice.copy(1)];
});
await attempt('fromString', () => {
  using slice = Slice.fromString('ä𝄞');
  return [slice.text(), slice.byteLength];
});
await attempt('copyFrom', () => {
  using slice = Slice.alloc(4);
  slice.copyFrom(Buffer.from('ab'), 1);
  using from = Slice.fromString('!');
  slice.copyFrom(from.subslice(0, 1), 3);
  return text(slice);
});
await attempt('adopt', () => {
  using slice = adopted();
  return slice.text();
});
let destroyed = 0;
await attempt('adopt, a destructor in JavaScript', async () => {
  const slice = Slice.adopt(4096n, 8, () => destroyed++);
  slice.release();
  await collectUntil(() => destroyed === 1, 'the destructor');
  return [slice.released, destroyed];
});
await attempt('borrow', () => {
  using owner = Slice.fromString('owned');
  using slice = Slice.borrow(owner.address, 5, owner);
  return slice.text();
});
await attempt('subslice', () => {
  const slice = Slice.fromString('one, two');
  using part = slice.subslice(5);
  slice.release();
  return [part.text(), slice.released];
});
await attempt('resize', () => {
  using slice = Slice.fromString('abc');
  slice.resize(1 << 20);
  slice.resize(2);
  return [slice.byteLength, text(slice)];
});
await attempt('lease', () => {
  const slice = Slice.fromString('leased');
  using lease = slice.lease();
  slice.release();
  return cslice.readString(lease.address);
});
await attempt('pin', () => {
  const bytes = new Uint8Array([104, 105, 0]);
  using pinned = cslice.pin(bytes);
  return cslice.readString(pinned.address);
});
await attempt('disown', () => {
  const slice = adopted();
  cslice.configure({ limitBytes: 1 });
  try {
    Slice.alloc(5000); // a failure, whose status must not be taken for that of disown()
  } catch {
    cslice.configure({ limitBytes: 0 });
  }
  const address = slice.disown();
  libc.func('void free(void *memory)')(address);
  return slice.released;
});
await attempt('block', () => {
  using slice = Slice.fromString('handed to C');
  using back = Slice.fromBlock(slice.block);
  return back.text();
});
await attempt('attach', () => {
  const shared = new SharedArrayBuffer(16);
  using slice = Slice.attach(shared);
  cslice.copy(slice, Buffer.from('shared'));
  return Buffer.from(shared).toString('utf8', 0, 6);
});
await attempt('copyBytes', () => {
  using slice = Slice.fromString('copied');
  return Buffer.from(cslice.copyBytes(slice.address, 6)).toString();
});
await attempt('concat', () => {
  using first = Slice.fromString('one');
  using whole = Slice.concat([first.subslice(0, 3), Buffer.from(' two')]);
  return text(whole);
});
await attempt('SliceWriter', () => {
  const writer = new cslice.SliceWriter({ byteLength: 2 });
  for (let i = 0; i < 100; i++) writer.write(Buffer.from('piece '));
  using slice = writer.finish();
  return slice.byteLength;
});
await attempt('func with a slice', () => {
  using slice = Slice.fromString('four');
  return cslice.func(libc, 'size_t strlen(const char *text)')(slice);
});
await attempt('func that returns a text', () => {
  return cslice.func(libc, 'char *strdup(const char *text)', { returns: 'string', free })('doubled');
});
await attempt('func with an output', () => {
  using slice = Slice.alloc(8);
  cslice.func(libc, 'char *strcpy(_Out_ char *to, const char *from)')(slice, 'by C');
  return slice.text();
});
await attempt('callAsync', () => {
  using slice = Slice.fromString('async');
  return cslice.callAsync(libc.func('size_t strlen(const char *text)'), slice);
});
await attempt('callback', () => {
  const compare = cslice.callback('int compare(const void *a, const void *b)', () => 0);
  compare.release();
  return compare.released;
});
await attempt('handle', () => {
  const handle = cslice.Handle.adopt('Object', strdup('an object'), free);
  handle.release();
  return handle.released;
});
await attempt('toJSON', () => {
  using slice = Slice.alloc(3);
  return JSON.stringify(slice);
});
await attempt('holders and blocks', () => {
  cslice.configure({ track: true });
  using slice = Slice.alloc(100);
  const kinds = slice.holders().map(({ holder }) => holder);
  const { length } = cslice.liveBlocks();
  cslice.configure({ track: false });
  return [kinds, length];
});
await attempt('limit', () => {
  cslice.configure({ limitBytes: stats().liveBytes + 1000 });
  try {
    return Slice.alloc(2000);
  } finally {
    cslice.configure({ limitBytes: 0 });
  }
});
await attempt('guard', () => {
  cslice.configure({ guard: { sample: 1 } });
  using slice = Slice.fromString('guarded');
  cslice.configure({ guard: false });
  return slice.text();
});

// What needs a view
const slice = Slice.fromString('needs a view');
const Pair = koffi.struct({ a: 'int', b: 'int' });
for (const [name, action] of Object.entries({
  bytes: () => slice.bytes,
  buffer: () => slice.buffer,
  view: () => slice.view(Int32Array),
  toBuffer: () => slice.toBuffer(),
  toSharedBuffer: () => slice.toSharedBuffer(),
  read: () => slice.read('int'),
  write: () => slice.write('int', 0, 7),
  structs: () => slice.structs(Pair).get(0),
  lend: () => slice.lend(() => 1),
  writeTo: () => slice.writeTo(new PassThrough()),
  readable: async () => {
    for await (const chunk of cslice.readable(Slice.fromString('read'))) return chunk;
  },
  'Buffer.from': () => Buffer.from(slice as never),
  arena: () => new cslice.Arena().alloc(16),
  'arena.string': () => new cslice.Arena().string('text'),
  pool: () => new cslice.Pool({ byteLength: 64 }).rent(),
})) {
  await attempt(name, action);
}
slice.release();

// Nothing is left of it, dropped slices included.
for (let i = 0; i < 1000; i++) Slice.alloc(100_000);
await collectUntil(() => stats().liveBlocks <= liveBlocks, 'every block is given back');
console.log(JSON.stringify(outcomes, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
