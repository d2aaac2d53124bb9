/** A worker thread that does with shared slices what the main thread asks for. Values travel as they are. */
import { parentPort } from 'node:worker_threads';
import { type SharedSlice, Slice } from '../../../lib/index.ts';

interface Request {
  id: number;
  command: string;
  shared?: SharedSlice;
  count?: number;
  options?: { attachments?: number; patience?: number };
}

const held: Slice[] = [];

const commands: Record<string, (request: Request) => unknown> = {
  /** Attaches and keeps. */
  attach({ shared }) {
    const slice = Slice.attach(shared as SharedSlice);
    held.push(slice);
    return { byteLength: slice.byteLength, address: slice.address, sum: slice.bytes.reduce((a, b) => a + b, 0) };
  },
  /** Attaches, writes, and releases. */
  fill({ shared, count }) {
    using slice = Slice.attach(shared as SharedSlice);
    slice.bytes.fill(count as number);
    return slice.byteLength;
  },
  /** Adds 1 to the first cell `count` times, in competition with others. */
  add({ shared, count }) {
    using slice = Slice.attach(shared as SharedSlice);
    const cells = slice.view(Int32Array);
    for (let i = 0; i < (count as number); i++) Atomics.add(cells, 0, 1);
    return Atomics.load(cells, 0);
  },
  /** A slice of this thread, offered to others. */
  share({ count, options }) {
    const slice = Slice.alloc(1000);
    slice.bytes.fill(count as number);
    held.push(slice);
    return slice.share(options);
  },
  /** Passes on what it has attached last. */
  pass() {
    const part = (held.at(-1) as Slice).subslice(1);
    held.push(part);
    return part.share();
  },
  release() {
    for (const slice of held.splice(0)) slice.release();
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
