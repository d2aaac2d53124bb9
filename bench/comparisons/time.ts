/** What owning a block costs. */
import { bun, cffi, cslice, deno, ffiRs, GiB, go, KiB, MiB, node, node26 } from './programs.ts';
import type { Comparison } from './types.ts';

const own: Comparison = {
  id: 'own-64',
  title: 'Own a block of 64 B: allocate, release',
  unit: 'ns',
  programs: [
    cslice('own', 64),
    node('koffi malloc + free', 'peers/koffi/own', 64),
    node('koffi + FinalizationRegistry', 'peers/koffi/own-registry', 64),
    go(64),
    cffi('own', 64),
    ffiRs('ffi-rs malloc + free', 'peers/ffi-rs/own', 64),
    node26('cslice on Node 26', 'cases/own', 64),
    node26('node:ffi malloc + free', 'peers/node-ffi/own', 64),
    bun('bun:ffi malloc + free', 'peers/bun/own', 64),
    deno('Deno FFI malloc + free', 'peers/deno/own', 64),
  ],
  bars: [
    { against: 'koffi malloc + free', atMost: 1.15 },
    { against: 'Go newSlice + finalizer', atMost: 0.25 },
    { against: 'Python cffi', atMost: 0.6 },
  ],
};

const viewSmall: Comparison = {
  id: 'view-64',
  title: 'Own 64 B, view them, release',
  unit: 'ns',
  programs: [
    cslice('own-view', 64),
    node('koffi malloc + view + free', 'peers/koffi/own-view', 64),
    node('koffi + FinalizationRegistry', 'peers/koffi/own-view-registry', 64),
    node('koffi decode (copies)', 'peers/koffi/copy', 64),
    node('Node-API addon', 'peers/addon/own-view', 64, 200_000),
    node('Buffer.alloc', 'peers/node/buffer-alloc', 64),
    node('Buffer.allocUnsafe', 'peers/node/buffer-alloc-unsafe', 64),
    node('Buffer.allocUnsafeSlow', 'peers/node/buffer-alloc-unsafe-slow', 64),
    go(64),
    cffi('view', 64),
    ffiRs('ffi-rs malloc + view + free', 'peers/ffi-rs/view', 64),
    node26('cslice on Node 26', 'cases/own-view', 64),
    node26('node:ffi malloc + view + free', 'peers/node-ffi/view', 64),
    node26('node:ffi + FinalizationRegistry', 'peers/node-ffi/view-owned', 64, 100_000),
    bun('bun:ffi malloc + view + free', 'peers/bun/view', 64),
    bun('bun:ffi with deallocator', 'peers/bun/view-owned', 64, 100_000),
    deno('Deno FFI malloc + view + free', 'peers/deno/view', 64),
    deno('Deno FFI + FinalizationRegistry', 'peers/deno/view-owned', 64, 100_000),
  ],
  bars: [
    { against: 'koffi malloc + view + free', atMost: 0.35 },
    { against: 'Node-API addon', atMost: 0.35 },
    { against: 'Go newSlice + finalizer', atMost: 0.5 },
    { against: 'node:ffi malloc + view + free', atMost: 0.5 },
    { against: 'Deno FFI malloc + view + free', atMost: 0.65 },
    { against: 'bun:ffi with deallocator', atMost: 1 },
    { against: 'Python cffi', atMost: 1.6 },
  ],
};

const viewLarge: Comparison = {
  id: 'view-1M',
  title: 'Own 1 MiB, view it, release',
  unit: 'ns',
  programs: [
    cslice('own-view', MiB),
    node('koffi malloc + view + free', 'peers/koffi/own-view', MiB),
    node('koffi view + detach of memory that stays', 'peers/koffi/view-same', MiB),
    node('koffi decode (copies)', 'peers/koffi/copy', MiB),
    node('Node-API addon', 'peers/addon/own-view', MiB, 2000),
    node('Buffer.alloc', 'peers/node/buffer-alloc', MiB),
    node('Buffer.allocUnsafeSlow', 'peers/node/buffer-alloc-unsafe-slow', MiB),
    go(MiB),
    cffi('view', MiB),
    node26('cslice on Node 26', 'cases/own-view', MiB),
    node26('node:ffi malloc + view + free', 'peers/node-ffi/view', MiB),
    bun('bun:ffi with deallocator', 'peers/bun/view-owned', MiB, 2000),
    deno('Deno FFI malloc + view + free', 'peers/deno/view', MiB),
  ],
  bars: [
    { against: 'koffi malloc + view + free', atMost: 0.08 },
    { against: 'Buffer.allocUnsafeSlow', atMost: 0.08 },
    { against: 'Deno FFI malloc + view + free', atMost: 0.45 },
    { against: 'bun:ffi with deallocator', atMost: 0.1 },
  ],
};

const drop = (id: string, size: string, byteLength: number, goBar: number, bunBar?: number): Comparison => ({
  id,
  title: `Own ${size}, view, drop, until every destructor has run`,
  unit: 'ns',
  programs: [
    cslice('drop', byteLength),
    node('Node-API addon', 'peers/addon/own-view', byteLength, 10_000),
    node('koffi + FinalizationRegistry', 'peers/koffi/drop', byteLength),
    go(byteLength),
    node26('node:ffi + FinalizationRegistry', 'peers/node-ffi/view-owned', byteLength, 10_000),
    bun('bun:ffi with deallocator', 'peers/bun/view-owned', byteLength, 10_000),
    deno('Deno FFI + FinalizationRegistry', 'peers/deno/view-owned', byteLength, 10_000),
  ],
  bars: [
    { against: 'Node-API addon', atMost: 0.5 },
    { against: 'Go newSlice + finalizer', atMost: goBar },
    ...(bunBar === undefined ? [] : [{ against: 'bun:ffi with deallocator', atMost: bunBar }]),
  ],
});

const busy: Comparison = {
  id: 'release-busy',
  title: 'Own 64 KiB, view, release while an operation of Node is under way',
  unit: 'ns',
  programs: [
    cslice('release-busy', 64 * KiB),
    node('Buffer.allocUnsafeSlow, dropped', 'peers/node/buffer-dropped', 64 * KiB),
  ],
  bars: [{ against: 'Buffer.allocUnsafeSlow, dropped', atMost: 1.3 }],
};

const adopt: Comparison = {
  id: 'adopt-64',
  title: 'Adopt 64 B that C allocated, view, release',
  unit: 'ns',
  programs: [cslice('adopt', 64), node('koffi malloc + view + free', 'peers/koffi/own-view', 64)],
  bars: [{ against: 'koffi malloc + view + free', atMost: 0.4 }],
};

const adoptAnySize: Comparison = {
  id: 'adopt-1G',
  title: 'Adopt, view, release: 64 MiB against 1 KiB',
  unit: 'ns',
  programs: [
    node('cslice, 64 MiB', 'cases/adopt-same', 64 * MiB),
    node('cslice, 1 KiB', 'cases/adopt-same', KiB),
    node('cslice, 1 GiB', 'cases/adopt-same', GiB),
    node('cslice, 1 MiB', 'cases/adopt-same', MiB),
    node('koffi view, 1 GiB', 'peers/koffi/view-same', GiB),
    node('koffi view, 1 KiB', 'peers/koffi/view-same', KiB),
    node('cslice without view, 1 GiB', 'cases/adopt-same', GiB, 'handle'),
    node('cslice without view, 1 KiB', 'cases/adopt-same', KiB, 'handle'),
  ],
  bars: [{ against: 'cslice, 1 KiB', atMost: 1.5 }],
};

const arena: Comparison = {
  id: 'arena-64',
  title: '64 B with a view from an arena, its release included',
  unit: 'ns',
  programs: [
    cslice('arena', 64),
    node('Buffer.allocUnsafe', 'peers/node/buffer-alloc-unsafe', 64),
    node('Buffer.alloc', 'peers/node/buffer-alloc', 64),
    bun('bun:ffi with deallocator', 'peers/bun/view-owned', 64, 100_000),
    cffi('view', 64),
    go(64),
  ],
  bars: [
    { against: 'Buffer.allocUnsafe', atMost: 0.8 },
    { against: 'bun:ffi with deallocator', atMost: 0.3 },
  ],
};

const pool: Comparison = {
  id: 'pool-64K',
  title: 'Rent 64 KiB with a view from a pool, give it back',
  unit: 'ns',
  programs: [
    cslice('pool', 64 * KiB),
    node('Slice.alloc, view, release', 'cases/own-view', 64 * KiB),
    node('Buffer.allocUnsafeSlow', 'peers/node/buffer-alloc-unsafe-slow', 64 * KiB),
  ],
  bars: [],
};

const share: Comparison = {
  id: 'share-1M',
  title: 'Hand 1 MiB to another owner: toSharedBuffer, clone the message, attach, release',
  unit: 'ns',
  programs: [cslice('share', MiB), node('structuredClone (copies)', 'peers/node/clone', MiB)],
  bars: [],
};

export const timeComparisons: readonly Comparison[] = [
  own,
  viewSmall,
  viewLarge,
  drop('drop-64', '64 B', 64, 0.7, 1.3),
  drop('drop-64K', '64 KiB', 64 * KiB, 1),
  busy,
  adopt,
  adoptAnySize,
  arena,
  pool,
  share,
];
