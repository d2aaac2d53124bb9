/** That everything still works, whatever happened before: each operation once or more, on blocks of its own. */
import type { Native } from './native.ts';
import { type Slice, subject } from './subject.ts';
import { Broken } from './world.ts';

const { Slice: Slices, Arena, Pool, SliceWriter, copy, pin } = subject;

const sizes = [8, 0, 1, 16, 64, 100, 126, 512, 1023, 1024, 1041, 5000, 100_000];
const ofEach = 40;

function must(condition: boolean, what: string): void {
  if (!condition) throw new Broken(`afterwards, ${what}`);
}

/** Blocks of all sizes at once are zeroed, lie apart and keep what is written to them. */
function checkBlocks(): void {
  const slices: Slice[] = [];
  for (const size of sizes) {
    for (let i = 0; i < (size > 5000 ? 2 : ofEach); i++) {
      const slice = Slices.alloc(size);
      must(
        slice.bytes.every((byte) => byte === 0),
        `alloc(${size}) is not zeroed`,
      );
      slice.bytes.fill(slices.length);
      slices.push(slice);
    }
  }
  slices.forEach((slice, i) => {
    must(
      slice.copy().every((byte) => byte === (i & 255)),
      `a slice of ${slice.byteLength} bytes holds other bytes`,
    );
  });
  const inOrder = slices.filter(({ byteLength }) => byteLength > 0).sort((a, b) => (a.address < b.address ? -1 : 1));
  inOrder.forEach((slice, i) => {
    const next = inOrder[i + 1];
    must(next === undefined || slice.address + BigInt(slice.byteLength) <= next.address, 'two slices overlap');
  });
  for (const slice of slices) slice.release();
}

function checkOthers(): void {
  const slice = Slices.fromString('grüße');
  must(slice.text() === 'grüße', 'text() is wrong');
  const part = slice.subslice(1, 3);
  const lease = slice.lease();
  slice.release();
  must(part.byteLength === 2 && lease.byteLength > 2, 'a part or a lease is wrong');
  lease.release();
  part.release();
  using grown = Slices.fromBytes(Uint8Array.of(1, 2, 3));
  grown.resize(2000);
  must(grown.bytes[2] === 3 && grown.bytes[1999] === 0, 'resize() is wrong');
  using joined = Slices.concat([grown, Uint8Array.of(9)]);
  must(joined.byteLength === 2001 && joined.bytes[2000] === 9, 'concat() is wrong');
  copy(grown, Uint8Array.of(5));
  must(grown.read('uint8_t') === 5, 'copy() or read() is wrong');
  using arena = new Arena({ slabBytes: 256 });
  const views = [arena.alloc(8), arena.alloc(100), arena.string('abc'), arena.array(Float64Array, 3)];
  must(new Set(views.map((view) => arena.address(view))).size === 4, 'an arena gave an address twice');
  using pool = new Pool({ byteLength: 64, capacity: 2 });
  using first = pool.rent();
  using second = pool.rent();
  must(first.address !== second.address, 'a pool lent a block twice');
  const writer = new SliceWriter({ byteLength: 1 });
  writer.write(Uint8Array.of(1, 2, 3));
  const written = writer.finish();
  must(written.copy().join() === '1,2,3', 'a writer is wrong');
  written.release();
  pin(new Uint8Array(8)).release();
}

function checkDestructors(native: Native | undefined): void {
  const made = subject.stats();
  let ended = 0;
  const slices = Array.from({ length: 20 }, (_, i) =>
    Slices.adopt(4096n + BigInt(i), 0, () => {
      ended++;
    }),
  );
  for (const slice of slices) slice.release();
  must(ended === 20, `${ended} of 20 destructors ran`);
  must(subject.stats().failedDestructors === made.failedDestructors, 'a destructor counts as failed');
  const [destructor] = native?.destructors ?? [];
  if (native === undefined || destructor === undefined) return;
  const slice = Slices.adopt(BigInt(native.make(1, 8)), 8, destructor);
  slice.release();
  must(native.ended(1) === 1, `a native destructor ran ${native.ended(1)} times`);
}

/** Throws a {@link Broken} where something does not work. */
export function everythingWorks(native: Native | undefined): void {
  try {
    checkBlocks();
    checkOthers();
    checkDestructors(native);
  } catch (error) {
    if (error instanceof Broken) throw error;
    throw new Broken(`afterwards, an operation failed: ${(error as Error).stack}`);
  }
}
