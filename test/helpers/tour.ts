/** Uses every public function once and says what came of it, without an address. For comparing threads. */
import koffi from 'koffi';
import { copy, copyBytes, destructor, readString, Slice, stats } from '../../lib/index.ts';
import { free, malloc } from './blocks.ts';

function codeOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

export function tour(): unknown {
  const disowned = stats().disownedBlocks;
  const results: unknown[] = [];
  const slice = Slice.fromString('grüße 🌍');
  using other = Slice.alloc(32, { alignment: 64 });
  using plain = Slice.alloc(64);
  results.push(slice.text(), slice.text(0, 2), readString(slice.address), [...slice.copy(1, 4)]);
  results.push([...copyBytes(slice.address, 3)], slice.byteLength, other.address % 64n === 0n);
  copy(other, slice);
  copy(plain, Uint8Array.of(1, 2, 3));
  results.push(other.text(), [...plain.copy(0, 4)], slice.toBuffer().toString('hex'));

  const point = koffi.struct({ x: 'int', y: 'double', name: 'char[4]', text: 'char *' });
  plain.write(point, 0, { x: -1, y: 0.5, name: 'abc', text: slice.address });
  results.push(plain.read(point), plain.read('int'), plain.read('uint64_t'), plain.read('int[2]'));
  plain.write('long', 8, -(1n << 62n));
  results.push(String(plain.read('long', 8)), String(plain.read('int64_be_t', 8)), plain.read('size_t', 0));
  results.push(plain.view(Float64Array, 8, 1).length, plain.view(DataView).getInt32(0, true));
  using wide = Slice.fromBytes(Buffer.from('a€🌍\0', 'utf16le'));
  plain.write('char16_t *', 0, wide.address);
  results.push(plain.read('char16_t *'), plain.read('void *') === wide.address);

  const calls: number[] = [];
  const adopted = Slice.adopt(malloc(8), 8, (address, byteLength) => {
    calls.push(byteLength);
    free(address);
  });
  adopted.bytes.fill(1);
  adopted.release();
  Slice.adopt(malloc(8), 8, destructor(koffi.load(null), 'free')).release();
  free(Slice.alloc(8).disown());
  results.push(calls);

  const { bytes } = slice;
  using borrowed = Slice.borrow(slice.address, 3, slice);
  results.push([...borrowed.bytes]);
  borrowed.release();
  slice.release();
  results.push(
    bytes.length,
    slice.released,
    codeOf(() => slice.address),
    codeOf(() => slice.bytes),
  );

  for (const use of [
    () => Slice.alloc(-1),
    () => Slice.alloc(8, { alignment: 3 }),
    () => Slice.fromString('\0'),
    () => Slice.borrow(0n, 8),
    () => plain.read('double', 60),
    () => plain.write('char', 0, 128),
    () => plain.read('no_such_type'),
    () => plain.view(Float64Array, 1),
    () => copyBytes(0n, 1),
    () => readString(0n),
    () => destructor(koffi.load(null), 'no_such_symbol'),
    () => (plain.buffer as { transfer(): unknown }).transfer(),
  ]) {
    results.push(codeOf(use));
  }
  results.push(stats().disownedBlocks - disowned);
  const { releasedByScope } = stats();
  Slice.alloc(8).release(); // not viewed, so its memory cannot have to wait for an operation of Node
  results.push(stats().releasedByScope - releasedByScope);
  return JSON.parse(JSON.stringify(results, (_, value) => (typeof value === 'bigint' ? 'a bigint' : value)));
}
