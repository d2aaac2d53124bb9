// What works where there is no koffi: everything but what calls C functions or needs the types of C. Prints what came of it.
import * as cslice from '../../../lib/index.ts';
import { collectUntil } from '../../helpers/collect.ts';

const { Slice, stats } = cslice;
const outcomes: Record<string, unknown> = {};
const { liveBlocks } = stats();

async function attempt(name: string, action: () => unknown): Promise<void> {
  try {
    outcomes[name] = await action();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    outcomes[name] = `${code}: ${message.split('\n')[0]}`;
  }
}

await attempt('a slice', () => {
  using slice = Slice.fromString('text');
  slice.bytes[0] = 84;
  slice.resize(100_000);
  using part = slice.subslice(1, 5);
  return [slice.text(), part.text(), cslice.readString(slice.address)];
});
await attempt('a destructor', async () => {
  let size = 0;
  Slice.adopt(4096n, 12, (_, byteLength) => {
    size = byteLength;
  }).release();
  return size;
});
await attempt('an arena and a pool', () => {
  using arena = new cslice.Arena();
  using pool = new cslice.Pool({ byteLength: 64 });
  using rented = pool.rent();
  return [arena.string('ab').length, rented.byteLength];
});
await attempt('a handle', () => {
  using handle = cslice.Handle.adopt('Object', 4096n, null);
  return handle.name;
});
await attempt('tracking', () => {
  cslice.configure({ track: true });
  using slice = Slice.alloc(10);
  const { length } = cslice.liveBlocks();
  cslice.configure({ track: false });
  return [length, slice.byteLength];
});
await attempt('a number', () => Slice.alloc(8).read('int'));
await attempt('a struct', () => Slice.alloc(64).read('struct tm'));
await attempt('a callback', () => cslice.callback('void done()', () => {}));
await attempt('a function', () => cslice.func({ func: () => {} } as never, 'int getpid(void)'));
await collectUntil(() => stats().liveBlocks <= liveBlocks, 'every block is given back');
console.log(JSON.stringify(outcomes));
