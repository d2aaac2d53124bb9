import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { libraryPath } from '../../lib/native/locate.ts';
import { compile } from './fixture.ts';

type Library = ReturnType<typeof koffi.load>;

let owned: Library | undefined;
let blocksPath: string | undefined;

/** The library of owned.c. */
export function ownedLibrary(): Library {
  owned ??= koffi.load(compile('owned.c', 'owned.so'));
  return owned;
}

/** The path of the library of block.c, compiled against csrc/cslice.h and linked to the library under test. */
export function blocksLibraryPath(): string {
  const headers = fileURLToPath(new URL('../../csrc', import.meta.url));
  const linked = [`-I${headers}`, libraryPath, `-Wl,-rpath,${dirname(libraryPath)}`, '-pthread'];
  blocksPath ??= compile('block.c', 'block.so', linked);
  return blocksPath;
}

export interface OwnedCounts {
  made: number;
  freed: number;
  /** Of the last one freed. */
  address: bigint;
  size: number;
}

/** What owned.c has made, and what has come back to it. */
export function ownedCounts(): OwnedCounts {
  const counts = new BigUint64Array(4);
  ownedLibrary().func('void own_counts(void *counts)')(counts);
  const [made, freed, address, size] = Array.from(counts) as [bigint, bigint, bigint, bigint];
  return { made: Number(made), freed: Number(freed), address, size: Number(size) };
}
