/** Where `Error.prepareStackTrace` cannot be replaced, nothing of it runs, and there are no frames. */
import { configure, liveBlocks, Slice } from '../../../lib/index.ts';

let ran = 0;
Object.defineProperty(Error, 'prepareStackTrace', {
  value: () => {
    ran++;
    return 'mine';
  },
  writable: false,
  configurable: false,
});
configure({ track: true });
using slice = Slice.alloc(8);
const [block] = liveBlocks();
console.log(JSON.stringify({ ran, frames: block?.stack.length, byteLength: slice.byteLength }));
