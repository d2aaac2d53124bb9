/** A worker thread that does with shared memory what the main thread asks for. */
import { parentPort } from 'node:worker_threads';
import koffi from 'koffi';
import { destructor, Slice } from '../../../lib/index.ts';

interface Request {
  readonly id: number;
  readonly command: string;
  readonly buffer: SharedArrayBuffer;
  readonly buffers: SharedArrayBuffer[];
  readonly count: number;
}

const slices: Slice[] = [];
const buffers: SharedArrayBuffer[] = [];

function sumOf(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum + byte, 0);
}

const process_ = koffi.load(null);

function malloc(byteLength: number): bigint {
  return process_.func('void *calloc(size_t count, size_t size)')(1, byteLength);
}

const commands: Record<string, (request: Request) => unknown> = {
  /** Keeps the buffers, and reads them. */
  keep({ buffers: given }) {
    buffers.push(...given);
    return given.map((buffer) => sumOf(new Uint8Array(buffer)));
  },
  /** Attaches a buffer, and keeps the slice only. */
  attach({ buffer }) {
    const slice = Slice.attach(buffer);
    slices.push(slice);
    return { byteLength: slice.byteLength, address: slice.address, sum: sumOf(slice.bytes) };
  },
  /** Attaches, writes, and releases. */
  fill({ buffer, count }) {
    using slice = Slice.attach(buffer);
    slice.bytes.fill(count);
  },
  /** Adds 1 to the first cell `count` times, in competition with others. */
  add({ buffer, count }) {
    const cells = new Int32Array(buffer);
    for (let i = 0; i < count; i++) Atomics.add(cells, 0, 1);
  },
  /** Sleeps until the first cell is no longer 0. */
  wait({ buffer }) {
    const cells = new Int32Array(buffer);
    const how = Atomics.wait(cells, 0, 0, 10_000);
    return [how, Atomics.load(cells, 0)];
  },
  /** Writes to the second cell, then wakes who waits for the first. */
  wake({ buffer, count }) {
    const cells = new Int32Array(buffer);
    cells[1] = count;
    Atomics.store(cells, 0, 1);
    Atomics.notify(cells, 0);
  },
  /** The memory of a slice of this thread, which stays here too. */
  share({ count }) {
    const slice = Slice.alloc(1000);
    slice.bytes.fill(count);
    slices.push(slice);
    return slice.toSharedBuffer();
  },
  /** The memory of a slice over malloc, whose reference this thread gives back at once. */
  shareAdopted({ count }) {
    using slice = Slice.adopt(malloc(16), 16, count === 0 ? () => {} : destructor(process_, 'free'));
    slice.bytes.fill(1);
    return slice.toSharedBuffer();
  },
  /** Passes on all but the first byte of what it has attached last. */
  pass() {
    const part = (slices.at(-1) as Slice).subslice(1);
    slices.push(part);
    return part.toSharedBuffer();
  },
  release() {
    for (const slice of slices.splice(0)) slice.release();
    buffers.length = 0;
  },
  /** In a job of its own: the one before may have had something in its hand. */
  collect() {
    globalThis.gc?.();
  },
  end() {
    parentPort?.close();
  },
};

parentPort?.on('message', (request: Request) => {
  try {
    parentPort?.postMessage({ id: request.id, value: commands[request.command]?.(request) });
  } catch (error) {
    parentPort?.postMessage({ id: request.id, code: (error as { code?: string }).code ?? String(error) });
  }
});
