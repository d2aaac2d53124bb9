/** In a process of its own: a view that is too long ends it. Says what became of a block of the given size. */
import koffi from 'koffi';
import { Slice, stats } from '../../../lib/index.ts';

const [path, byteLength] = process.argv.slice(2) as [string, string];
const library = koffi.load(path);
const block: bigint = library.func('void *blk_pretend(uint64_t size)')(BigInt(byteLength));

let code: string | undefined;
try {
  const { bytes } = Slice.fromBlock(block);
  code = `a view of ${bytes.byteLength} bytes`;
} catch (error) {
  code = (error as { code?: string }).code ?? String(error);
}
const { liveBlocks } = stats();
library.func('void cslice_block_unref(void *block)')(block);
console.log(JSON.stringify({ code, liveBlocks, afterUnref: stats().liveBlocks }));
