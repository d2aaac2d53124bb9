/** For each public function and method: arguments that work, and the kind of each, which says what else it may take. */
import { Writable } from 'node:stream';
import koffi from 'koffi';
import { Arena, destructor, Handle, Pool, Slice, SliceWriter } from '../../../lib/index.ts';
import { malloc } from '../../helpers/blocks.ts';
import type { Instances } from './surface.ts';
import type { Kind } from './values.ts';

export interface Argument {
  readonly value: unknown;
  readonly kind: Kind;
  /** Of an options object: each member and its kind, tried one by one. */
  readonly members?: Readonly<Record<string, Kind>>;
}

export interface Row {
  readonly args: readonly Argument[];
  /** Whether it may be called after the release as well. Default: it throws ERR_CSLICE_RELEASED. */
  readonly worksAfterRelease?: boolean;
  /** Whether a wrong `this` shows only when what it returns is used. */
  readonly looksLater?: boolean;
}

const arg = (value: unknown, kind: Kind, members?: Readonly<Record<string, Kind>>): Argument =>
  members === undefined ? { value, kind } : { value, kind, members };

const row = (...args: Argument[]): Row => ({ args });
/** What it makes looks at `this` later. */
const later = (): Row => ({ args: [], worksAfterRelease: true, looksLater: true });
const always = (...args: Argument[]): Row => ({ args, worksAfterRelease: true });

const processLibrary = koffi.load(null);
const absolute = processLibrary.func('int abs(int n)');
const release = destructor(processLibrary, 'free');

const instance = (): Slice => Slice.alloc(64);

export const instances: Instances = {
  Slice: instance,
  Handle: () => Handle.adopt('object', 4096n, null),
  Lease: () => instance().lease(),
  Arena: () => new Arena(),
  Pool: () => new Pool({ byteLength: 64, capacity: 4 }),
  SliceWriter: () => new SliceWriter(),
  StructArray: () => instance().structs('int'),
};

const range = (): Argument[] => [arg(1, 'index'), arg(5, 'index')];

/** Made anew for each call: some arguments are used up by it. */
export const rows: Readonly<Record<string, () => Row>> = {
  'new Slice': () => row(arg({}, 'members'), arg(8, 'anything'), arg(8, 'anything')),
  'Slice.alloc': () => row(arg(64, 'length'), arg({}, 'options', { zero: 'flag', alignment: 'index' })),
  'Slice.fromBytes': () => row(arg(new Uint8Array(8), 'bytes')),
  'Slice.fromString': () => row(arg('text', 'text')),
  'Slice.adopt': () => row(arg(malloc(8), 'address'), arg(8, 'length'), arg(release, 'destructor')),
  'Slice.borrow': () => row(arg(4096n, 'address'), arg(8, 'length'), arg({}, 'owner')),
  'Slice.fromBlock': () => row(arg(0n, 'address')),
  'Slice.attach': () => row(arg(new SharedArrayBuffer(8), 'shared')),
  'Slice.concat': () => row(arg([new Uint8Array(4), instance()], 'parts')),
  'Slice#byteLength': () => always(),
  'Slice#released': () => always(),
  'Slice#address': () => row(),
  'Slice#block': () => row(),
  'Slice#buffer': () => row(),
  'Slice#bytes': () => row(),
  'Slice#view': () => row(arg(Uint16Array, 'class'), arg(2, 'index'), arg(3, 'index')),
  'Slice#toBuffer': () => row(...range()),
  'Slice#toSharedBuffer': () => row(),
  'Slice#copy': () => row(...range()),
  'Slice#text': () => row(...range()),
  'Slice#subslice': () => row(...range()),
  'Slice#structs': () => row(arg('int', 'type'), arg(4, 'index'), arg(2, 'index')),
  'Slice#read': () => row(arg('int', 'type'), arg(4, 'index')),
  'Slice#write': () => row(arg('int', 'type'), arg(4, 'index'), arg(7, 'int')),
  'Slice#resize': () => row(arg(32, 'length')),
  'Slice#lend': () => row(arg(() => {}, 'callback')),
  'Slice#writeTo': () => row(arg(new Writable({ write: (_chunk, _encoding, done) => done() }), 'stream')),
  'Slice#lease': () => row(),
  'Slice#disown': () => row(),
  'Slice#release': () => always(),
  'Slice#[Symbol.dispose]': () => always(),
  'Slice#[Symbol.asyncDispose]': () => always(),
  'Lease#address': () => row(),
  'Lease#released': () => always(),
  'Lease#release': () => always(),
  'Lease#[Symbol.dispose]': () => always(),
  'new Arena': () => row(arg({}, 'options', { slabBytes: 'index' })),
  'Arena#released': () => always(),
  'Arena#alloc': () => row(arg(8, 'length'), arg({}, 'options', { alignment: 'index' })),
  'Arena#array': () => row(arg(Uint16Array, 'class'), arg(8, 'length')),
  'Arena#string': () => row(arg('text', 'text')),
  'Arena#struct': () => row(arg('int', 'type'), arg(5, 'int')),
  'Arena#address': () => row(arg(new Uint8Array(8), 'bytes')),
  'Arena#arena': () => row(arg({}, 'options', { slabBytes: 'index' })),
  'Arena#release': () => always(),
  'Arena#[Symbol.dispose]': () => always(),
  'new Pool': () => row(arg({ byteLength: 8 }, 'sized', { byteLength: 'length', capacity: 'index', warmUp: 'index' })),
  'Pool#rent': () => row(),
  'Pool#stats': () => always(),
  'Pool#release': () => always(),
  'Pool#[Symbol.dispose]': () => always(),
  'new SliceWriter': () => row(arg({}, 'options', { byteLength: 'index' })),
  'SliceWriter#byteLength': () => always(),
  'SliceWriter#write': () => row(arg(new Uint8Array(8), 'bytes')),
  'SliceWriter#finish': () => row(),
  'SliceWriter#writable': () => later(),
  'SliceWriter#webWritable': () => later(),
  'SliceWriter#release': () => always(),
  'SliceWriter#[Symbol.dispose]': () => always(),
  'StructArray#get': () => row(arg(2, 'length')),
  'StructArray#set': () => row(arg(2, 'length'), arg(7, 'int')),
  'StructArray#[Symbol.iterator]': () => later(),
  callAsync: () => row(arg(absolute, 'function'), arg(-5, 'number')),
  copy: () => row(arg(instance(), 'bytes'), arg(new Uint8Array(8), 'bytes'), arg(4, 'index')),
  copyBytes: () => row(arg(instance().address, 'address'), arg(8, 'length')),
  readString: () => row(arg(Slice.fromString('text').address, 'address')),
  destructor: () =>
    row(
      arg(processLibrary, 'library'),
      arg('free', 'symbol'),
      arg({}, 'options', { signature: 'flag', context: 'index', threadSafe: 'flag' }),
    ),
  'new Handle': () => row(arg('name', 'anything'), arg({}, 'members')),
  'Handle.adopt': () =>
    row(
      arg('name', 'name'),
      arg(4096n, 'address'),
      arg(() => {}, 'destructorOrNull'),
      arg({}, 'options', { keeps: 'optionalParts' }),
    ),
  'Handle#address': () => row(),
  'Handle#[nodejs.util.inspect.custom]': () => always(),
  'Handle#released': () => always(),
  'Handle#lease': () => row(),
  'Handle#release': () => always(),
  'Handle#[Symbol.dispose]': () => always(),
  configure: () => row(arg({}, 'settings', { limitBytes: 'limit' })),
  stats: () => row(),
  pin: () => row(arg(new Uint8Array(8), 'bytes')),
  func: () =>
    row(
      arg(processLibrary, 'library'),
      arg('char *strdup(const char *text)', 'symbol'),
      arg({ returns: 'string', free: 'free' }, 'options', { free: 'destructorOrNull', keeps: 'optionalParts' }),
    ),
  callback: () =>
    row(
      arg('int f(int x)', 'symbol'),
      arg((x: number) => x, 'callback'),
    ),
  readable: () => row(arg(instance(), 'bytes'), arg({}, 'options', { chunkBytes: 'index' })),
};

/** Public classes that only carry what somebody else has found out. */
export const exempt: readonly string[] = ['new CSliceError', 'new CCallError'];
