/** Marks a view of C memory with Node's markAsUntransferable(), and then ends the slice in the way that is asked for. */
import { setImmediate as turn } from 'node:timers/promises';
import { markAsUntransferable } from 'node:worker_threads';
import koffi from 'koffi';
import { pin, Slice, stats } from '../../../lib/index.ts';
import { malloc } from '../../helpers/blocks.ts';
import { collectManyTimes } from '../../helpers/collect.ts';

const how = process.argv[2];
const warnings: (string | undefined)[] = [];
process.on('warning', ({ code }: Error & { code?: string }) => warnings.push(code));

function mark(): Slice {
  const slice = Slice.alloc(64);
  slice.bytes.fill(7);
  markAsUntransferable(slice.buffer);
  return slice;
}

interface Ended {
  readonly released: boolean;
  /** Of its views after the end, and what they show. */
  readonly length: number;
  readonly intact: boolean;
  /** Counted while the views are still referenced. */
  readonly liveBlocks: number;
}

/** Stays referenced until the process ends, so that it is not collected. */
const kept: unknown[] = [];

async function end(): Promise<Ended | undefined> {
  if (how === 'pin') {
    pin(koffi.view(malloc(64), 64)).release(); // memory of C that another package shows
    return undefined;
  }
  const slice = mark();
  if (how === 'drop') return undefined;
  const { bytes } = slice;
  if (how === 'keep') {
    kept.push(bytes);
    return undefined;
  }
  slice.release();
  await turn();
  const intact = bytes.length === 0 || bytes.every((byte) => byte === 7);
  return { released: slice.released, length: bytes.length, intact, liveBlocks: stats().liveBlocks };
}

const ended = await end();
await collectManyTimes();
console.log(JSON.stringify({ ...ended, warnings, liveBlocksAtEnd: stats().liveBlocks }));
