/**
 * When hooks of async_hooks run in a resize: Node has loaded zlib since the last look, so the resize makes compressors. Prints
 * each of their beginnings, and each time that the resize asks for the slice.
 */
import { createHook } from 'node:async_hooks';
import { resize } from '../../lib/core/block.ts';
import { liveReference, Slice } from '../../lib/slice.ts';

using slice = Slice.alloc(4096);
slice.bytes.fill(7);
await new Promise((resolve) => setImmediate(resolve));
await import('node:zlib');
const events: string[] = [];
const hook = createHook({ init: (_id, type) => void events.push(type) }).enable();
resize(() => {
  events.push('asked');
  return liveReference(slice);
}, 8192);
hook.disable();
console.log(JSON.stringify(events));
