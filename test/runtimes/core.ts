/**
 * The core of the test suite as a plain script, for runtimes that mocha and its loader do not run on: every check in a
 * process of its own, so that a crash is a failed check. Uses the built package. The last line is the result.
 *
 * Checks that a runtime is known to fail stand in `gaps.ts`. One that passes all the same fails the run.
 */
import { strictEqual as equal, deepStrictEqual as equalAll, ok } from 'node:assert';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  isMainThread,
  MessageChannel,
  markAsUntransferable,
  parentPort,
  receiveMessageOnPort,
  Worker,
  workerData,
} from 'node:worker_threads';
import koffi from 'koffi';
import { collect, collectUntil, flags, runtime, turn, version } from '../helpers/engine.ts';
import { type Gap, gaps } from './gaps.ts';

type Package = typeof import('../../lib/index.ts');
type Slice = import('../../lib/index.ts').Slice;

const entry = new URL('../../dist/index.js', import.meta.url).href;
const { callAsync, configure, copy, copyBytes, destructor, pin, readString, Slice, stats } = (await import(
  entry
)) as Package;

const megabyte = 1 << 20;
const collects = process.env.CSLICE_CORE_COLLECT !== undefined;

/** Has a collection before and after every call of a method, so that whatever a caller has not got is gone at once. */
function collectAtEveryStep(holder: object): void {
  for (const key of Reflect.ownKeys(holder)) {
    const { value: method, ...descriptor } = Object.getOwnPropertyDescriptor(holder, key) as PropertyDescriptor;
    if (key === 'constructor' || typeof method !== 'function' || descriptor.writable !== true) continue;
    const value = function (this: unknown, ...args: unknown[]): unknown {
      collect();
      try {
        return Reflect.apply(method, this, args);
      } finally {
        collect();
      }
    };
    Object.defineProperty(holder, key, { ...descriptor, value });
  }
}

if (collects) {
  collectAtEveryStep(Slice);
  collectAtEveryStep(Slice.prototype);
}
const fixturePath = process.env.CSLICE_CORE_FIXTURE ?? '';

// Names for the few C functions used here. malloc and free, since adopted memory must come from elsewhere.
const malloc = (byteLength: number): bigint => koffi.load(null).func('void *malloc(size_t size)')(byteLength);
const free = (address: bigint): void => koffi.load(null).func('void free(void *memory)')(address);
const fixture = () => koffi.load(fixturePath);
const make = (byteLength: number): bigint => fixture().func('void *fixture_make(size_t size)')(byteLength);

/** Calls, address, size and context of the last destructor of the fixture. */
function lastCall(): bigint[] {
  const counts = new BigUint64Array(4);
  fixture().func('void fixture_last(void *counts)')(counts);
  return Array.from(counts);
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return 'nothing thrown';
}

async function rejectionOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'fulfilled',
    (error) => (error as { code?: string }).code ?? String(error),
  );
}

function peakMebibytes(): number {
  return Math.round(
    process.resourceUsage().maxRSS / (runtime === 'bun' && process.platform === 'darwin' ? megabyte : 1024),
  );
}

function atMost(value: number, limit: number, what: string): void {
  ok(value <= limit, `${what}: ${value}, more than ${limit}`);
}

type Views = readonly { readonly byteLength: number }[];

function viewsOf(slice: Slice): Views {
  const { bytes, buffer } = slice;
  return [
    buffer,
    bytes,
    bytes.subarray(1, 3),
    slice.view(Float64Array),
    slice.view(DataView, 2),
    new Uint16Array(buffer, 2, 2),
  ];
}

/** Of a detached DataView, which throws where others say 0, it is 0 too. */
function lengthsOf(views: Views): number[] {
  return views.map((view) => {
    try {
      return view.byteLength;
    } catch {
      return 0;
    }
  });
}

/** Holds blocks in a thread, and says when it does. */
function workIn(ending: string): Worker {
  // A worker of Node does not inherit the TypeScript loader. The other runtimes need none.
  const program = runtime === 'node' ? new URL('../programs/worker.mjs', import.meta.url) : new URL(import.meta.url);
  return new Worker(program, { workerData: { program: import.meta.url, ending }, env: process.env });
}

async function endThread(ending: 'return' | 'terminate'): Promise<void> {
  Slice.alloc(8).release();
  const worker = workIn(ending);
  const exit = once(worker, 'exit');
  await once(worker, 'message');
  if (ending === 'terminate') await worker.terminate();
  await exit;
  // An exit event may come before the thread's own clean-up has.
  await collectUntil(() => stats().liveBlocks === 0, 'no block of the thread is left', 5000);
  const { releasedByCollection, releasedByThreadEnd } = stats();
  equal(releasedByCollection + releasedByThreadEnd, 3); // a thread may collect before it ends
  equal(Number(lastCall()[0]), 1);
}

/** Keeps what it is sent, and says what it is. */
function keep(): void {
  parentPort?.on('message', (buffer: ArrayBuffer) => {
    kept.push(buffer);
    parentPort?.postMessage([...new Uint8Array(buffer)]);
  });
  parentPort?.postMessage('ready');
}

function work(): void {
  if (workerData.ending === 'keep') {
    keep();
    return;
  }
  const held = [Slice.alloc(100), Slice.fromString('in a thread')];
  held.push(Slice.adopt(make(8), 8, destructor(fixture(), 'fixture_free')));
  for (const slice of held) slice.bytes[0] = 1;
  if (workerData.ending === 'terminate') setInterval(() => held, 1000);
  parentPort?.postMessage('ready');
}

/** Stays referenced until the process ends, so that it is not collected. */
const kept: ArrayBuffer[] = [];
let exitsAtOnce = false;

const checks: Record<string, () => void | Promise<void>> = {
  'alloc: gives zeroed, aligned bytes that C sees': () => {
    const slice = Slice.alloc(64, { alignment: 4096 });
    equal(slice.address % 4096n, 0n);
    equalAll(slice.copy(), new Uint8Array(64));
    slice.bytes.set([1, 2, 3], 5);
    equalAll(copyBytes(slice.address + 5n, 3), Uint8Array.of(1, 2, 3));
    equal(slice.bytes, slice.bytes);
    equal(stats().liveBytes, 64);
    slice.release();
    equal(stats().liveBlocks, 0);
  },

  'alloc: gives 256 MiB at once, and refuses more than the runtime can view': () => {
    const slice = Slice.alloc(256 * megabyte);
    slice.bytes[256 * megabyte - 1] = 7;
    equal(copyBytes(slice.address + BigInt(256 * megabyte - 1), 1)[0], 7);
    slice.release();
    const refused = codeOf(() => Slice.alloc(2 ** 53 - 1)); // some runtimes could view as much, no machine has it
    ok(refused === 'ERR_CSLICE_RANGE' || refused === 'ERR_CSLICE_NOMEM', refused);
  },

  'adopt: a native destructor runs once, in each of its signatures': () => {
    const address = make(8);
    Slice.adopt(address, 8, destructor(fixture(), 'fixture_free')).release();
    equalAll(lastCall(), [1n, address, 0n, 0n]);
    const sized = make(9);
    Slice.adopt(sized, 9, destructor(fixture(), 'fixture_free_sized', { signature: 'ptr,size' })).release();
    equalAll(lastCall(), [2n, sized, 9n, 0n]);
    const inContext = make(10);
    const options = { signature: 'ctx,ptr', context: 77n } as const;
    Slice.adopt(inContext, 10, destructor(fixture(), 'fixture_free_in', options)).release();
    equalAll(lastCall(), [3n, inContext, 0n, 77n]);
  },

  'adopt: a native destructor keeps its library, however the caller drops it': () => {
    const library = koffi.load(fixturePath);
    const slice = Slice.adopt(make(8), 8, destructor(library, 'fixture_free'));
    library.unload();
    slice.release();
    equal(stats().liveBlocks, 0);
  },

  'adopt: a JavaScript destructor runs once, at the release, and may throw or use slices': () => {
    const calls: [bigint, number][] = [];
    const address = malloc(8);
    const slice = Slice.adopt(address, 8, (at, length) => {
      calls.push([at, length]);
      Slice.alloc(8).release();
      free(at);
      throw new Error('on purpose');
    });
    process.on('warning', () => {});
    slice.release();
    slice.release();
    equalAll(calls, [[address, 8]]);
    equal(stats().failedDestructors, 1);
    equal(stats().liveBlocks, 0);
  },

  'borrow: frees nothing, and keeps its owner': async () => {
    const owner = Slice.fromBytes(Uint8Array.of(1, 2, 3));
    const address = owner.address;
    const slice = Slice.borrow(address, 3, owner);
    equalAll([...slice.bytes], [1, 2, 3]);
    slice.release();
    equalAll([...owner.bytes], [1, 2, 3]);
    const held = ((): { bytes: Uint8Array } => {
      const hidden = Slice.fromBytes(Uint8Array.of(7));
      return { bytes: Slice.borrow(hidden.address, 1, hidden).bytes };
    })();
    for (let i = 0; i < 8; i++) {
      await turn();
      collect();
    }
    equal(held.bytes[0], 7);
    equal(stats().liveBlocks, 2);
    ok(owner.bytes.length);
  },

  'views: of every kind show the same bytes': () => {
    const slice = Slice.alloc(16);
    slice.view(DataView).setUint32(4, 0x01020304);
    equal(slice.bytes[4], 1);
    equal(slice.toBuffer().readUInt8(5), 2);
    slice.view(Float64Array, 8, 1)[0] = 0.5;
    equal(slice.read('double', 8), 0.5);
    equal(slice.view(BigUint64Array).length, 2);
    equalAll(lengthsOf(viewsOf(slice)), [16, 16, 2, 16, 14, 4]);
  },

  'views: keep a block whose handle is forgotten': async () => {
    const views = (() => {
      const all = viewsOf(Slice.fromBytes(new Uint8Array(16).fill(9)));
      return all.slice(3, 4) as unknown as [Float64Array];
    })();
    for (let i = 0; i < 8; i++) {
      await turn();
      collect();
    }
    equal(stats().liveBlocks, 1);
    equal(new Uint8Array(views[0].buffer)[3], 9);
  },

  'release: detaches every view, and later uses throw ERR_CSLICE_RELEASED': () => {
    const slice = Slice.alloc(16);
    const views = viewsOf(slice);
    slice.release();
    slice.release();
    equalAll(lengthsOf(views), [0, 0, 0, 0, 0, 0]);
    for (const use of [
      () => slice.bytes,
      () => slice.buffer,
      () => slice.address,
      () => slice.copy(),
      () => slice.text(),
      () => slice.read('int'),
      () => slice.lease(),
      () => slice.disown(),
      () => copy(slice, new Uint8Array(1)),
    ]) {
      equal(codeOf(use), 'ERR_CSLICE_RELEASED');
    }
    equal(slice.byteLength, 16);
    equal(stats().releasedByScope, 1);
  },

  'toBuffer: outlives the release, and its collection ends the block': async () => {
    await (async () => {
      const slice = Slice.adopt(make(8), 8, destructor(fixture(), 'fixture_free'));
      const buffer = slice.toBuffer();
      slice.release();
      for (let i = 0; i < 4; i++) {
        await turn();
        collect();
      }
      equal(Number(lastCall()[0]), 0);
      equal(buffer.toString('hex'), '0001020304050607');
    })();
    await collectUntil(() => stats().liveBlocks === 0, 'the block has ended');
    equal(Number(lastCall()[0]), 1);
  },

  'toSharedBuffer: shows the same bytes with a reference of its own, on Node': async () => {
    await (async () => {
      const slice = Slice.adopt(make(8), 8, destructor(fixture(), 'fixture_free'));
      if (runtime !== 'node') {
        equal(
          codeOf(() => slice.toSharedBuffer()),
          'ERR_CSLICE_NO_VIEW',
        );
        slice.release();
        return;
      }
      const bytes = new Uint8Array(slice.toSharedBuffer());
      slice.bytes[7] = 77;
      slice.release();
      equal(Number(lastCall()[0]), 0);
      equalAll([...bytes], [0, 1, 2, 3, 4, 5, 6, 77]);
    })();
    await collectUntil(() => stats().liveBlocks === 0, 'the block has ended');
    equal(Number(lastCall()[0]), 1);
  },

  'attach: gives the memory of a SharedArrayBuffer that JavaScript made, and keeps it': async () => {
    const slice = (() => {
      const buffer = new SharedArrayBuffer(8);
      new Uint8Array(buffer).fill(5);
      return Slice.attach(buffer);
    })();
    for (let i = 0; i < 4; i++) {
      await turn();
      collect();
    }
    equalAll([...slice.bytes], [5, 5, 5, 5, 5, 5, 5, 5]);
    equalAll([...copyBytes(slice.address, 2)], [5, 5]);
    slice.release();
    equal(
      codeOf(() => Slice.attach(new ArrayBuffer(8) as never)),
      'ERR_CSLICE_TYPE',
    );
  },

  'release: by the end of a using scope': () => {
    const kept: Uint8Array[] = [];
    {
      using slice = Slice.alloc(16);
      kept.push(slice.bytes);
    }
    equal(kept[0]?.length, 0);
    equal(stats().liveBlocks, 0);
  },

  'collection: ends dropped slices of every kind, and each destructor runs once': async () => {
    let calls = 0;
    const release = destructor(fixture(), 'fixture_free');
    const drop = (i: number): void => {
      if (i % 4 === 0) Slice.alloc(64);
      else if (i % 4 === 1) Slice.alloc(100).bytes.fill(1);
      else if (i % 4 === 2) Slice.adopt(make(8), 8, release);
      else
        Slice.adopt(malloc(32), 32, (address) => {
          calls++;
          free(address);
        });
    };
    for (let i = 0; i < 2000; i++) drop(i);
    await collectUntil(() => stats().liveBlocks === 0 && calls === 500, 'no block is left');
    equal(stats().releasedByCollection, 2000);
    equal(Number(lastCall()[0]), 500);
  },

  'text: of C and for C, in UTF-8': () => {
    using slice = Slice.fromString('grüße 🌍');
    equal(slice.byteLength, 13);
    equal(slice.text(), 'grüße 🌍');
    equal(slice.text(0, 2), 'gr');
    equal(readString(slice.address), 'grüße 🌍');
    equal(
      codeOf(() => Slice.fromString('a\0b')),
      'ERR_CSLICE_RANGE',
    );
  },

  'read and write: numbers, structs, arrays and pointers': () => {
    using slice = Slice.alloc(64);
    using name = Slice.fromString('C');
    const point = koffi.struct({ x: 'int', y: 'double', tag: 'char[4]', text: 'char *' });
    slice.write(point, 0, { x: -1, y: 0.5, tag: 'abc', text: name.address });
    equalAll({ ...slice.read(point) }, { x: -1, y: 0.5, tag: 'abc', text: 'C' });
    slice.write('uint64_t', 40, 2n ** 64n - 1n);
    equal(slice.read('uint64_t', 40), 2n ** 64n - 1n);
    slice.write('int16_t', 50, -2);
    equal(slice.read('int16_t', 50), -2);
    equal(
      codeOf(() => slice.read('double', 60)),
      'ERR_CSLICE_RANGE',
    );
    equal(
      codeOf(() => slice.write('uint8_t', 0, 256)),
      'ERR_CSLICE_RANGE',
    );
  },

  'copy: between slices and JavaScript memory': () => {
    using from = Slice.fromBytes(Uint8Array.of(1, 2, 3, 4));
    using to = Slice.alloc(4);
    copy(to, from);
    equalAll([...to.bytes], [1, 2, 3, 4]);
    const bytes = new Uint8Array(4);
    copy(bytes, to, 2);
    equalAll([...bytes], [1, 2, 0, 0]);
    copy(from, Uint8Array.of(9), 1);
    equalAll([...from.copy(0, 2)], [9, 2]);
    equalAll([...copyBytes(from.address, 2)], [9, 2]);
    equal(
      codeOf(() => copy(to, from, 5)),
      'ERR_CSLICE_RANGE',
    );
  },

  'lease: delays the destructor, not the death of the views': async () => {
    const slice = Slice.adopt(make(8), 8, destructor(fixture(), 'fixture_free'));
    const { bytes } = slice;
    const first = slice.lease();
    const second = slice.lease();
    slice.release();
    equal(bytes.length, 0);
    first.release();
    equal(Number(lastCall()[0]), 0);
    equalAll([...copyBytes(second.address, 3)], [0, 1, 2]);
    second.release();
    equal(Number(lastCall()[0]), 1);
    equal(
      codeOf(() => second.address),
      'ERR_CSLICE_RELEASED',
    );
    (() => {
      using forgotten = Slice.alloc(8);
      forgotten.lease(); // where every step collects, it may have ended by the next line
    })();
    await collectUntil(() => stats().liveBlocks === 0, 'a forgotten lease has ended');
  },

  'pin: gives JavaScript memory a stable address, and keeps it': async () => {
    const pinned = ((): { address: bigint; release(): void } => pin(Uint8Array.of(1, 2, 3)))();
    for (let i = 0; i < 4; i++) {
      await turn();
      collect();
    }
    equalAll([...copyBytes(pinned.address, 3)], [1, 2, 3]);
    pinned.release();
    equal(
      codeOf(() => pinned.address),
      'ERR_CSLICE_RELEASED',
    );
    using slice = Slice.alloc(8);
    const hold = pin(slice.bytes);
    slice.release();
    equal(stats().liveBlocks, 1);
    hold.release();
    equal(stats().liveBlocks, 0);
  },

  'pin: refuses a transfer until the release': () => {
    const source = new Uint8Array(8);
    const hold = pin(source);
    for (const move of [transferred, clonedByTransfer]) {
      try {
        move(source.buffer); // no more than a copy
      } catch {}
    }
    equal(source.length, 8);
    hold.release();
  },

  'callAsync: passes slices and buffers, and holds them until C returns': async () => {
    const memmove = koffi.load(null).func('void *memmove(void *to, const void *from, size_t size)');
    const slice = Slice.alloc(4);
    using address = Slice.borrow(slice.address, 4);
    const copied = callAsync(memmove, slice, Uint8Array.of(1, 2, 3, 4), 4);
    const lease = slice.lease();
    slice.release();
    await copied;
    equalAll([...address.copy()], [1, 2, 3, 4]);
    lease.release();
    equal(stats().liveBlocks, 0);
    equal(await rejectionOf(callAsync(memmove, 1n)), 'ERR_CSLICE_TYPE');
    equal(await rejectionOf(callAsync(memmove, slice, slice, 1)), 'ERR_CSLICE_RELEASED');
  },

  'callAsync: many calls at once leave nothing held': async () => {
    const qsort = koffi.load(null).func('void *memset(void *to, int byte, size_t size)');
    const slices = Array.from({ length: 50 }, () => Slice.alloc(megabyte / 4));
    const calls = slices.map((slice, i) => callAsync(qsort, slice, i, slice.byteLength));
    await Promise.all(calls);
    slices.forEach((slice, i) => {
      equal(slice.bytes[1000], i);
      slice.release();
    });
    equal(stats().liveBlocks, 0);
  },

  'limit: refuses what passes it, and collects garbage before': () => {
    configure({ limitBytes: 8 * megabyte });
    const held = [Slice.alloc(4 * megabyte)];
    equal(
      codeOf(() => Slice.alloc(5 * megabyte)),
      'ERR_CSLICE_LIMIT',
    );
    held.pop()?.release();
    const drop = (): void => {
      Slice.alloc(megabyte).bytes[0] = 1;
    };
    for (let i = 0; i < 200; i++) drop();
    configure({ limitBytes: { fractionOfMemory: 0.5 } });
    Slice.alloc(megabyte).release();
  },

  'disown: hands the memory to C': () => {
    const slice = Slice.fromBytes(Uint8Array.of(1, 2));
    const { bytes } = slice;
    const address = slice.disown();
    equal(bytes.length, 0);
    equal(slice.released, true);
    equalAll([...copyBytes(address, 2)], [1, 2]);
    free(address);
    equal(stats().disownedBlocks, 1);
    equal(stats().liveBlocks, 0);
  },

  'bad input: throws a CSliceError before C is called': () => {
    const wrong = (value: unknown) => value as never;
    for (const [action, code] of [
      [() => Slice.alloc(-1), 'ERR_CSLICE_RANGE'],
      [() => Slice.alloc(0.5), 'ERR_CSLICE_RANGE'],
      [() => Slice.alloc(Number.NaN), 'ERR_CSLICE_RANGE'],
      [() => Slice.alloc(wrong('8')), 'ERR_CSLICE_TYPE'],
      [() => Slice.alloc(8, { alignment: 3 }), 'ERR_CSLICE_RANGE'],
      [() => Slice.borrow(0n, 8), 'ERR_CSLICE_RANGE'],
      [() => Slice.adopt(8n, 8, wrong(null)), 'ERR_CSLICE_TYPE'],
      [() => Slice.fromBytes(wrong({})), 'ERR_CSLICE_TYPE'],
      [() => copyBytes(0n, 1), 'ERR_CSLICE_RANGE'],
      [() => readString(wrong(null)), 'ERR_CSLICE_TYPE'],
      [() => destructor(koffi.load(null), 'no_such_symbol'), 'ERR_CSLICE_RANGE'],
      [() => pin(wrong(5)), 'ERR_CSLICE_TYPE'],
      [() => configure(wrong(null)), 'ERR_CSLICE_TYPE'],
    ] as const) {
      equal(codeOf(action), code);
    }
    equal(stats().allocatedBlocks, 0);
  },

  'transfer: a plain structuredClone copies': () => {
    using slice = Slice.fromBytes(Uint8Array.of(1, 2));
    const cloned = structuredClone(slice.bytes);
    slice.bytes[0] = 9;
    equalAll([...cloned], [1, 2]);
  },

  'transfer: structuredClone moves the block, and the slice is over; or it is refused': () =>
    expectMoved(clonedByTransfer),

  'transfer: postMessage moves the block, and the slice is over; or it is refused': () => expectMoved(posted),

  'transfer: a method of ArrayBuffer moves the block, and the slice is over; or it is refused': () =>
    expectMoved(transferred),

  'transfer: to another thread keeps the block until that has ended; or it is refused': async () => {
    const worker = workIn('keep');
    const exit = once(worker, 'exit');
    await once(worker, 'message');
    const sent = await (async () => {
      const slice = Slice.adopt(make(8), 8, destructor(fixture(), 'fixture_free'));
      const { buffer } = slice;
      const answer = once(worker, 'message');
      if (isRefused(() => worker.postMessage(buffer, [buffer]))) {
        equal(slice.bytes.length, 8);
        return false;
      }
      equalAll((await answer)[0], [0, 1, 2, 3, 4, 5, 6, 7]);
      equalAll([slice.released, buffer.byteLength], [true, 0]);
      return true;
    })();
    for (let i = 0; i < 4; i++) {
      await turn();
      collect();
    }
    if (sent) equal(Number(lastCall()[0]), 0);
    await worker.terminate();
    await exit;
    await collectUntil(() => stats().liveBlocks === 0, 'the block has ended');
    await collectUntil(() => Number(lastCall()[0]) === 1, 'the destructor has run');
  },

  'release: of a slice whose buffer someone has marked as untransferable harms nobody': () => {
    const slice = Slice.alloc(8);
    const { buffer } = slice;
    markAsUntransferable(buffer);
    process.on('warning', () => {});
    slice.release();
    equal(slice.released, true);
    if (buffer.byteLength !== 0) equal(stats().liveBlocks, 1); // what cannot be detached must not be freed
    exitsAtOnce = true; // how such a process ends is the next check
  },

  'exit: of a process in which a buffer was marked as untransferable is orderly': () => {
    const { buffer } = Slice.alloc(8);
    markAsUntransferable(buffer);
    kept.push(buffer);
  },

  'threads: one that ends gives everything back, native destructors included': () => endThread('return'),

  'threads: one that is terminated gives everything back, native destructors included': () => endThread('terminate'),

  'memory: a loop that never yields stays within 350 MB, dropping 4,000 slices of 1 MiB written through': () => {
    const drop = (i: number): void => {
      Slice.alloc(megabyte, { zero: false }).bytes.fill(i);
    };
    for (let i = 0; i < 4000; i++) drop(i);
    atMost(peakMebibytes(), 350, 'peak in MiB');
  },

  'memory: a loop that never yields stays within 350 MB, dropping 4,000 slices of 1 MiB without a view': () => {
    const source = new Uint8Array(megabyte).fill(1);
    const drop = (): void => {
      Slice.fromBytes(source);
    };
    for (let i = 0; i < 4000; i++) drop();
    atMost(peakMebibytes(), 350, 'peak in MiB');
  },

  'memory: a loop that never yields stays within 1,500 MB, dropping 16,000 slices of 1 MiB': () => {
    const source = new Uint8Array(megabyte).fill(1);
    const drop = (i: number): void => {
      if (i % 2 === 0) Slice.fromBytes(source);
      else Slice.alloc(megabyte, { zero: false }).bytes.fill(i);
    };
    for (let i = 0; i < 16_000; i++) drop(i);
    atMost(peakMebibytes(), 1500, 'peak in MiB');
  },

  'memory: a loop that yields stays within 350 MB, dropping 20,000 slices of 64 KiB': async () => {
    const drop = (i: number): void => {
      Slice.alloc(64 << 10, { zero: false }).bytes.fill(i);
    };
    for (let i = 0; i < 20_000; i++) {
      drop(i);
      if (i % 100 === 0) await turn();
    }
    atMost(peakMebibytes(), 350, 'peak in MiB');
  },
};

function clonedByTransfer(buffer: ArrayBuffer): ArrayBuffer {
  return structuredClone(buffer, { transfer: [buffer] });
}

function posted(buffer: ArrayBuffer): ArrayBuffer {
  const { port1, port2 } = new MessageChannel();
  try {
    port1.postMessage(buffer, [buffer]);
    return receiveMessageOnPort(port2)?.message as ArrayBuffer;
  } finally {
    port1.close();
    port2.close();
  }
}

/** Bun marks every buffer over C memory as untransferable. Node refuses none. */
function isRefused(move: () => unknown): boolean {
  try {
    move();
    return false;
  } catch (error) {
    if (runtime === 'node') throw error;
    return true;
  }
}

/** undefined: this runtime has no such method. */
function transferred(buffer: ArrayBuffer): ArrayBuffer | undefined {
  return (buffer as { transfer?(): ArrayBuffer }).transfer?.();
}

/** The block lives in the moved buffer, whatever becomes of the slice, and ends with that, once. */
async function expectMoved(move: (buffer: ArrayBuffer) => ArrayBuffer | undefined): Promise<void> {
  await (async () => {
    const moved = (() => {
      const slice = Slice.adopt(make(8), 8, destructor(fixture(), 'fixture_free'));
      const { bytes } = slice;
      let moved: ArrayBuffer | undefined;
      const refused = isRefused(() => {
        moved = move(slice.buffer);
      });
      if (refused) equalAll([...slice.bytes], [0, 1, 2, 3, 4, 5, 6, 7]);
      if (moved === undefined) {
        slice.release();
        return undefined;
      }
      equalAll([slice.released, bytes.length], [true, 0]);
      for (const use of [() => slice.bytes, () => slice.address, () => slice.toBuffer(), () => slice.lease()]) {
        equal(codeOf(use), 'ERR_CSLICE_RELEASED');
      }
      slice.release();
      return moved;
    })();
    if (moved === undefined) return;
    for (let i = 0; i < 8; i++) {
      await turn();
      collect();
    }
    equal(Number(lastCall()[0]), 0);
    equalAll([...new Uint8Array(moved)], [0, 1, 2, 3, 4, 5, 6, 7]);
  })();
  await collectUntil(() => stats().liveBlocks === 0, 'the block has ended');
  equal(Number(lastCall()[0]), 1);
}

interface Outcome {
  readonly passed: boolean;
  readonly detail: string;
}

/** In a process of its own. The check has passed if that exits with 0 after the last line of a passed check. */
async function runAlone(name: string, environment: NodeJS.ProcessEnv): Promise<Outcome> {
  const more = (process.env.CSLICE_CORE_FLAGS ?? '').split(' ').filter((flag) => flag !== '');
  const child = spawn(process.execPath, [...more, ...flags[runtime], fileURLToPath(import.meta.url), name], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 120_000);
  const [status, signal] = await once(child, 'close');
  clearTimeout(timer);
  const passed = status === 0 && output.includes(`passed: ${name}`);
  return { passed, detail: `ended with ${signal ?? status}\n${output}` };
}

function gapOf(name: string): Gap | undefined {
  const gap = gaps[runtime][name];
  return gap !== undefined && Number.parseInt(version, 10) >= (gap.from ?? 0) ? gap : undefined;
}

function compileFixture(directory: string): string {
  const output = join(directory, 'fixture.so');
  const source = fileURLToPath(new URL('../fixtures/fixture.c', import.meta.url));
  execFileSync('cc', ['-shared', '-fPIC', '-o', output, source]);
  return output;
}

async function runAll(): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), 'cslice-core-'));
  // The bounds of memory would hold by the collections alone, and take hours.
  const names = Object.keys(checks).filter((name) => !(collects && name.startsWith('memory: ')));
  let passed = 0;
  let wrong = 0;
  let known = 0;
  try {
    const environment = { CSLICE_CORE_FIXTURE: compileFixture(directory) };
    for (const name of names) {
      const outcome = await runAlone(name, environment);
      const gap = gapOf(name);
      if (outcome.passed) passed++;
      if (gap !== undefined && !outcome.passed) {
        known++;
        console.log(`  gap: ${name}: ${gap.reason}`);
      } else if (gap !== undefined && gap.sometimes !== true) {
        wrong++;
        console.log(`  NOT A GAP ANY MORE: ${name}. Take it out of gaps.ts and of docs/runtimes.md`);
      } else if (gap === undefined && !outcome.passed) {
        wrong++;
        console.log(`  FAILED: ${name}: ${outcome.detail}`);
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  for (const name of Object.keys(gaps[runtime]).filter((gap) => !(gap in checks))) {
    wrong++;
    console.log(`  A GAP WITHOUT A CHECK: ${name}`);
  }
  const gapsText = known === 0 ? '' : `, ${known} known gaps`;
  console.log(`runtime ${runtime} ${version}: ${passed} of ${names.length} passed${gapsText}`);
  return wrong === 0;
}

const name = process.argv[2];
if (!isMainThread) {
  work();
} else if (name === undefined) {
  process.exitCode = (await runAll()) ? 0 : 1;
} else {
  await checks[name]?.();
  console.log(`passed: ${name}`);
  if (exitsAtOnce) process.exit();
}
