/**
 * Program: what needs much memory, other threads or a second copy of the package. A unit is one of the cases below; each
 * ends in a value or a CSliceError, and never in an error of V8's or in a crash.
 */
import { constants } from 'node:buffer';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import koffi from 'koffi';
import { serve } from './harness.ts';
import { type Package, type Slice, subject, viewsAreOwned } from './subject.ts';
import { Broken } from './world.ts';

const { Slice: Slices, configure, pin, readable, readString, SliceWriter } = subject;

function must(condition: boolean, what: string): void {
  if (!condition) throw new Broken(what);
}

/** Runs it, and says whether it ended as it may. */
function judge(name: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (error instanceof subject.CSliceError || error instanceof Broken) {
      if (error instanceof Broken) throw error;
      return;
    }
    throw new Broken(`${name} throws an error of others: ${(error as Error).stack}`);
  }
}

/** A block of letters, so many that V8 can make no string of them, and a NUL. */
function long(byteLength: number): Slice {
  const slice = Slices.alloc(byteLength + 1, { zero: false });
  slice.bytes.fill(0x61);
  slice.bytes[byteLength] = 0;
  return slice;
}

const longest = constants.MAX_STRING_LENGTH;

/** With a string of C that V8 can barely hold, can barely not hold, and cannot hold. */
function withLong(name: string, read: (slice: Slice) => unknown): Case[] {
  return [longest, longest + 1, longest + (1 << 20)].map((byteLength) => ({
    name: `${name} of ${byteLength} bytes`,
    run: () => {
      using slice = long(byteLength);
      judge(name, () => {
        const text = read(slice) as string;
        must(text.length === byteLength, 'it has another length');
      });
    },
  }));
}

interface Case {
  readonly name: string;
  readonly run: () => unknown;
}

const program = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { Slice, stats, configure } = await import(workerData.entry);
  const report = (run) => {
    try {
      return { value: run() };
    } catch (error) {
      return { error: error.name + ' ' + (error.code ?? '') + ' ' + error.message };
    }
  };
  const run = new Function('Slice', 'stats', 'configure', workerData.body);
  parentPort.postMessage(report(() => run(Slice, stats, configure)));
`;

/** What the body of a function returns in a worker that has the package. */
async function inWorker(body: string): Promise<unknown> {
  const entry = process.env.CSLICE_ATTACK_ENTRY ?? new URL('../../../lib/index.ts', import.meta.url).href;
  const loader = fileURLToPath(new URL('../worker.mjs', import.meta.url));
  const source = `data:text/javascript,${encodeURIComponent(program)}`;
  const worker = new Worker(loader, { workerData: { program: source, entry, body }, execArgv: [] });
  const [{ value, error }] = (await once(worker, 'message')) as [{ value?: unknown; error?: string }];
  await worker.terminate();
  if (error !== undefined && !error.startsWith('CSliceError ERR_')) throw new Broken(`the worker failed: ${error}`);
  return value ?? error;
}

/** The build is one file, so that a copy of it is a copy of all. */
async function secondCopy(): Promise<Package> {
  return (await import(new URL('../../dist/index.js?copy', import.meta.url).href)) as Package;
}

const cases: readonly Case[] = [
  ...withLong('text()', (slice) => slice.text()),
  ...withLong('text() to before the NUL', (slice) => slice.text(0, slice.byteLength - 1)),
  ...withLong('readString()', (slice) => readString(slice.address)),
  ...withLong("read('char *')", (slice) => {
    using pointer = Slices.alloc(8);
    pointer.write('uintptr_t', 0, slice.address);
    return pointer.read('char *');
  }),
  ...withLong('an owned string', (slice) => {
    const read = subject.func(koffi.load(null), 'char *strcpy(void *to, const void *from)', {
      returns: 'string',
      free: 'free',
    });
    return read(Slices.alloc(slice.byteLength, { zero: false }).disown(), slice);
  }),
  {
    name: 'fromString() of the longest string',
    run: () =>
      judge('fromString()', () => {
        using slice = Slices.fromString('a'.repeat(longest));
        must(slice.byteLength === longest + 1, 'it has another length');
      }),
  },
  {
    name: 'fromString() of the longest string of other letters',
    run: () =>
      judge('fromString()', () => {
        using slice = Slices.fromString('é'.repeat(longest / 2));
        must(slice.byteLength > longest / 2, 'it has another length');
      }),
  },
  {
    name: 'copy() of what no typed array can hold',
    run: () =>
      judge('copy()', () => {
        if (constants.MAX_LENGTH < 2 ** 46) return; // V8 could make so long a one, and would read what is not there
        using slice = Slices.borrow(4096n, 2 ** 46);
        slice.copy();
      }),
  },
  {
    name: 'pin() of WebAssembly memory, which grows afterwards',
    run() {
      const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: new (size: object) => WasmMemory } })
        .WebAssembly;
      for (const buffer of ['own', 'view']) {
        const memory = new Memory({ initial: 1 });
        judge('pin()', () => pin(buffer === 'own' ? memory.buffer : new Uint8Array(memory.buffer)).release());
        memory.grow(1);
        judge('pin()', () => {
          using held = pin(memory.buffer);
          const { byteLength } = memory.buffer;
          memory.grow(1);
          must(held.byteLength === byteLength && memory.buffer.byteLength > byteLength, 'it held nothing');
          throw new Broken('a pin of WebAssembly memory does not keep it');
        });
      }
    },
  },
  {
    name: 'two copies of the package that pin one buffer',
    async run() {
      const other = await secondCopy();
      for (const order of [0, 1]) {
        const buffer = new ArrayBuffer(64);
        const pins = [pin(buffer), other.pin(buffer)];
        pins[order]?.release();
        const [, left] = order === 0 ? pins : [...pins].reverse();
        let moved = true;
        try {
          (buffer as unknown as { transfer(): void }).transfer?.();
          moved = buffer.byteLength === 0;
        } catch {
          moved = false;
        }
        must(!moved, 'the first release takes away the guard of the other pin');
        left?.release();
      }
    },
  },
  {
    name: 'a view of an empty block at any address, in a worker',
    run: () =>
      inWorker(
        `return [0n, 1n, 4096n].map((at) => Slice.borrow(at || 1n, 0).bytes.length + Slice.alloc(0).bytes.length)`,
      ),
  },
  {
    name: 'an empty slice that was moved',
    run: () =>
      judge('a moved slice', () => {
        const slice = Slices.alloc(0);
        const { buffer } = slice;
        const { transfer } = ArrayBuffer.prototype as unknown as { transfer?: (this: ArrayBuffer) => void };
        try {
          structuredClone(buffer, { transfer: [buffer] });
          transfer?.call(buffer);
        } catch {} // a version may refuse
        slice.bytes;
        slice.view(Float64Array);
        slice.copy();
        slice.release();
      }),
  },
  {
    name: 'readable() of a slice that is resized',
    run: async () => {
      for (const size of [0, 8, 4096]) {
        const slice = Slices.alloc(256);
        const stream = readable(slice, { chunkBytes: 64 });
        let failure: unknown;
        stream.on('error', (error) => {
          failure = error;
        });
        stream.read();
        judge('resize()', () => slice.resize(size));
        judge('read()', () => stream.read());
        await new Promise((resolve) => setTimeout(resolve, 5));
        must(
          failure === undefined || failure instanceof subject.CSliceError,
          `the stream failed with ${String(failure)}`,
        );
        stream.destroy();
        slice.release();
      }
    },
  },
  {
    name: 'a worker that drops all it allocates, under the limit of another thread',
    async run() {
      try {
        for (const [limit, size] of [
          [1 << 20, 4096],
          [3 << 20, 1 << 16],
          [32 << 20, 1 << 20],
        ] as const) {
          configure({ limitBytes: subject.stats().liveBytes + limit });
          const said = await inWorker(`for (let i = 0; i < 2000; i++) Slice.alloc(${size}); return 'done';`);
          must(said === 'done', `with ${limit} bytes and blocks of ${size} it failed with ${String(said)}`);
        }
      } finally {
        configure({ limitBytes: 0 });
      }
    },
  },
  {
    name: 'a SliceWriter that fills most of the limit',
    run() {
      configure({ limitBytes: subject.stats().liveBytes + (100 << 20) });
      try {
        const writer = new SliceWriter();
        const chunk = new Uint8Array(1 << 20);
        let written = 0;
        try {
          for (; written < 95; written++) writer.write(chunk);
        } catch {}
        writer.release();
        must(written === 95, `it failed at ${written} of 100 MiB`);
      } finally {
        configure({ limitBytes: 0 });
      }
    },
  },
  {
    name: 'the share of another slice, by a share that is stale',
    run() {
      if (viewsAreOwned) return;
      type Shared = Record<string, unknown>;
      const first = Slices.fromString('first');
      const stale = (first as unknown as { share(options: object): Shared }).share({ attachments: 0 });
      first.release();
      const second = Slices.fromString('other');
      const fresh = (second as unknown as { share(options: object): Shared }).share({ attachments: 0 });
      const forged = { ...fresh, ...stale, name: fresh.name };
      try {
        const got = (Slices as unknown as { attach(shared: unknown): Slice }).attach(forged);
        const text = got.text();
        got.release();
        throw new Broken(`a forged share gives ${text}`);
      } catch (error) {
        if (error instanceof Broken) throw error;
      } finally {
        second.release();
      }
    },
  },
];

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

await serve(
  async (unit, marker) => {
    const each = cases[unit] as Case;
    marker.note(each.name);
    try {
      await each.run();
    } catch (error) {
      throw new Broken(`${each.name}: ${(error as Error).message}`);
    }
    return 1;
  },
  { goesOn: true, units: cases.length },
);
