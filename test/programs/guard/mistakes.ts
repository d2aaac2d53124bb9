// Makes the mistake with a guarded block that the first argument names, in C or with Node.
import { open } from 'node:fs/promises';
import { isMainThread, Worker } from 'node:worker_threads';
import koffi from 'koffi';
import { configure, Slice } from '../../../lib/index.ts';

const c = koffi.load(null);
const memset = c.func('void *memset(void *memory, int byte, size_t size)');
const free = c.func('void free(void *memory)');

function makeSlice(byteLength: number): Slice {
  return Slice.alloc(byteLength);
}

function dropSlice(slice: Slice): void {
  slice.release();
}

/** Node's types have only a part of it. */
const { WebAssembly: engine } = globalThis as unknown as {
  WebAssembly: { instantiate(bytes: Uint8Array): Promise<{ instance: { exports: object } }> };
};

const mistakes: Record<string, () => unknown> = {
  'use after release': () => {
    const slice = makeSlice(61);
    const { address } = slice;
    dropSlice(slice);
    memset(address + 16n, 1, 1);
  },
  'use after collection': async () => {
    const address = (() => makeSlice(61).address)();
    for (let i = 0; i < 10; i++) {
      globalThis.gc?.();
      await new Promise(setImmediate);
    }
    memset(address, 1, 1);
  },
  'use after resize': () => {
    const slice = makeSlice(61);
    const { address } = slice;
    slice.resize(100);
    memset(address, 1, 1);
  },
  'use after the lease': () => {
    const slice = makeSlice(61);
    const lease = slice.lease();
    const { address } = lease;
    dropSlice(slice);
    memset(address, 1, 1); // the lease keeps it
    lease.release();
    console.log('the lease has ended');
    memset(address, 1, 1);
  },
  'write past the end': () => memset(makeSlice(64).address, 1, 65),
  'write into the padding': () => {
    const slice = makeSlice(61);
    memset(slice.address, 1, 63);
    dropSlice(slice);
    console.log('went on');
  },
  'free a live block': () => free(makeSlice(61).address),
  'free a live block that fills its page to the end': () => free(makeSlice(64).address),
  'free a live block that fills its page': () => free(makeSlice(4096).address),
  'free a live block of many pages': () => free(makeSlice(100_000).address),
  'abort beside live blocks': () => {
    makeSlice(64);
    process.abort();
  },
  'free a released block': () => {
    const slice = makeSlice(61);
    const { address } = slice;
    dropSlice(slice);
    free(address);
  },
  'release under an operation': async () => {
    const file = await open('/dev/null', 'w');
    for (let i = 0; i < 3; i++) {
      const slice = makeSlice(61);
      const written = file.write(slice.bytes);
      dropSlice(slice);
      await written;
    }
    await file.close();
  },
  'in a worker': () => {
    const workerData = { program: import.meta.url };
    if (isMainThread)
      new Worker(new URL('../worker.mjs', import.meta.url), { argv: ['use after release'], workerData });
  },
  'a trap of WebAssembly': async () => {
    // (module (memory 1) (func (export "f") (result i32) (i32.load (i32.const -1))))
    const head = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1];
    const code = [7, 5, 1, 1, 102, 0, 0, 10, 9, 1, 7, 0, 65, 127, 40, 2, 0, 11];
    const { instance } = await engine.instantiate(new Uint8Array([...head, ...code]));
    try {
      (instance.exports as { f(): void }).f();
    } catch (error) {
      console.log((error as Error).message);
    }
  },
  none: () => {
    for (let size = 0; size < 3000; size++) {
      const slice = makeSlice(size);
      memset(slice.address, 1, size);
      dropSlice(slice);
    }
    free(makeSlice(61).disown());
    console.log('no mistake');
  },
};

if (process.argv[3] !== undefined) configure({ guard: { sample: Number(process.argv[3]) } });
await mistakes[process.argv[2] ?? '']?.();
