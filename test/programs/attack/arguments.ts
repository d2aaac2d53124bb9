/**
 * Program: every public function with every kind of argument. A unit is one call. It returns what it must, or throws a
 * CSliceError with a code, and leaves as many blocks live as there were.
 */
import { PassThrough } from 'node:stream';
import koffi from 'koffi';
import { serve } from './harness.ts';
import {
  bufferKinds,
  fillByte,
  type Hostile,
  hostileBuffer,
  type Named,
  sizes,
  strangers,
  thrower,
} from './hostile.ts';
import { openNative } from './native.ts';
import { attach, has, newer, type Slice, subject } from './subject.ts';
import { Broken, Mischief } from './world.ts';

const { Slice: Slices, Arena, Pool, SliceWriter, callAsync, configure, copy, copyBytes, pin, readable } = subject;

interface AnyFunction {
  (...args: unknown[]): unknown;
  async(...args: unknown[]): unknown;
}

interface Case {
  readonly name: string;
  readonly run: () => unknown;
}

const library = koffi.load(null);
const watchPath = (JSON.parse(process.argv[2] ?? '{}') as { library: string }).library;
const native = openNative(watchPath);

// What is judged.

function isAnswer(error: unknown): boolean {
  return error instanceof subject.CSliceError && typeof error.code === 'string' && error.code.startsWith('ERR_CSLICE_');
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Broken(what);
}

interface Releasable {
  release?(): void;
  destroy?(): void;
}

/** Gives back what a call has made. */
function end(made: unknown): void {
  const { release, destroy } = (made ?? {}) as Releasable;
  if (typeof release === 'function') release.call(made);
  if (typeof destroy === 'function') destroy.call(made);
}

async function judge({ name, run }: Case): Promise<void> {
  try {
    const made = await run();
    if (typeof made === 'object' && made !== null) end(made);
  } catch (error) {
    if (isAnswer(error)) return;
    if (error instanceof Broken) throw new Broken(`${name}: ${error.message}`);
    const whose = error instanceof Mischief ? "lets the user's own error through" : 'throws an error of others';
    throw new Broken(`${name} ${whose}: ${describe(error)}`);
  }
}

function describe(error: unknown): string {
  try {
    return String((error as Error).stack);
  } catch {
    return typeof error;
  }
}

// Every function × every argument × what no parameter expects.

/** Things that a call is about, made anew for each. */
class Bench {
  readonly slice: Slice = Slices.alloc(64);
  readonly arena: InstanceType<typeof Arena> = new Arena({ slabBytes: 1024 });
  readonly writer: InstanceType<typeof SliceWriter> = new SliceWriter({ byteLength: 8 });

  constructor() {
    this.arena.alloc(1); // its slab: an allocation that is given up stays in it
  }

  end(): void {
    this.slice.release();
    this.arena.release();
    this.writer.release();
  }
}

interface Function {
  readonly name: string;
  /** Arguments that are right. */
  readonly args: (bench: Bench) => unknown[];
  // biome-ignore lint/suspicious/noExplicitAny: any value must fit any parameter
  readonly call: (bench: Bench, ...args: any[]) => unknown;
  /** Arguments that are addresses, which the package must believe. */
  readonly believed?: readonly number[];
  /** Arguments that are functions, which the package calls: what they throw passes through unchanged. */
  readonly called?: readonly number[];
  /** By the place of an options object: the names that it knows. */
  readonly options?: Readonly<Record<number, readonly string[]>>;
}

const nothing = (): void => {};
const element = { type: 'uint8_t' };
koffi.struct('AttackStruct', { a: 'uint8_t', b: 'uint32_t', data: 'void *' });
const attackLibrary = koffi.load(watchPath);
const ignore = subject.func(
  attackLibrary,
  'int attack_ignore(const void *memory, const char *text, int8_t small, uint64_t wide, double real, bool flag)',
) as unknown as AnyFunction;
const ignoreFilled = subject.func(
  attackLibrary,
  'int attack_ignore_filled(const AttackStruct *s, const int *array, _Out_ int *out, _Inout_ AttackStruct *inout)',
) as unknown as AnyFunction;
const filled = () => [{ a: 1, b: 2, data: new Uint8Array(8) }, [1, 2], [null], { a: 1, b: 2, data: null }];
const fn = library.func('int abs(int value)');
const union = koffi.union({ i: 'int', d: 'double' });
const array = koffi.array(native.struct, 2);

const functions: readonly Function[] = [
  {
    name: 'Slice.alloc',
    args: () => [64, { zero: true, alignment: 16 }],
    call: (_, ...a) => Slices.alloc(a[0], a[1]),
    options: { 1: ['zero', 'alignment'] },
  },
  { name: 'Slice.fromBytes', args: () => [new Uint8Array(8)], call: (_, a) => Slices.fromBytes(a) },
  { name: 'Slice.fromString', args: () => ['text'], call: (_, a) => Slices.fromString(a) },
  { name: 'Slice.adopt', args: () => [4096n, 8, nothing], call: (_, a, b, c) => Slices.adopt(a, b, c) },
  { name: 'Slice.borrow', args: () => [4096n, 8, {}], call: (_, a, b, c) => Slices.borrow(a, b, c) },
  { name: 'Slice.fromBlock', args: () => [0n], call: (_, a) => Slices.fromBlock(a), believed: [0] },
  { name: 'Slice.attach', args: () => [undefined], call: (_, a) => attach(a) },
  { name: 'Slice.concat', args: () => [[new Uint8Array(8)]], call: (_, a) => Slices.concat(a) },
  { name: 'a part of Slice.concat', args: () => [new Uint8Array(8)], call: (_, a) => Slices.concat([a, a]) },
  { name: 'slice.view', args: () => [Uint8Array, 0, 8], call: ({ slice }, a, b, c) => slice.view(a, b, c) },
  { name: 'slice.copy', args: () => [0, 8], call: ({ slice }, a, b) => slice.copy(a, b) },
  { name: 'slice.text', args: () => [0, 8], call: ({ slice }, a, b) => slice.text(a, b) },
  { name: 'slice.read', args: () => ['uint8_t', 0], call: ({ slice }, a, b) => slice.read(a, b) },
  { name: 'slice.write', args: () => ['uint8_t', 0, 1], call: ({ slice }, a, b, c) => slice.write(a, b, c) },
  {
    name: 'slice.write of a struct',
    args: () => [{ a: 1, b: 2, c: [1, 2, 3, 4] }],
    call: ({ slice }, a) => slice.write(native.struct, 0, a),
  },
  {
    name: 'a member in slice.write',
    args: () => [1, 2, [1, 2, 3, 4]],
    call: ({ slice }, a, b, c) => slice.write(native.struct, 0, { a, b, c }),
  },
  { name: 'slice.subslice', args: () => [0, 8], call: ({ slice }, a, b) => slice.subslice(a, b) },
  {
    name: 'slice.structs',
    args: () => [element.type, 0, 8],
    call: ({ slice }, a, b, c) => slice.structs(a, b, c),
  },
  { name: 'structs.get', args: () => [0], call: ({ slice }, a) => slice.structs('uint8_t').get(a) },
  {
    name: 'structs.set',
    args: () => [0, { a: 1 }],
    call: ({ slice }, a, b) => slice.structs<object>(native.struct).set(a, b),
  },
  { name: 'slice.resize', args: () => [128], call: ({ slice }, a) => slice.resize(a) },
  {
    name: 'new Arena',
    args: () => [{ slabBytes: 1024 }],
    call: (_, a) => new Arena(a),
    options: { 0: ['slabBytes'] },
  },
  {
    name: 'arena.alloc',
    args: () => [8, { alignment: 16 }],
    call: ({ arena }, a, b) => arena.alloc(a, b),
    options: { 1: ['alignment'] },
  },
  { name: 'arena.array', args: () => [Float64Array, 8], call: ({ arena }, a, b) => arena.array(a, b) },
  { name: 'arena.string', args: () => ['text'], call: ({ arena }, a) => arena.string(a) },
  {
    name: 'arena.struct',
    args: () => [native.struct, { a: 1, b: 2, c: [1, 2, 3, 4] }],
    call: ({ arena }, a, b) => arena.struct(a, b),
  },
  { name: 'arena.address', args: ({ arena }) => [arena.alloc(8)], call: ({ arena }, a) => arena.address(a) },
  {
    name: 'arena.arena',
    args: () => [{ slabBytes: 64 }],
    call: ({ arena }, a) => arena.arena(a),
    options: { 0: ['slabBytes'] },
  },
  {
    name: 'new Pool',
    args: () => [{ byteLength: 8, capacity: 2, warmUp: 1 }],
    call: (_, a) => new Pool(a),
    options: { 0: ['byteLength', 'capacity', 'warmUp'] },
  },
  {
    name: 'new SliceWriter',
    args: () => [{ byteLength: 8 }],
    call: (_, a) => new SliceWriter(a),
    options: { 0: ['byteLength'] },
  },
  { name: 'writer.write', args: () => [new Uint8Array(100)], call: ({ writer }, a) => writer.write(a) },
  {
    name: 'readable',
    args: ({ slice }) => [slice, { chunkBytes: 8 }],
    call: (_, a, b) => readable(a, b),
    options: { 1: ['chunkBytes'] },
  },
  { name: 'pin', args: () => [new Uint8Array(8)], call: (_, a) => pin(a) },
  { name: 'callAsync', args: () => [fn, 5], call: (_, a, b) => callAsync(a, b) },
  {
    name: 'copy',
    args: ({ slice }) => [slice, new Uint8Array(8), 8],
    call: (_, a, b, c) => copy(a, b, c),
  },
  { name: 'copyBytes', args: ({ slice }) => [slice.address, 8], call: (_, a, b) => copyBytes(a, b), believed: [0, 1] },
  { name: 'readString', args: ({ slice }) => [slice.address], call: (_, a) => subject.readString(a), believed: [0] },
  {
    name: 'configure',
    args: () => [{ limitBytes: 0 }],
    call: (_, a) => configure(a),
    options: { 0: ['limitBytes', 'reuseBytes'] },
  },
  { name: 'limitBytes', args: () => [0], call: (_, a) => configure({ limitBytes: a }) },
  { name: 'fractionOfMemory', args: () => [1], call: (_, a) => configure({ limitBytes: { fractionOfMemory: a } }) },
  { name: 'reuseBytes', args: () => [4 << 20], call: (_, a) => configure({ reuseBytes: a }) },
  {
    name: 'zero and alignment',
    args: () => [true, 16],
    call: (_, zero, alignment) => Slices.alloc(8, { zero, alignment }),
  },
  {
    name: 'capacity and warmUp',
    args: () => [8, 2, 1],
    call: (_, byteLength, capacity, warmUp) => new Pool({ byteLength, capacity, warmUp }),
  },
  { name: 'slabBytes', args: () => [64], call: (_, slabBytes) => new Arena({ slabBytes }) },
  { name: 'chunkBytes', args: () => [64], call: ({ slice }, chunkBytes) => readable(slice, { chunkBytes }) },
  {
    name: 'destructor',
    args: () => [library, 'free', { signature: 'ptr' }],
    call: (_, a, b, c) => subject.destructor(a, b, c),
    options: { 2: ['signature', 'context'] },
  },
  {
    name: 'signature and context',
    args: () => ['ctx,ptr', 5n],
    call: (_, signature, context) => subject.destructor(library, 'free', { signature, context }),
  },
  { name: 'new Slice', args: () => [undefined], call: (_, a) => Reflect.construct(Slices, [a]) },
  { name: 'slice.lend', args: () => [nothing], call: ({ slice }, a) => newer(slice).lend(a), called: [0] },
  { name: 'slice.writeTo', args: () => [new PassThrough()], call: ({ slice }, a) => newer(slice).writeTo(a) },
  {
    name: 'slice.write of a union',
    args: () => [{ i: 1 }],
    call: ({ slice }, a) => slice.write(union, 0, a),
  },
  {
    name: 'slice.write of an array',
    args: () => [[1, 2]],
    call: ({ slice }, a) => slice.write('int[4]', 0, a),
  },
  {
    name: 'an element in slice.write',
    args: () => [{ a: 1 }],
    call: ({ slice }, a) => slice.write(array, 0, [a]),
  },
  {
    name: 'func',
    args: () => [library, 'char *strdup(const char *text)', { returns: 'string', free: 'free' }],
    call: (_, a, b, c) => subject.func(a as never, b as never, c as never),
    options: { 2: ['returns', 'free'] },
  },
  {
    name: 'a declared function',
    args: ({ slice }) => [slice, 'text', 1, 2n, 0.5, true],
    call: (_, ...a) => ignore(...a),
  },
  {
    name: 'a declared function off the event loop',
    args: ({ slice }) => [slice, 'text', 1, 2n, 0.5, true],
    call: (_, ...a) => ignore.async(...a),
  },
  { name: 'a declared function with structs', args: filled, call: (_, ...a) => ignoreFilled(...a) },
  {
    name: 'a declared function with structs off the event loop',
    args: filled,
    call: (_, ...a) => ignoreFilled.async(...a),
  },
  {
    name: 'a member of a struct for a declared function',
    args: () => [1, 2, new Uint8Array(8)],
    call: (_, a, b, data) => ignoreFilled({ a, b, data }, [a, b], [null], { a, b, data }),
  },
  {
    name: 'callback',
    args: () => ['int compare(const void *a, size_t size)', { views: { a: 'size' } }, nothing],
    call: (_, a, b, c) => subject.callback(a as never, b as never, c as never).release(),
    options: { 1: ['views'] },
  },
  {
    name: 'views of callback',
    args: () => [{ a: 'size' }],
    call: (_, views) =>
      subject.callback('int compare(const void *a, size_t size)', { views } as never, nothing as never).release(),
  },
  {
    name: 'what a declaration answers',
    args: () => [8, false, 'message'],
    call: (_, size, failed, message) =>
      subject
        .func(library, 'char *strdup(const char *text)', {
          returns: 'bytes',
          free: 'free',
          size: () => size,
          failed: () => failed,
          message: () => message,
        } as { returns: 'bytes'; free: string; size: () => number })('text')
        .release(),
  },
  {
    name: 'options of func',
    args: () => ['bytes', 'result', 2, 'free', ['text']],
    call: (_, returns, from, size, free, keeps) =>
      subject.func(library, 'char *strdup(const char *text)', { returns, from, size, free, keeps } as never),
  },
  {
    name: 'Handle.adopt',
    args: () => ['object', 4096n, () => undefined, { keeps: [] }],
    call: (_, a, b, c, d) => subject.Handle.adopt(a as never, b as never, c as never, d as never).release(),
    believed: [1],
    options: { 3: ['keeps'] },
  },
];

function* strangeArguments(): Generator<Case> {
  for (const each of functions) {
    const places = each.args(new Bench()).length;
    for (let place = 0; place < places; place++) {
      for (const [i, { name }] of strangers().entries()) {
        if (each.believed?.includes(place) && /bigint/.test(name)) continue;
        yield { name: `${each.name} with ${name} as argument ${place}`, run: () => callStrangely(each, place, i) };
      }
      for (const kind of bufferKinds) {
        yield { name: `${each.name} with ${kind} as argument ${place}`, run: () => callWithBuffer(each, place, kind) };
      }
    }
  }
}

async function callAt(each: Function, place: number, value: unknown): Promise<void> {
  const bench = new Bench();
  const args = each.args(bench);
  const { liveBlocks } = subject.stats();
  try {
    args[place] = value;
    const made = await each.call(bench, ...args);
    if (!(made === bench.slice)) end(made);
  } catch (error) {
    const left = subject.stats().liveBlocks - liveBlocks;
    if (left > 0) throw new Broken(`it left ${left} blocks behind when it failed`);
    if (!(each.called?.includes(place) && typeof value === 'function')) throw error;
  } finally {
    bench.end();
    configure({ limitBytes: 0, reuseBytes: 4 << 20 });
  }
}

function callStrangely(each: Function, place: number, i: number): Promise<void> {
  return callAt(each, place, strangers()[i]?.value);
}

async function callWithBuffer(each: Function, place: number, kind: string): Promise<void> {
  const hostile = hostileBuffer(kind, 16);
  if (hostile === undefined) return;
  try {
    await callAt(each, place, hostile.value);
  } finally {
    hostile.end?.();
  }
}

// Whatever takes bytes × every kind of buffer × sizes.

interface Taker {
  readonly name: string;
  readonly take: (hostile: Hostile) => unknown;
}

/** The bytes are the buffer's, as many as it has; what has grown meanwhile is zeros. */
function expectBytes({ byteLength }: Hostile, bytes: Uint8Array, what: string): void {
  must(
    byteLength === undefined || bytes.byteLength === byteLength,
    `${what} has ${bytes.byteLength} bytes, not ${byteLength}`,
  );
  const mayBeZero = byteLength === undefined;
  const strange = bytes.findIndex((byte) => byte !== fillByte && !(mayBeZero && byte === 0));
  must(strange < 0, `${what} has bytes that its source does not have: ${bytes[strange]} at ${strange}`);
}

const takers: readonly Taker[] = [
  {
    name: 'Slice.fromBytes',
    take(hostile) {
      using slice = Slices.fromBytes(hostile.value as ArrayBuffer);
      expectBytes(hostile, slice.copy(), 'the slice');
    },
  },
  {
    name: 'Slice.concat',
    take(hostile) {
      using slice = Slices.concat([hostile.value as ArrayBuffer]);
      expectBytes(hostile, slice.copy(), 'the slice');
    },
  },
  {
    name: 'Slice.concat, twice',
    take(hostile) {
      const part = hostile.value as ArrayBuffer;
      using slice = Slices.concat([part, part]);
      const { byteLength } = hostile;
      const both = { ...hostile, byteLength: byteLength === undefined ? undefined : byteLength * 2 };
      expectBytes(both, slice.copy(), 'the slice');
    },
  },
  {
    name: 'writer.write',
    take(hostile) {
      using writer = new SliceWriter({ byteLength: 1 });
      writer.write(hostile.value as ArrayBuffer);
      using slice = writer.finish();
      expectBytes(hostile, slice.copy(), 'what was written');
    },
  },
  {
    name: 'copy from it',
    take(hostile) {
      using slice = Slices.alloc((hostile.byteLength ?? 70_000) + 100);
      copy(slice, hostile.value as ArrayBuffer);
      if (hostile.byteLength !== undefined) expectBytes(hostile, slice.copy(0, hostile.byteLength), 'the copy');
    },
  },
  {
    name: 'copy into it',
    take(hostile) {
      using slice = Slices.alloc(hostile.byteLength ?? 64);
      copy(hostile.value as ArrayBuffer, slice);
    },
  },
  {
    name: 'pin',
    take(hostile) {
      using held = pin(hostile.value as ArrayBuffer);
      const { byteLength } = hostile;
      if (byteLength === undefined) return;
      must(held.byteLength === byteLength, `the pin has ${held.byteLength} bytes, not ${byteLength}`);
      const expected = new Uint8Array(Math.min(byteLength, 1 << 20)).fill(fillByte);
      must(native.holds(held.address, expected), 'the pin has another address');
    },
  },
  {
    name: 'callAsync',
    take: (hostile) => callAsync(native.watch, hostile.value, Math.min(hostile.byteLength ?? 1, 16), 10),
  },
  {
    name: 'arena.address',
    take(hostile) {
      using arena = new Arena();
      arena.address(hostile.value as Uint8Array);
      throw new Broken('a buffer has an address in an arena that did not make it');
    },
  },
  {
    name: 'Slice.attach',
    take(hostile) {
      using slice = attach(hostile.value);
      must(hostile.value instanceof SharedArrayBuffer, 'a buffer that is not shared was attached');
      must(hostile.byteLength === undefined || slice.byteLength === hostile.byteLength, 'it has another length');
    },
  },
];

function* hostileBuffers(): Generator<Case> {
  for (const { name, take } of takers) {
    for (const kind of bufferKinds) {
      for (const size of sizes.filter((n) => Number.isInteger(n) && n >= 0 && n <= 2 ** 22 + 1)) {
        const run = async (): Promise<void> => {
          const hostile = hostileBuffer(kind, size);
          if (hostile === undefined) return;
          try {
            await take(hostile);
            must(hostile.isDead !== true || size === 0 || /into/.test(name), 'a dead buffer was taken');
          } catch (error) {
            if (
              !isAnswer(error) ||
              hostile.isDead ||
              hostile.mayBeRefused ||
              /arena|attach|slice|callAsync.*Shared/.test(name + kind)
            )
              throw error;
            throw new Broken(`it was refused: ${(error as Error).message}`);
          } finally {
            hostile.end?.();
          }
        };
        yield { name: `${name} of ${kind} of ${size} bytes`, run };
      }
    }
  }
}

// Numbers around every limit.

/** So much may be had at once: what follows V8's and C's limits is refused before it is touched. */
const most = 64 << 20;

const numeric: Readonly<Record<string, (n: number, bench: Bench) => unknown>> = {
  'alloc(n)': (n) => made(Slices.alloc(n), n),
  'alloc(n) without zeros': (n) => made(Slices.alloc(n, { zero: false }), n),
  'alloc(n) aligned': (n) => made(Slices.alloc(n, { alignment: 4096 }), n),
  'alloc(8, n)': (alignment) => Slices.alloc(8, { alignment }),
  'adopt(n)': (n) => made(Slices.adopt(4096n, n, nothing), n),
  'borrow(n)': (n, { slice }) => made(Slices.borrow(slice.address, n), n),
  'a view of borrow(n)': (n, { slice }) => {
    using borrowed = Slices.borrow(slice.address, n);
    must(borrowed.bytes.byteLength === n, 'a view has another length');
  },
  'resize(n)': (n, { slice }) => {
    slice.resize(n);
    must(slice.byteLength === n, 'it has another length');
  },
  'view(n)': (n, { slice }) => slice.view(Uint8Array, n),
  'view(0, n)': (n, { slice }) => slice.view(Uint8Array, 0, n),
  'Float64 view(n)': (n, { slice }) => slice.view(Float64Array, n),
  'Float64 view(0, n)': (n, { slice }) => slice.view(Float64Array, 0, n),
  'copy(n)': (n, { slice }) => slice.copy(n),
  'copy(0, n)': (n, { slice }) => slice.copy(0, n),
  'text(n)': (n, { slice }) => slice.text(n),
  'text(0, n)': (n, { slice }) => slice.text(0, n),
  'subslice(n)': (n, { slice }) => slice.subslice(n),
  'subslice(0, n)': (n, { slice }) => slice.subslice(0, n),
  'read(n)': (n, { slice }) => slice.read('uint8_t', n),
  'write(n)': (n, { slice }) => slice.write('uint64_t', n, 1),
  'write a number': (n, { slice }) => slice.write('uint32_t', 0, n),
  'write a float': (n, { slice }) => slice.write('float', 0, n),
  'write a size': (n, { slice }) => slice.write('size_t', 0, n),
  'structs(n)': (n, { slice }) => slice.structs('uint8_t', n),
  'structs(0, n)': (n, { slice }) => slice.structs('uint8_t', 0, n),
  'structs.get(n)': (n, { slice }) => slice.structs('uint32_t').get(n),
  slabBytes: (slabBytes) => {
    using arena = new Arena({ slabBytes });
    return arena.alloc(1);
  },
  'arena.alloc(n)': (n, { arena }) => arena.alloc(n),
  'arena.alloc(8, n)': (alignment, { arena }) => arena.alloc(8, { alignment }),
  'arena.array(n)': (n, { arena }) => arena.array(Float64Array, n),
  'a pool of n': (byteLength) => {
    using pool = new Pool({ byteLength });
    return pool.rent();
  },
  capacity: (capacity) => new Pool({ byteLength: 8, capacity }),
  warmUp: (warmUp) => new Pool({ byteLength: 8, warmUp }),
  'new SliceWriter(n)': (byteLength) => new SliceWriter({ byteLength }),
  chunkBytes: (chunkBytes, { slice }) => readable(slice, { chunkBytes }),
  limitBytes: (limitBytes) => configure({ limitBytes }),
  reuseBytes: (reuseBytes) => configure({ reuseBytes }),
  fractionOfMemory: (fractionOfMemory) => configure({ limitBytes: { fractionOfMemory } }),
  'copy(a, b, n)': (n, { slice }) => copy(slice, new Uint8Array(64), n),
  'copyBytes(n)': (n, { slice }) => (n > 64 && n < 2 ** 53 ? undefined : copyBytes(slice.address, n)),
};

function made(slice: Slice, n: number): Slice {
  must(slice.byteLength === n, `it has ${slice.byteLength} bytes`);
  return slice;
}

function* limits(): Generator<Case> {
  for (const [name, use] of Object.entries(numeric)) {
    for (const n of sizes) {
      const run = (): void => {
        const bench = new Bench();
        configure({ limitBytes: most });
        try {
          const result = use(n, bench);
          if (result !== bench.slice) end(result);
          must(Number.isInteger(n) || /number|float|fraction/.test(name), `${n} was taken for a count`);
        } finally {
          configure({ limitBytes: 0, reuseBytes: 4 << 20 });
          bench.end();
        }
      };
      yield { name: `${name} where n is ${Object.is(n, -0) ? '-0' : n}`, run };
    }
  }
}

// Types and functions that koffi did not make: every part of one of koffi's × what it cannot be.

type Path = readonly string[];

function isContainer(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

/** The ways to all parts of a value. */
function* pathsIn(value: object, deepest: number): Generator<Path> {
  for (const [key, part] of Object.entries(value)) {
    yield [key];
    if (deepest > 1 && isContainer(part)) for (const rest of pathsIn(part, deepest - 1)) yield [key, ...rest];
  }
}

/** What stands for a part, as a value or a getter. */
type Replacement = (original: unknown) => PropertyDescriptor;

/** A copy with one part replaced. */
function forge(value: object, [key, ...rest]: Path, replace: Replacement): object {
  const copy: object = typeof value === 'function' ? () => {} : Array.isArray(value) ? [] : {};
  for (const [name, part] of Object.entries(value)) {
    const isOnPath = name === key && rest.length > 0;
    const forged = isOnPath ? { value: forge(part as object, rest, replace) } : replace(part);
    const descriptor = name === key ? forged : { value: part };
    Object.defineProperty(copy, name, { enumerable: true, configurable: true, ...descriptor });
  }
  return copy;
}

function replacements(): Named<Replacement>[] {
  const numbers = [...sizes, 2, 3, 5, 16, 2 ** 30].map((value) => ({ name: String(value), value }));
  const names = ['__proto__', 'constructor', 'toString', 'Void', 'UInt8', 'Int64', 'Record', 'Union', 'Array'];
  const odd: Named<unknown>[] = [...numbers, ...names.map((value) => ({ name: value, value })), ...strangers()];
  const changing: Replacement = (original) => {
    let reads = 0;
    return { get: () => (reads++ === 0 ? original : 2 ** 30) };
  };
  return [
    ...odd.map(({ name, value }) => ({ name, value: () => ({ value }) })),
    { name: 'a getter that throws', value: () => ({ get: thrower }) },
    { name: 'a getter that changes its mind', value: changing },
  ];
}

/** A failure is an answer. */
function attempt(use: () => unknown): void {
  try {
    use();
  } catch (error) {
    if (!isAnswer(error)) throw error;
  }
}

const values: readonly unknown[] = [1, 1n, { a: 1, b: 2, c: [1, 2, 3, 4] }, { i: 1 }, [1, 2], 'ab', null];

/** Uses a type in every way. What an arena has given out stays as it is. */
function useType(type: object): void {
  const bench = new Bench();
  const { slice, arena } = bench;
  const spec = type as Parameters<typeof slice.read>[0];
  try {
    const before = arena.alloc(16).fill(1);
    for (const value of values) {
      attempt(() => slice.write(spec, 0, value));
      attempt(() => slice.write(spec, 60, value));
      attempt(() => slice.structs(spec).set(0, value as object));
      attempt(() => arena.struct(spec, value));
      slice.bytes.fill(0); // pointers that are read are NULL
    }
    for (const at of [0, 60, 63]) attempt(() => lookAt(slice.read(spec, at)));
    attempt(() => lookAt([...slice.structs(spec)]));
    const after = arena.alloc(16).fill(2);
    const isKept = before.every((byte) => byte === 1) && after.every((byte) => byte === 2);
    must(isKept, 'two allocations of an arena overlap');
  } finally {
    bench.end();
  }
}

/** Decodes the members of unions too. */
function lookAt(value: unknown): void {
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? Number(part) : part));
}

/** The forged function need not call back. */
async function useFunction(forged: object): Promise<void> {
  await Promise.race([callAsync(forged as typeof fn, 5), new Promise(setImmediate)]);
}

function* forgeries(): Generator<Case> {
  const ofType = (type: Parameters<typeof koffi.type>[0]) => ({ original: koffi.type(type) as object, use: useType });
  const all = {
    int: ofType('int'),
    pointer: ofType('void *'),
    text: ofType('char[4]'),
    array: ofType('int64_t[4]'),
    struct: ofType(native.struct as never),
    union: ofType(union),
    function: { original: fn, use: useFunction },
  };
  for (const [name, { original, use }] of Object.entries(all)) {
    for (const path of pathsIn(original, 4)) {
      for (const [i, { name: odd }] of replacements().entries()) {
        const run = (): unknown => use(forge(original, path, replacements()[i]?.value as Replacement));
        yield { name: `a ${name} whose ${path.join('.')} is ${odd}`, run };
      }
    }
  }
}

// Options that nobody knows, and what a slice turns into by itself.

function* unknownOptions(): Generator<Case> {
  for (const each of functions) {
    for (const [place, names] of Object.entries(each.options ?? {})) {
      for (const wrong of ['zeroed', 'limitByte', '__proto_']) {
        const run = (): void => {
          const bench = new Bench();
          try {
            const args = each.args(bench);
            args[Number(place)] = { ...(args[Number(place)] as object), [wrong]: 1 };
            end(each.call(bench, ...args));
          } catch (error) {
            if (!isAnswer(error)) throw error;
            const missing = names.filter((name) => !(error as Error).message.includes(name));
            must(missing.length === 0, `the message does not name ${missing.join()}: ${(error as Error).message}`);
            return;
          } finally {
            bench.end();
            configure({ limitBytes: 0, reuseBytes: 4 << 20 });
          }
          throw new Broken('an unknown option is ignored');
        };
        yield { name: `${each.name} with the option ${wrong}`, run };
      }
    }
  }
}

function* conversions(): Generator<Case> {
  const isTrue = (seen: Uint8Array): void => must(Buffer.from(seen).toString() === 'abc\0', 'it gives other bytes');
  const forms: Record<string, (slice: Slice) => void> = {
    'Buffer.from(slice)': (slice) => isTrue(Buffer.from(slice as unknown as Uint8Array)),
    'structuredClone(slice)': (slice) => {
      const clone = structuredClone(slice) as object;
      must(Object.keys(clone).length > 0 || clone instanceof Uint8Array, 'it gives an empty object');
    },
    'JSON.stringify(slice)': (slice) => must(JSON.stringify(slice) !== '{}', 'it gives an empty object'),
  };
  for (const [name, use] of Object.entries(forms)) {
    const run = (): void => {
      using slice = Slices.fromString('abc');
      try {
        use(slice);
      } catch (error) {
        if (error instanceof Broken) throw error; // whatever else it throws says that it cannot be done
      }
    };
    yield { name, run };
  }
  if (!has('share')) return;
  const run = (): unknown => {
    using slice = Slices.alloc(8);
    return newer(slice).share({ attachment: 1 });
  };
  yield { name: 'share with an unknown option', run };
}

/** The families, in the order in which their cases are numbered. */
const cases: readonly Case[] = [
  ...conversions(),
  ...unknownOptions(),
  ...limits(),
  ...hostileBuffers(),
  ...strangeArguments(),
  ...forgeries(),
];

await serve(
  async (unit, marker) => {
    const each = cases[unit] as Case;
    marker.note(each.name);
    await judge(each);
    return 1;
  },
  { goesOn: true, units: cases.length },
);
