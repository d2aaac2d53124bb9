// The built package on a platform where the test runner does not run: JavaScript alone, and the results go to a file.
import { strict as assert } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Arena, configure, Pool, Slice, stats } from '../../dist/index.js';

const checks = {
  'a slice is zeroed, has views, and ends them': () => {
    const slice = Slice.alloc(100);
    const { bytes } = slice;
    assert.deepEqual([...bytes], Array(100).fill(0));
    slice.release();
    assert.equal(bytes.length, 0);
    assert.throws(() => slice.bytes, { code: 'ERR_CSLICE_RELEASED' });
  },
  'a Buffer outlives the slice': () => {
    const slice = Slice.fromString('kept');
    const buffer = slice.toBuffer();
    slice.release();
    assert.equal(buffer.toString('utf8', 0, 4), 'kept');
  },
  'every alignment up to a page': () => {
    for (let alignment = 1; alignment <= 4096; alignment *= 2) {
      const slice = Slice.alloc(40, { alignment });
      assert.equal(Number(BigInt(slice.address) % BigInt(alignment)), 0);
      slice.release();
    }
  },
  'large blocks go to their own thread': () => {
    for (let i = 0; i < 100; i++) {
      const slice = Slice.alloc(8 << 20);
      slice.bytes[0] = 1;
      slice.release();
    }
  },
  'resize keeps the bytes': () => {
    const slice = Slice.fromBytes(Uint8Array.of(1, 2, 3));
    slice.resize(5000);
    assert.deepEqual([...slice.bytes.subarray(0, 4)], [1, 2, 3, 0]);
    slice.release();
  },
  'arenas and pools': () => {
    const arena = new Arena();
    arena.alloc(64).fill(1);
    arena.release();
    const pool = new Pool({ byteLength: 4096, capacity: 2 });
    pool.rent().release();
    pool.release();
  },
  'a limit is kept': () => {
    configure({ limitBytes: stats().liveBytes + 1000 });
    assert.throws(() => Slice.alloc(100_000), { code: 'ERR_CSLICE_LIMIT' });
    configure({ limitBytes: 0 });
  },
  'dropped slices are collected': async () => {
    for (let i = 0; i < 1000; i++) Slice.alloc(2000).bytes.fill(1);
    for (let i = 0; i < 20 && stats().liveBlocks > 10; i++) {
      globalThis.gc();
      await new Promise(setImmediate);
    }
    assert.ok(stats().liveBlocks <= 10, `${stats().liveBlocks} are live`);
  },
  'a worker thread has slices, and its end gives them back': async () => {
    const before = stats().liveBlocks;
    const module = new URL('../../dist/index.js', import.meta.url).href;
    const code = `import(${JSON.stringify(module)}).then(({ Slice }) => { globalThis.kept = Slice.alloc(5000); kept.bytes[0] = 1; })`;
    const worker = new Worker(code, { eval: true });
    await new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
    assert.ok(stats().liveBlocks <= before);
  },
};

let passed = 0;
const failed = [];
for (const [title, check] of Object.entries(checks)) {
  try {
    await check();
    passed++;
  } catch (error) {
    failed.push(`${title}: ${error.stack}`);
  }
}
writeFileSync(process.env.CSLICE_RESULT, JSON.stringify({ passed, failed }));
