/**
 * In a process of its own, whose owner table is small: takes blocks, each with no memory to grow the table, until one
 * needs that. No attempt may change what is live.
 */
import koffi from 'koffi';
import { Slice, stats } from '../../../lib/index.ts';
import { testFailAllocation } from '../../../lib/native/symbols.ts';

const newBlock = koffi.load(process.argv[2] as string).func('void *blk_new(size_t size)');

interface Refusal {
  block: bigint;
  code: string;
}

function take(block: bigint): Slice | Refusal {
  testFailAllocation(1);
  try {
    return Slice.fromBlock(block);
  } catch (error) {
    return { block, code: (error as { code?: string }).code ?? String(error) };
  } finally {
    testFailAllocation(0);
  }
}

const held: Slice[] = [];
let refused: Refusal | undefined;
for (let i = 0; i < 5000 && refused === undefined; i++) {
  const block = newBlock(8);
  const { liveBlocks } = stats();
  const taken = take(block);
  if (stats().liveBlocks !== liveBlocks) throw new Error(`${stats().liveBlocks} blocks are live, not ${liveBlocks}`);
  if (taken instanceof Slice) held.push(taken);
  else refused = taken;
}
const { liveBlocks } = stats();
const { code, block } = refused as Refusal;
const again = Slice.fromBlock(block);
console.log(JSON.stringify({ code, others: liveBlocks - held.length, byteLength: again.byteLength }));
