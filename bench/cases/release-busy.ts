/** A release while Node has an operation under way: the memory goes with the old view, at a collection. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, open, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Slice } from 'cslice';
import { perCollected } from '../harness/collected.ts';
import { numberArgument, report } from '../harness/measure.ts';

const byteLength = numberArgument();
const count = 500;

const directory = mkdtempSync(join(tmpdir(), 'cslice-bench-'));
const fifo = join(directory, 'fifo');
execFileSync('mkfifo', [fifo]);
open(fifo, 'r', () => {}); // is under way until somebody opens the other end

report(
  await perCollected(count, async () => {
    const slices = Array.from({ length: count }, () => {
      const slice = Slice.alloc(byteLength, { zero: false });
      slice.bytes[0] = 1;
      return slice;
    });
    await 0; // another job than the one in which the views were seen
    for (const slice of slices) slice.release();
  }),
);
closeSync(openSync(fifo, 'r+')); // ends the operation
rmSync(directory, { recursive: true });
