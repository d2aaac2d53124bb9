/** What is compared with what, and the bars to reach. The first program of a comparison is the subject of its bars. */

export type RuntimeName = 'node' | 'node26' | 'bun' | 'deno';

export interface Program {
  readonly name: string;
  readonly runtime: RuntimeName;
  /** Below bench/, without extension for JavaScript runtimes. */
  readonly file: string;
  readonly args: readonly (string | number)[];
}

export interface Bar {
  readonly against: string;
  readonly atMost: number;
  /** For ratios that shall not be too good either: then something else was measured. */
  readonly atLeast?: number;
}

export type Unit = 'ns' | 'µs' | 'ms' | 'bytes' | 'ns/thread';

export interface Comparison {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  readonly programs: readonly Program[];
  readonly bars: readonly Bar[];
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

const node = (name: string, file: string, ...args: (string | number)[]): Program => ({
  name,
  runtime: 'node',
  file,
  args,
});

const cslice = (file: string, ...args: (string | number)[]): Program => node('cslice', `cases/${file}`, ...args);

export const comparisons: readonly Comparison[] = [
  {
    id: 'own-64',
    title: 'Own a block of 64 B: allocate, release',
    unit: 'ns',
    programs: [
      cslice('own', 64),
      node('koffi malloc + free', 'peers/koffi/own', 64),
      node('koffi + FinalizationRegistry', 'peers/koffi/own-registry', 64),
    ],
    bars: [{ against: 'koffi malloc + free', atMost: 1.15 }],
  },
  {
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
    ],
    bars: [
      { against: 'koffi malloc + view + free', atMost: 1.15 },
      { against: 'Node-API addon', atMost: 1 },
    ],
  },
  {
    id: 'view-1M',
    title: 'Own 1 MiB, view it, release',
    unit: 'ns',
    programs: [
      cslice('own-view', MiB),
      node('koffi malloc + view + free', 'peers/koffi/own-view', MiB),
      node('Node-API addon', 'peers/addon/own-view', MiB, 2000),
      node('Buffer.allocUnsafeSlow', 'peers/node/buffer-alloc-unsafe-slow', MiB),
    ],
    bars: [
      { against: 'koffi malloc + view + free', atMost: 0.05 },
      { against: 'Buffer.allocUnsafeSlow', atMost: 0.5 },
    ],
  },
  ...[64, 64 * KiB].map(
    (byteLength): Comparison => ({
      id: byteLength === 64 ? 'drop-64' : 'drop-64K',
      title: `Own ${byteLength === 64 ? '64 B' : '64 KiB'}, view, drop, until every destructor has run`,
      unit: 'ns',
      programs: [
        cslice('drop', byteLength),
        node('Node-API addon', 'peers/addon/own-view', byteLength, 10_000),
        node('koffi + FinalizationRegistry', 'peers/koffi/drop', byteLength),
      ],
      bars: [
        { against: 'Node-API addon', atMost: 1 },
        { against: 'koffi + FinalizationRegistry', atMost: 1.2 },
      ],
    }),
  ),
  {
    id: 'adopt-64',
    title: 'Adopt 64 B that C allocated, view, release',
    unit: 'ns',
    programs: [cslice('adopt', 64), node('koffi malloc + view + free', 'peers/koffi/own-view', 64)],
    bars: [{ against: 'koffi malloc + view + free', atMost: 1.2 }],
  },
  {
    id: 'adopt-1G',
    title: 'Adopt, view, release: 1 GiB against 1 KiB',
    unit: 'ns',
    programs: [
      node('1 GiB', 'cases/adopt-same', GiB),
      node('1 KiB', 'cases/adopt-same', KiB),
      node('1 MiB', 'cases/adopt-same', MiB),
    ],
    bars: [{ against: '1 KiB', atMost: 1.5 }],
  },
  {
    id: 'import',
    title: 'Import, in a process of its own',
    unit: 'ms',
    programs: [node('cslice', 'cases/import', 'cslice'), node('koffi', 'cases/import', 'koffi')],
    bars: [{ against: 'koffi', atMost: 1.15 }],
  },
];
