import { types } from 'node:util';
import { cannotBeLoaded, libraryError, libraryPath } from './locate.ts';

/** C's integers of 64 bits: a number where that is exact, as every address of today's user space is. */
export type Integer = number | bigint;

/**
 * What csrc/host.c exports to this thread, as it says there. A function that returns a buffer returns undefined where it
 * fails, and then {@link result} is a negative status.
 */
export interface Host {
  open(cells: Float64Array, node: boolean, direct: boolean): number | undefined;
  alloc(size: number): ArrayBuffer | undefined;
  allocWith(size: number, alignment: number, zero: boolean): ArrayBuffer | undefined;
  /** `cells[3]` is 1 where the block is guarded, else 0. */
  allocGuarded(size: number, alignment: number): ArrayBuffer | undefined;
  adopt(
    address: Integer,
    size: number,
    fn: Integer,
    signature: number,
    context: Integer,
    anywhere: boolean,
  ): ArrayBuffer | undefined;
  adoptCallback(address: Integer, size: number, number: number): ArrayBuffer | undefined;
  /** `cells[3]` is the size. */
  take(block: Integer, longest: number): ArrayBuffer | undefined;
  refer(block: Integer, address: Integer, size: number): ArrayBuffer | undefined;
  wait(block: Integer, address: Integer, size: number): ArrayBuffer | undefined;
  borrow(address: Integer, size: number): ArrayBuffer | undefined;
  share(block: Integer, address: Integer, size: number): SharedArrayBuffer | undefined;
  attach(buffer: ArrayBufferLike, isShared: boolean, address: Integer, size: number): ArrayBuffer | undefined;
  resize(buffer: ArrayBuffer, block: Integer, size: number): ArrayBuffer | undefined;
  clone(block: Integer, size: number, mayBeShared: boolean): ArrayBuffer | undefined;
  disown(buffer: ArrayBuffer, block: Integer): void;
  end(buffer: ArrayBuffer, key: symbol | undefined): void;
  lock(buffer: ArrayBuffer, key: symbol | undefined): void;
  requests(): ArrayBuffer | undefined;
  /** undefined: unknown. */
  sockets(channel: number): number | undefined;
  collect(): void;
  listen(callback: () => void): Integer | undefined;
}

/**
 * What C writes for JavaScript to read: of the last call the address of the block (or a negative status) and that of its
 * bytes; whether destructors are due; how a resize went.
 */
export const cells: Float64Array = new Float64Array(new ArrayBuffer(32)); // not on the heap, where V8 would move it

/** The first result of the last call: the address of a block, or a negative status. */
export function result(): number {
  return cells[0] as number;
}

/** Whether destructors wait for this thread. */
export function areDestructorsDue(): boolean {
  return cells[2] !== 0;
}

const { modules, bun, deno, electron } = process.versions as NodeJS.Dict<string>;

/** Bun marks all buffers over C memory as untransferable, and detaches them all the same. */
export const isBun: boolean = bun !== undefined;

/** Whether this is Node or Electron, and no runtime that imitates it. */
export const isNode: boolean = bun === undefined && deno === undefined;

/**
 * The versions of Node, by `process.versions.modules`, on which the tests have run with V8's own buffers. V8 promises no
 * stable interface: on others Node-API makes the buffers.
 */
const testedVersions: readonly (string | undefined)[] = ['115', '127', '137', '147']; // Node 20, 22, 24, 26

const isTested = isNode && electron === undefined && testedVersions.includes(modules);

function load(): Host {
  const module = { exports: {} as Partial<Host> };
  try {
    process.dlopen(module, libraryPath);
  } catch (cause) {
    throw cannotBeLoaded(cause);
  }
  if (module.exports.listen === undefined) {
    throw libraryError('found no usable Node-API in this process', [libraryPath]);
  }
  return module.exports as Host;
}

/** This thread's. */
export let host: Host;

/** Whether this runtime has ArrayBuffers over C memory at all. */
export let hasViews = true;

/** Whether V8 itself owns the blocks under ArrayBuffers: it ends them at once, and keeps them wherever bytes move. */
export let direct = false;

/** Counts of this thread's event loop: first its active handles, last its operations under way. undefined: unknown. */
export let loopCounts: Uint32Array | undefined;

/** After the library's ABI has been checked: a library of another ABI is then known for what it is. */
export function openHost(): Host {
  host = load();
  direct = host.open(cells, isNode, isTested) === 1;
  hasViews = types.isArrayBuffer(host.borrow(1, 0));
  const count = host.requests();
  if (types.isArrayBuffer(count)) loopCounts = new Uint32Array(count);
  return host;
}
