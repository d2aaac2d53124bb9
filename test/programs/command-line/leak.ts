// Keeps the number of slices that the first argument says, ends by itself or waits for a signal, by the second one.
import { Slice } from '../../../lib/index.ts';

const [count = '0', end = ''] = process.argv.slice(2);
const kept = Array.from({ length: Number(count) }, () => Slice.alloc(1000));
Slice.alloc(500).release();
Object.assign(globalThis, { kept });
if (end === 'wait') {
  process.on('SIGTERM', () => process.exit(42));
  setInterval(() => {}, 1000);
  console.log('ready');
} else if (end === 'abort') process.kill(process.pid, 'SIGKILL');
else if (end !== '') process.exitCode = Number(end);
