/**
 * A call that works for each public function and method: its arguments, and of each argument the kind, which says what
 * other values it takes (see values.ts). A new public function needs a line in `calls`; the tests name those that have
 * none.
 */
import { Writable } from 'node:stream';
import koffi from 'koffi';
import { Arena, destructor, Handle, Pool, Slice, SliceWriter } from '../../../lib/index.ts';
import { malloc } from '../../helpers/blocks.ts';
import type { Instances } from './public-api.ts';
import type { Kind } from './values.ts';

export interface Argument {
  readonly value: unknown;
  readonly kind: Kind;
  /** Of an options object: each member and its kind, tried one by one. */
  readonly members?: Readonly<Record<string, Kind>>;
}

export interface Call {
  readonly args: readonly Argument[];
  /** Whether it works after the release as well. Default: it throws ERR_CSLICE_RELEASED then. */
  readonly worksAfterRelease?: boolean;
  /** Whether `this` is looked at only when the value that it returned is used. */
  readonly usesThisLater?: boolean;
}

function arg(value: unknown, kind: Kind, members?: Readonly<Record<string, Kind>>): Argument {
  return members === undefined ? { value, kind } : { value, kind, members };
}

function call(...args: Argument[]): Call {
  return { args };
}

/** A call that works after the release as well. */
function callAtAnyTime(): Call {
  return { args: [], worksAfterRelease: true };
}

/** A call that makes an object, which looks at `this` when it is used. */
function callUsedLater(): Call {
  return { args: [], worksAfterRelease: true, usesThisLater: true };
}

const processLibrary = koffi.load(null);
const absolute = processLibrary.func('int abs(int n)');
const release = destructor(processLibrary, 'free');

function newSlice(): Slice {
  return Slice.alloc(64);
}

/** An object of each class, on which its methods are called. */
export const instances: Instances = {
  Slice: newSlice,
  Handle: () => Handle.adopt('object', 4096n, null),
  Lease: () => newSlice().lease(),
  Arena: () => new Arena(),
  Pool: () => new Pool({ byteLength: 64, capacity: 4 }),
  SliceWriter: () => new SliceWriter(),
  StructArray: () => newSlice().structs('int'),
};

/** The parameters `start` and `end`. */
function startAndEnd(): Argument[] {
  return [arg(1, 'index'), arg(5, 'index')];
}

/** By the names of public-api.ts. The arguments are made anew for each call, since some can be used only once. */
export const calls: Readonly<Record<string, () => Call>> = {
  'new Slice': () => call(arg({}, 'members'), arg(8, 'anything'), arg(8, 'anything')),
  'Slice.alloc': () => call(arg(64, 'length'), arg({}, 'options', { zero: 'flag', alignment: 'index' })),
  'Slice.fromBytes': () => call(arg(new Uint8Array(8), 'bytes')),
  'Slice.fromString': () => call(arg('text', 'text')),
  'Slice.adopt': () => call(arg(malloc(8), 'address'), arg(8, 'length'), arg(release, 'destructor')),
  'Slice.borrow': () => call(arg(4096n, 'address'), arg(8, 'length'), arg({}, 'owner')),
  'Slice.fromBlock': () => call(arg(0n, 'address')),
  'Slice.attach': () => call(arg(new SharedArrayBuffer(8), 'shared')),
  'Slice.concat': () => call(arg([new Uint8Array(4), newSlice()], 'parts')),
  'Slice#byteLength': () => callAtAnyTime(),
  'Slice#released': () => callAtAnyTime(),
  'Slice#address': () => call(),
  'Slice#block': () => call(),
  'Slice#buffer': () => call(),
  'Slice#bytes': () => call(),
  'Slice#view': () => call(arg(Uint16Array, 'class'), arg(2, 'index'), arg(3, 'index')),
  'Slice#toBuffer': () => call(...startAndEnd()),
  'Slice#toSharedBuffer': () => call(),
  'Slice#holders': () => call(),
  'Slice#copy': () => call(...startAndEnd()),
  'Slice#copyFrom': () => call(arg(new Uint8Array(8), 'bytes'), arg(4, 'index')),
  'Slice#text': () => call(...startAndEnd()),
  'Slice#subslice': () => call(...startAndEnd()),
  'Slice#structs': () => call(arg('int', 'type'), arg(4, 'index'), arg(2, 'index')),
  'Slice#read': () => call(arg('int', 'type'), arg(4, 'index')),
  'Slice#write': () => call(arg('int', 'type'), arg(4, 'index'), arg(7, 'int')),
  'Slice#resize': () => call(arg(32, 'length')),
  'Slice#lend': () => call(arg(() => {}, 'callback')),
  'Slice#writeTo': () => call(arg(new Writable({ write: (_chunk, _encoding, done) => done() }), 'stream')),
  'Slice#lease': () => call(),
  'Slice#disown': () => call(),
  'Slice#release': () => callAtAnyTime(),
  'Slice#[Symbol.dispose]': () => callAtAnyTime(),
  'Slice#[Symbol.asyncDispose]': () => callAtAnyTime(),
  'Lease#address': () => call(),
  'Lease#released': () => callAtAnyTime(),
  'Lease#release': () => callAtAnyTime(),
  'Lease#[Symbol.dispose]': () => callAtAnyTime(),
  'new Arena': () => call(arg({}, 'options', { slabBytes: 'index' })),
  'Arena#allocatedBytes': () => callAtAnyTime(),
  'Arena#released': () => callAtAnyTime(),
  'Arena#alloc': () => call(arg(8, 'length'), arg({}, 'options', { alignment: 'index' })),
  'Arena#array': () => call(arg(Uint16Array, 'class'), arg(8, 'length')),
  'Arena#string': () => call(arg('text', 'text')),
  'Arena#struct': () => call(arg('int', 'type'), arg(5, 'int')),
  'Arena#address': () => call(arg(new Uint8Array(8), 'bytes')),
  'Arena#arena': () => call(arg({}, 'options', { slabBytes: 'index' })),
  'Arena#release': () => callAtAnyTime(),
  'Arena#[Symbol.dispose]': () => callAtAnyTime(),
  'new Pool': () => call(arg({ byteLength: 8 }, 'sized', { byteLength: 'length', capacity: 'index', warmUp: 'index' })),
  'Pool#byteLength': () => callAtAnyTime(),
  'Pool#released': () => callAtAnyTime(),
  'Pool#rent': () => call(),
  'Pool#stats': () => callAtAnyTime(),
  'Pool#release': () => callAtAnyTime(),
  'Pool#[Symbol.dispose]': () => callAtAnyTime(),
  'new SliceWriter': () => call(arg({}, 'options', { byteLength: 'index' })),
  'SliceWriter#byteLength': () => callAtAnyTime(),
  'SliceWriter#write': () => call(arg(new Uint8Array(8), 'bytes')),
  'SliceWriter#finish': () => call(),
  'SliceWriter#writable': () => callUsedLater(),
  'SliceWriter#webWritable': () => callUsedLater(),
  'SliceWriter#release': () => callAtAnyTime(),
  'SliceWriter#[Symbol.dispose]': () => callAtAnyTime(),
  'StructArray#get': () => call(arg(2, 'length')),
  'StructArray#set': () => call(arg(2, 'length'), arg(7, 'int')),
  'StructArray#[Symbol.iterator]': () => callUsedLater(),
  callAsync: () => call(arg(absolute, 'function'), arg(-5, 'number')),
  copy: () => call(arg(newSlice(), 'bytes'), arg(new Uint8Array(8), 'bytes'), arg(4, 'index')),
  copyBytes: () => call(arg(newSlice().address, 'address'), arg(8, 'length')),
  readString: () => call(arg(Slice.fromString('text').address, 'address')),
  destructor: () =>
    call(
      arg(processLibrary, 'library'),
      arg('free', 'symbol'),
      arg({}, 'options', { signature: 'flag', context: 'index', threadSafe: 'flag' }),
    ),
  'new Handle': () => call(arg('name', 'anything'), arg({}, 'members')),
  'Handle.adopt': () =>
    call(
      arg('name', 'name'),
      arg(4096n, 'address'),
      arg(() => {}, 'destructorOrNull'),
      arg({}, 'options', { keeps: 'optionalParts' }),
    ),
  'Handle#address': () => call(),
  'Handle#released': () => callAtAnyTime(),
  'Handle#lease': () => call(),
  'Handle#release': () => callAtAnyTime(),
  'Handle#[Symbol.dispose]': () => callAtAnyTime(),
  configure: () => call(arg({}, 'settings', { limitBytes: 'limit' })),
  stats: () => call(),
  heapProfile: () => call(),
  liveBlocks: () => call(arg({}, 'options', { limit: 'index' })),
  leakReport: () => call(arg({}, 'options', { limit: 'index' })),
  withLabel: () =>
    call(
      arg('a label', 'label'),
      arg(() => {}, 'callback'),
    ),
  withBudget: () =>
    call(
      arg(1000, 'limit'),
      arg(() => {}, 'callback'),
    ),
  pin: () => call(arg(new Uint8Array(8), 'bytes')),
  func: () =>
    call(
      arg(processLibrary, 'library'),
      arg('char *strdup(const char *text)', 'symbol'),
      arg({ returns: 'string', free: 'free' }, 'options', { free: 'destructorOrNull', keeps: 'optionalParts' }),
    ),
  callback: () =>
    call(
      arg('int f(int x)', 'symbol'),
      arg((x: number) => x, 'callback'),
    ),
  readable: () => call(arg(newSlice(), 'bytes'), arg({}, 'options', { chunkBytes: 'index' })),
};

/** Public classes without checks of their own: they only carry what they are given. */
export const unchecked: readonly string[] = ['new CSliceError', 'new CCallError', 'CSliceError.[Symbol.hasInstance]'];
