/** Never run: the compiler checks what it says of the types of owned functions. */
import {
  type Destructor,
  type Out,
  ownedBlock,
  ownedBytes,
  ownedString,
  type Slice,
  type StructArray,
} from '../../lib/index.ts';

type Koffi = Parameters<typeof ownedBlock>[0];
declare const fn: Koffi;
declare const destructor: Destructor;

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<_T extends true>(): void {}

type Read = (path: string, data: Out, size: Out) => number;
const read = ownedBytes<Read>(fn, { pointer: 1, size: 2, destructor });
expectType<Equal<typeof read, (path: string) => Slice>>();

type Copy = (source: bigint, size: number) => bigint;
const copy = ownedBytes<Copy>(fn, { pointer: 'result', size: (_, size) => size as number, destructor });
expectType<Equal<typeof copy, (source: bigint | Slice, size: number) => Slice>>();

type Fill = (buffer: Out, size: number, how: number) => number;
const fill = ownedBytes<Fill>(fn, {
  pointer: { argument: 0, member: 'data' },
  size: { argument: 0, member: 'size' },
  destructor,
});
expectType<Equal<typeof fill, (size: number, how: number) => Slice>>();

const text = ownedString<(name: string) => bigint>(fn, { pointer: 'result', destructor });
expectType<Equal<typeof text, (name: string) => string>>();

const block = ownedBlock<() => bigint>(fn);
expectType<Equal<typeof block, () => Slice>>();

const untyped = ownedBytes(fn, { pointer: 'result', size: { bytes: 8 }, destructor });
expectType<Equal<typeof untyped, (...args: unknown[]) => Slice>>();

declare const slice: Slice;
const points = slice.structs<{ x: number; y: number }>('Point');
expectType<Equal<typeof points, StructArray<{ x: number; y: number }>>>();

/** A pointer that may be NULL takes a slice as well. */
const nullable = ownedBlock<(source: bigint | null) => bigint>(fn);
nullable(slice);
nullable(null);

// @ts-expect-error: a path is a string
read(5);
// @ts-expect-error: outputs are not the caller's
read('path', [null], [null]);
// @ts-expect-error: a size is needed
ownedBytes<Read>(fn, { pointer: 1, destructor });
// @ts-expect-error: a destructor is needed
ownedBytes<Read>(fn, { pointer: 1, size: 2 });
// @ts-expect-error: a slice has no bytes for a number
copy(slice, slice);
