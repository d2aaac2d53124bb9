/** Releases a slice whose view was seen, in a process that has loaded HTTP/2. */
import 'node:http2';
import { watched } from '../helpers/blocks.ts';
import { collectUntil } from '../helpers/collect.ts';

const ended = (() => {
  const { slice, ended } = watched(16);
  slice.bytes[0] = 1;
  slice.release();
  return ended;
})();
const atOnce = ended.length;
await collectUntil(() => ended.length === 1, 'the block has ended');
console.log(JSON.stringify({ atOnce, collected: ended.length }));
