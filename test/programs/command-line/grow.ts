// Allocates for the time in ms that the first argument says, and is killed at its end if there is a second one.
import { setTimeout } from 'node:timers/promises';
import { Slice } from '../../../lib/index.ts';

const slices: Slice[] = [];

function growingPlace(): void {
  slices.push(Slice.alloc(1 << 20));
}

const end = Date.now() + Number(process.argv[2]);
while (Date.now() < end) {
  growingPlace();
  await setTimeout(20);
}
console.log(`${slices.length} slices`);
if (process.argv[3] !== undefined) process.kill(process.pid, 'SIGKILL');
