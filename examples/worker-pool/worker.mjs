// A worker of ../worker-pool.ts: takes up each share that it is sent, multiplies every double in it, and answers with
// the sum.
import { parentPort } from 'node:worker_threads';
import { Slice } from 'cslice';

/** The sum of the results. */
function scale(numbers, factor) {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) {
    numbers[i] *= factor;
    sum += numbers[i];
  }
  return sum;
}

parentPort.on('message', ({ shared, factor }) => {
  const part = Slice.attach(shared); // a reference of this thread's own; copies nothing
  const sum = scale(part.view(Float64Array), factor);
  part.release(); // before the answer: the main thread counts the blocks when it has them all
  parentPort.postMessage(sum);
});
parentPort.postMessage('ready');
