/** What a service feels: pages, stalls, live slices, threads, start-up. */
import { cslice, GiB, node } from './programs.ts';
import type { Comparison, Program } from './types.ts';

const touch: Comparison = {
  id: 'touch-1G',
  title: 'First touch of 1 GiB: allocate, write to every page',
  unit: 'ms',
  programs: [cslice('touch', GiB), node('Buffer.alloc', 'peers/node/touch', GiB)],
  bars: [{ against: 'Buffer.alloc', atMost: 0.5 }],
};

const stall: Comparison = {
  id: 'stall-1G',
  title: 'Longest stall of the event loop at the release of a touched 1 GiB',
  unit: 'ms',
  programs: [cslice('stall', GiB), node('koffi free', 'peers/koffi/stall', GiB)],
  bars: [{ atMost: 1 }],
};

const allElements = 10_000_000;

/** Both in the state of a process that has detached a buffer, as any that uses cslice; the other state for information. */
const elements = (id: string, work: 'sum' | 'fill', length: number, title: string): Comparison => {
  const ownArray = (state: string): Program =>
    node(`Float64Array, ${state}`, 'peers/node/elements', work, length, allElements, state);
  return {
    id,
    title,
    unit: 'ns',
    programs: [
      cslice('elements', work, length, allElements),
      ownArray('after a detach'),
      ownArray('before any detach'),
    ],
    bars: [{ against: 'Float64Array, after a detach', atLeast: 0.95, atMost: 1.05 }],
    thoroughness: 3,
  };
};

const memory: Comparison = {
  id: 'memory',
  title: 'Bytes for a live block of 64 B, in both heaps',
  unit: 'bytes',
  programs: [
    node('cslice with view', 'cases/memory', 'view', 64, 100_000),
    node('cslice without view', 'cases/memory', 'handle', 64, 100_000),
    node('Node-API addon', 'peers/addon/memory', 64, 100_000),
    node('koffi + FinalizationRegistry', 'peers/koffi/memory', 64, 100_000),
    node('Buffer.allocUnsafeSlow', 'peers/node/memory', 64, 100_000),
  ],
  bars: [
    { against: 'Node-API addon', atMost: 1 },
    { subject: 'cslice without view', against: 'Node-API addon', atMost: 1 },
  ],
};

const population = (id: string, title: string, peer: boolean): Comparison => ({
  id,
  title,
  unit: 'ns',
  programs: [
    ...[1_000_000, 100_000, 1000].map((count) => node(`cslice, ${count} live`, `cases/${id}`, 64, count)),
    ...(peer ? [1_000_000, 1000] : []).flatMap((count) => [
      node(`koffi, ${count} live`, `peers/koffi/${id}`, 64, count),
      node(`plain objects, ${count} live`, `peers/node/${id}`, 64, count),
    ]),
  ],
  bars: [
    { against: 'cslice, 1000 live', atMost: 1.5 },
    { subject: 'cslice, 100000 live', against: 'cslice, 1000 live', atMost: 1.5 },
  ],
});

const threads = (id: string, title: string, work: 'own' | 'view'): Comparison => ({
  id,
  title,
  unit: 'ns',
  programs: [
    ...[8, 2, 1].map((count) => node(`cslice, ${count} thread${count > 1 ? 's' : ''}`, 'cases/threads', work, count)),
    ...[8, 2, 1].map((count) =>
      node(`koffi, ${count} thread${count > 1 ? 's' : ''}`, 'peers/koffi/threads', work, count),
    ),
  ],
  bars: [
    { against: 'cslice, 1 thread', atMost: 1.2 },
    { subject: 'cslice, 2 threads', against: 'cslice, 1 thread', atMost: 1.2 },
  ],
});

const start: Comparison = {
  id: 'import',
  title: 'Import, in a process of its own',
  unit: 'ms',
  programs: [cslice('import', 'cslice'), node('koffi', 'cases/import', 'koffi')],
  bars: [{ against: 'koffi', atMost: 1.15 }],
};

export const serviceComparisons: readonly Comparison[] = [
  touch,
  stall,
  elements('elements-sum', 'sum', allElements, 'Read 10 million doubles through a view: one sum'),
  elements('elements-fill', 'fill', allElements, 'Write 10 million doubles through a view'),
  elements('elements-sum-cached', 'sum', 10_000, 'The same sum 1,000 times over 10,000 doubles, which fit the caches'),
  elements('elements-fill-cached', 'fill', 10_000, 'The same writes 1,000 times over 10,000 doubles'),
  memory,
  population('scale', 'Allocate and release 64 B beside live slices', false),
  population('turnover', 'Release the oldest of the live slices for each new one', true),
  threads('threads', 'Allocate and release 64 B in worker threads: processor time for one', 'own'),
  threads('threads-view', 'The same with a view', 'view'),
  start,
];
