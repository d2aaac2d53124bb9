/** Whether a library is still mapped after `unload()` and collections: one with a destructor in it, and one without. */
import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import { type Destructor, destructor, Slice, stats } from '../../lib/index.ts';
import { collectManyTimes } from '../helpers/collect.ts';

const [keptPath, droppedPath] = process.argv.slice(2) as [string, string];

function open(path: string): { library: ReturnType<typeof koffi.load>; address: bigint } {
  const library = koffi.load(path);
  return { library, address: library.func('void *fixture_make(size_t size)')(8) };
}

function adoptAndUnload(): { slice: Slice; release: Destructor } {
  const { library, address } = open(keptPath);
  const release = destructor(library, 'fixture_free');
  const slice = Slice.adopt(address, 8, release);
  library.unload();
  return { slice, release };
}

const { slice, release } = adoptAndUnload();
open(droppedPath).library.unload();
await collectManyTimes();

const maps = readFileSync('/proc/self/maps', 'utf8');
slice.release();
Slice.adopt(koffi.load(null).func('void *malloc(size_t size)')(8), 8, release).release();
const { liveBlocks, releasedByScope } = stats();
console.log(
  JSON.stringify({
    droppedIsMapped: maps.includes(droppedPath),
    keptIsMapped: maps.includes(keptPath),
    liveBlocks,
    releasedByScope,
  }),
);
