/** Values that are not what they seem. The first half runs user code where the package reads; the second lists arguments. */
import { constants } from 'node:buffer';
import { createContext, runInContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import type { Random } from '../../helpers/random.ts';
import { type Slice, subject } from './subject.ts';
import { Mischief } from './world.ts';

/** Runs while the package reads a value. */
export type Intrusion = () => void;

type Members = Record<string, unknown>;

function withGetters(members: Members, read: (name: string) => unknown): object {
  const object = {};
  for (const name of Object.keys(members)) {
    Object.defineProperty(object, name, { enumerable: true, configurable: true, get: () => read(name) });
  }
  return object;
}

function proxied(members: object, intrude: Intrusion): object {
  const handler: ProxyHandler<object> = {};
  for (const trap of ['get', 'has', 'ownKeys', 'getOwnPropertyDescriptor', 'getPrototypeOf'] as const) {
    const reflect = Reflect[trap] as (...args: unknown[]) => unknown;
    (handler as Record<string, unknown>)[trap] = (...args: unknown[]): unknown => {
      intrude();
      return reflect(...args);
    };
  }
  return new Proxy(members, handler);
}

/** An object with these members for whoever reads each of them once, at any time: others see other values. */
export function membersOf(members: Members, random: Random, intrude: Intrusion): object {
  const nonsense: readonly unknown[] = [-1, 3, Number.NaN, 'x', 2 ** 40, undefined];
  const reads = new Set<string>();
  switch (random(8)) {
    case 0:
    case 1:
      return withGetters(members, (name) => {
        intrude();
        return members[name];
      });
    case 2:
      return withGetters(members, (name) => {
        intrude();
        if (reads.has(name)) return nonsense[random(nonsense.length)];
        reads.add(name);
        return members[name];
      });
    case 3:
      return proxied(members, intrude);
    case 4:
      return withGetters(members, () => {
        intrude();
        throw new Mischief('from a getter');
      });
    default:
      return members;
  }
}

/** An array that does things while it is read: element by element, by its iterator, or at every turn. */
export function listOf<T>(elements: readonly T[], random: Random, intrude: Intrusion): T[] {
  const list = [...elements];
  switch (random(5)) {
    case 0:
      elements.forEach((element, i) => {
        Object.defineProperty(list, i, {
          enumerable: true,
          get: () => {
            intrude();
            return element;
          },
        });
      });
      return list;
    case 1:
      return Object.defineProperty(list, Symbol.iterator, {
        *value() {
          for (const element of elements) {
            intrude();
            yield element;
          }
        },
      });
    case 2:
      return proxied(list, intrude) as T[];
    default:
      return list;
  }
}

type ViewClass = new (buffer: ArrayBuffer, byteOffset: number, length: number) => Uint8Array<ArrayBuffer>;

/** Uint8Array, or a class that runs user code when it is looked at or made. */
export function viewClass(random: Random, intrude: Intrusion): ViewClass {
  class Intruding extends Uint8Array<ArrayBuffer> {
    static override get BYTES_PER_ELEMENT(): 1 {
      intrude();
      return 1;
    }
    static get [Symbol.species](): typeof Uint8Array {
      intrude();
      return Uint8Array;
    }
    constructor(buffer: ArrayBuffer, byteOffset: number, length: number) {
      intrude();
      try {
        super(buffer, byteOffset, length);
      } catch {
        throw new Mischief('from the constructor of a view', true);
      }
      intrude();
    }
  }
  switch (random(4)) {
    case 0:
      return Intruding;
    case 1:
      return proxied(Uint8Array, intrude) as ViewClass;
    default:
      return Uint8Array;
  }
}

/** A thing that is no number, and does something when it is taken for one. */
export function pretender(random: Random, value: number | string, intrude: Intrusion): unknown {
  const act = (): number | string => {
    intrude();
    return value;
  };
  const forms: unknown[] = [{ [Symbol.toPrimitive]: act }, { valueOf: act }, { toString: act }];
  const silent = Object.defineProperty({}, 'constructor', { get: act });
  const tagged = Object.defineProperty({}, Symbol.toStringTag, { get: act });
  return [...forms, silent, tagged][random(5)];
}

// Arguments.

export interface Named<T> {
  readonly name: string;
  readonly value: T;
}

const longest = constants.MAX_LENGTH;

/** Around every limit. */
export const sizes: readonly number[] = [
  0,
  1,
  1023,
  1024,
  1025,
  65_535,
  65_536,
  65_537,
  2 ** 22 - 1,
  2 ** 22,
  2 ** 22 + 1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 31 + 1,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 32 + 1,
  longest - 1,
  longest,
  longest + 1,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 64,
  -1,
  -0,
  0.5,
  1e-300,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

export function thrower(): never {
  throw new Mischief('from a hostile value');
}

const throwing = new Proxy(
  {},
  {
    get: thrower,
    has: thrower,
    ownKeys: thrower,
    getPrototypeOf: thrower,
    getOwnPropertyDescriptor: thrower,
  },
);

/** What no parameter expects, each made anew. Whoever shows it in a message must survive that too. */
export function strangers(): Named<unknown>[] {
  const released = subject.Slice.alloc(8);
  released.release();
  const { Slice } = subject;
  return [
    { name: 'a symbol', value: Symbol('odd') },
    { name: 'Symbol.iterator', value: Symbol.iterator },
    { name: 'null', value: null },
    { name: 'true', value: true },
    { name: 'a bigint', value: 5n },
    { name: 'a huge bigint', value: 1n << 100n },
    { name: 'a negative bigint', value: -1n },
    { name: 'a string', value: '8' },
    { name: 'a long string', value: 'x'.repeat(100_000) },
    { name: 'half a surrogate pair', value: '\ud800' },
    { name: 'NaN', value: Number.NaN },
    { name: 'a negative number', value: -1 },
    { name: 'infinity', value: Number.POSITIVE_INFINITY },
    { name: 'an array', value: [1, 2] },
    { name: 'a date', value: new Date(0) },
    { name: 'an object without a prototype', value: Object.create(null) },
    { name: 'an object whose toString throws', value: { toString: thrower, valueOf: thrower } },
    { name: 'an object whose toPrimitive throws', value: { [Symbol.toPrimitive]: thrower } },
    { name: 'an object whose constructor throws', value: Object.defineProperty({}, 'constructor', { get: thrower }) },
    { name: 'an object whose constructor is null', value: { constructor: null } },
    { name: 'an object named by a symbol', value: { constructor: { name: Symbol('name') } } },
    { name: 'an object named by an object', value: { constructor: { name: { toString: thrower } } } },
    { name: 'a function named by a symbol', value: Object.defineProperty(() => {}, 'name', { value: Symbol('f') }) },
    { name: 'a function whose name throws', value: Object.defineProperty(() => {}, 'name', { get: thrower }) },
    { name: 'a function without a prototype', value: Object.setPrototypeOf(() => {}, null) },
    { name: 'a revoked proxy of an object', value: revoked({}) },
    { name: 'a revoked proxy of an array', value: revoked([]) },
    { name: 'a revoked proxy of a function', value: revoked(() => {}) },
    { name: 'a revoked proxy of a class', value: revoked(Uint8Array) },
    { name: 'a proxy that always throws', value: throwing },
    { name: 'a proxy of a Uint8Array', value: new Proxy(new Uint8Array(8), {}) },
    { name: 'a released slice', value: released },
    { name: 'an object made like a slice', value: Object.create(Slice.prototype) },
    { name: 'a proxy of a slice', value: new Proxy(Slice.alloc(8), {}) },
    { name: 'Slice.prototype', value: Slice.prototype },
    { name: 'Uint8Array.prototype', value: Uint8Array.prototype },
    { name: 'an object made like a Uint8Array', value: Object.create(Uint8Array.prototype) },
    { name: 'a Promise', value: Promise.resolve(1) },
    { name: 'an Error', value: new Error('an argument') },
  ];
}

/** All bytes of a hostile buffer, so that any other shows memory that is not the buffer's. */
export const fillByte = 0x5a;

export interface Hostile {
  readonly name: string;
  /** What to pass. */
  readonly value: ArrayBufferView | ArrayBuffer | SharedArrayBuffer;
  /** How many bytes it has by the language's own getters; undefined where that may change at any moment. */
  readonly byteLength: number | undefined;
  /** It has no bytes any more, or is no buffer: only an error is right. */
  readonly isDead?: boolean;
  /** A call may be refused for what it is. */
  readonly mayBeRefused?: boolean;
  readonly end?: () => void;
}

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** Not among the types of Node. */
const wasm = (globalThis as unknown as { WebAssembly: { Memory: new (size: { initial: number }) => WasmMemory } })
  .WebAssembly;

type Kind = readonly [name: string, make: (byteLength: number) => Omit<Hostile, 'name'> | undefined];

function filled<T extends ArrayBufferLike>(buffer: T): T {
  new Uint8Array(buffer).fill(fillByte);
  return buffer;
}

const bufferOf = (n: number): ArrayBuffer => filled(new ArrayBuffer(n));
const resizable = (n: number, most: number): ArrayBuffer => filled(new ArrayBuffer(n, { maxByteLength: most }));

const foreign = createContext({});
const foreignBytes = (n: number): Uint8Array =>
  (runInContext('(n, byte) => new Uint8Array(n).fill(byte)', foreign) as (n: number, byte: number) => Uint8Array)(
    n,
    fillByte,
  );

class Shadowed extends Uint8Array<ArrayBuffer> {
  static get [Symbol.species](): Uint8ArrayConstructor {
    return thrower();
  }
  override get byteLength(): number {
    return 1 << 28;
  }
  override get length(): number {
    return 1 << 28;
  }
  override get byteOffset(): number {
    return 8;
  }
  override get buffer(): ArrayBuffer {
    return new ArrayBuffer(1);
  }
}

function shadow<T extends object>(object: T, values: Members): T {
  for (const [name, value] of Object.entries(values)) Object.defineProperty(object, name, { value });
  return object;
}

const lies = { byteLength: 1 << 28, length: 1 << 28, byteOffset: 64, buffer: new ArrayBuffer(4) };

/** A thread that lets shared buffers grow, byte by byte, for as long as they can. */
let grower: Worker | undefined;

function growing(n: number): SharedArrayBuffer | undefined {
  if (n > 1 << 22) return undefined;
  const most = n + 20_000;
  const buffer = new SharedArrayBuffer(n, { maxByteLength: most } as never) as SharedArrayBuffer & {
    grow?(length: number): void;
  };
  if (buffer.grow === undefined) return undefined;
  const shadowOfAll = new Uint8Array(buffer as SharedArrayBuffer);
  shadowOfAll.fill(fillByte);
  grower ??= new Worker(
    `require('node:worker_threads').parentPort.on('message', ([buffer, most, byte]) => {
      while (buffer.byteLength < most) {
        buffer.grow(Math.min(most, buffer.byteLength + 7));
      }
    })`,
    { eval: true, execArgv: [] },
  );
  grower.unref();
  grower.postMessage([buffer, most, fillByte]);
  const end = Date.now() + 1000;
  while (buffer.byteLength === n && Date.now() < end);
  return buffer;
}

const kinds: readonly Kind[] = [
  ['an ArrayBuffer', (n) => ({ value: bufferOf(n), byteLength: n })],
  ['a Uint8Array', (n) => ({ value: new Uint8Array(bufferOf(n)), byteLength: n })],
  ['a Uint8Array within a buffer', (n) => ({ value: new Uint8Array(bufferOf(n + 24), 8, n), byteLength: n })],
  ['a DataView', (n) => ({ value: new DataView(bufferOf(n + 3), 3, n), byteLength: n })],
  ['a Float64Array', (n) => ({ value: new Float64Array(bufferOf(n - (n % 8))), byteLength: n - (n % 8) })],
  ['a Buffer', (n) => ({ value: Buffer.alloc(n, fillByte), byteLength: n })],
  ['a SharedArrayBuffer', (n) => ({ value: filled(new SharedArrayBuffer(n)), byteLength: n })],
  ['a resizable ArrayBuffer', (n) => ({ value: resizable(n, n + 64), byteLength: n, mayBeRefused: true })],
  [
    'a view that tracks a length',
    (n) => {
      const buffer = resizable(n + 8, n + 64);
      const view = new Uint8Array(buffer, 8);
      buffer.resize(n + 16);
      new Uint8Array(buffer).fill(fillByte);
      return { value: view, byteLength: n + 8, mayBeRefused: true };
    },
  ],
  [
    'a view out of bounds after a shrink',
    (n) => {
      const buffer = resizable(n + 8, n + 8);
      const view = new Uint8Array(buffer, 4, n + 4);
      buffer.resize(3);
      return { value: view, byteLength: 0, mayBeRefused: true };
    },
  ],
  [
    'a DataView out of bounds after a shrink',
    (n) => {
      const buffer = resizable(n + 8, n + 8);
      const view = new DataView(buffer, 4, n + 4);
      buffer.resize(3);
      return { value: view, byteLength: 0, isDead: true };
    },
  ],
  [
    'a growable SharedArrayBuffer',
    (n) => ({
      value: filled(new SharedArrayBuffer(n, { maxByteLength: n + 64 } as never)),
      byteLength: n,
      mayBeRefused: true,
    }),
  ],
  [
    'a SharedArrayBuffer that another thread lets grow',
    (n) => {
      const value = growing(n);
      return value === undefined ? undefined : { value, byteLength: undefined, mayBeRefused: true };
    },
  ],
  [
    'a detached ArrayBuffer',
    (n) => {
      const value = bufferOf(n);
      structuredClone(value, { transfer: [value] });
      return { value, byteLength: 0, isDead: true };
    },
  ],
  [
    'a view of a detached ArrayBuffer',
    (n) => {
      const value = new Uint8Array(bufferOf(n));
      structuredClone(value.buffer, { transfer: [value.buffer] });
      return { value, byteLength: 0, isDead: true };
    },
  ],
  [
    'WebAssembly memory',
    (n) => {
      if (n > 1 << 22) return undefined;
      const memory = new wasm.Memory({ initial: Math.max(1, Math.ceil(n / 65_536)) });
      const { buffer } = memory;
      const end = (): void => {
        memory.grow(1); // whatever held it before must not stand in the way
      };
      return { value: new Uint8Array(filled(buffer), 0, n), byteLength: n, mayBeRefused: true, end };
    },
  ],
  ['a Uint8Array of another realm', (n) => ({ value: foreignBytes(n), byteLength: n })],
  ['an ArrayBuffer of another realm', (n) => ({ value: foreignBytes(n).buffer as ArrayBuffer, byteLength: n })],
  [
    'a subclass with other getters',
    (n) => ({ value: Object.setPrototypeOf(new Uint8Array(bufferOf(n)), Shadowed.prototype), byteLength: n }),
  ],
  ['a Uint8Array with own properties', (n) => ({ value: shadow(new Uint8Array(bufferOf(n)), lies), byteLength: n })],
  [
    'an ArrayBuffer with own properties',
    (n) => ({ value: shadow(bufferOf(n), { byteLength: 1 << 28, slice: thrower }), byteLength: n }),
  ],
  [
    'a Uint8Array whose constructor throws',
    (n) => ({
      value: Object.defineProperty(new Uint8Array(bufferOf(n)), 'constructor', { get: thrower }),
      byteLength: n,
    }),
  ],
  ['a frozen ArrayBuffer', (n) => ({ value: Object.freeze(bufferOf(n)), byteLength: n, mayBeRefused: true })],
  [
    'a Uint8Array without a prototype',
    (n) => ({ value: Object.setPrototypeOf(new Uint8Array(bufferOf(n)), null), byteLength: n }),
  ],
  [
    'an ArrayBuffer without a prototype',
    (n) => ({ value: Object.setPrototypeOf(bufferOf(n), null), byteLength: n, mayBeRefused: true }),
  ],
  ['the bytes of a slice', (n) => bytesOfSlice(n, (slice) => slice.bytes)],
  ['the buffer of a slice', (n) => bytesOfSlice(n, (slice) => slice.buffer)],
  ['the bytes of a slice, with own properties', (n) => bytesOfSlice(n, (slice) => shadow(slice.bytes, lies))],
  ['a proxy of a Uint8Array', (n) => proxyOf(n, new Uint8Array(Math.min(n, mostProxied)))],
  ['a proxy of an ArrayBuffer', (n) => proxyOf(n, new ArrayBuffer(Math.min(n, mostProxied)))],
  [
    'the bytes of a released slice',
    (n) => {
      const slice = subject.Slice.alloc(n);
      const { bytes } = slice;
      slice.release();
      return { value: bytes, byteLength: 0, isDead: true };
    },
  ],
];

/** Whoever takes one for a plain object looks at each byte. */
const mostProxied = 1 << 17;

function proxyOf(n: number, target: ArrayBuffer | Uint8Array): Omit<Hostile, 'name'> | undefined {
  if (n > mostProxied) return undefined;
  return { value: new Proxy(target, {}) as ArrayBuffer, byteLength: 0, isDead: true };
}

function bytesOfSlice(n: number, show: (slice: Slice) => ArrayBuffer | Uint8Array): Omit<Hostile, 'name'> {
  const slice = subject.Slice.alloc(n);
  slice.bytes.fill(fillByte);
  return { value: show(slice) as ArrayBuffer, byteLength: n, end: () => slice.release() };
}

export const bufferKinds: readonly string[] = kinds.map(([name]) => name);

/** A buffer of the kind with so many bytes, if this runtime has that kind and it can be so long. */
export function hostileBuffer(kind: string, byteLength: number): Hostile | undefined {
  const make = kinds.find(([name]) => name === kind)?.[1];
  try {
    const made = make?.(byteLength);
    return made === undefined ? undefined : { name: kind, ...made };
  } catch {
    return undefined; // V8 does not make one of this length
  }
}
