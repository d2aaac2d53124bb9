// A worker of ../worker-pool.ts: multiplies every double in each buffer that it is sent, and answers with the sum.
// The buffer is over the main thread's own block of C memory.
import { parentPort } from 'node:worker_threads';

/** The sum of the results. */
function scale(numbers, factor) {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) {
    numbers[i] *= factor;
    sum += numbers[i];
  }
  return sum;
}

parentPort.on('message', ({ buffer, factor }) => {
  parentPort.postMessage(scale(new Float64Array(buffer), factor));
});
parentPort.postMessage('ready');
