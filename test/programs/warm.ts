/**
 * Rounds in which every slice of the last one has died. With --trace-deopt, V8 tells what code it throws away, and why.
 * That of `Perishable` must always go: if it does not, then V8 tells otherwise, and what it says of ours means nothing.
 */
import { Slice } from '../../lib/index.ts';
import { collectManyTimes } from '../helpers/collect.ts';

class Perishable {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

function dropSlices(): void {
  for (let i = 0; i < 3000; i++) Slice.alloc(64).bytes[0] = 1;
}

function dropOthers(): number {
  let sum = 0;
  for (let i = 0; i < 1_000_000; i++) sum += new Perishable(i).value;
  return sum;
}

for (let round = 0; round < 12; round++) {
  dropSlices();
  dropOthers();
  await collectManyTimes();
}
