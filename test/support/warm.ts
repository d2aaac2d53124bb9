/** Rounds in which every slice of the last one has died. With --trace-opt, V8 tells what it compiles in each. */
import { Slice } from '../../lib/index.ts';
import { collectManyTimes } from './collect.ts';

function dropMany(): void {
  for (let i = 0; i < 3000; i++) Slice.alloc(64).bytes[0] = 1;
}

for (let round = 0; round < 12; round++) {
  dropMany();
  await collectManyTimes();
  console.log(`round ${round}`);
}
