/** The package under attack: the sources, or the entry that the environment names. What only some versions have is looked for. */
import type { Writable } from 'node:stream';

export type Package = typeof import('../../../lib/index.ts');
export type Slice = import('../../../lib/index.ts').Slice;
export type Arena = import('../../../lib/index.ts').Arena;
export type Pool = import('../../../lib/index.ts').Pool;
export type SliceWriter = import('../../../lib/index.ts').SliceWriter;
export type Lease = import('../../../lib/index.ts').Lease;
export type Destructor = import('../../../lib/index.ts').Destructor;
export type Stats = import('../../../lib/index.ts').Stats;

const entry = process.env.CSLICE_ATTACK_ENTRY ?? new URL('../../../lib/index.ts', import.meta.url).href;

export const subject: Package = (await import(entry)) as Package;

/** Methods of a slice that not every version has. */
export interface Newer {
  toSharedBuffer(): SharedArrayBuffer;
  lend<T>(use: (bytes: Uint8Array) => Promise<T>): Promise<T>;
  writeTo(writable: Writable): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  /** Of the version that had it. */
  share(options?: object): object;
}

export function has(name: keyof Newer): boolean {
  return name in subject.Slice.prototype;
}

/** The slice as a version sees it that has the method; ask {@link has} first. */
export function newer(slice: Slice): Newer {
  return slice as unknown as Newer;
}

/** `Slice.attach` with whatever it takes in this version. */
export function attach(shared: unknown): Slice {
  return (subject.Slice as unknown as { attach(shared: unknown): Slice }).attach(shared);
}

/** V8 owns the views: memory goes at once, or once nobody can be reading it any more. */
export const viewsAreOwned: boolean = has('toSharedBuffer');
