/** Milliseconds that the event loop stands still when a touched block is released. */
import { Slice } from 'cslice';
import { numberArgument, report } from '../harness/measure.ts';
import { medianStall } from '../harness/stall.ts';
import { touch } from '../harness/touch.ts';

const byteLength = numberArgument();
const { acting, idle } = await medianStall(() => {
  const slice = Slice.alloc(byteLength);
  touch(slice.bytes);
  return () => slice.release();
});
report({ value: acting, details: { idle } });
