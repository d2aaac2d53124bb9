/** Milliseconds that the event loop stands still when a touched block is freed. */
import koffi from 'koffi';
import { numberArgument, report } from '../../harness/measure.ts';
import { medianStall } from '../../harness/stall.ts';
import { touch } from '../../harness/touch.ts';
import { free, malloc } from './libc.ts';

const byteLength = numberArgument();
const { acting, idle } = await medianStall(() => {
  const address = malloc(byteLength);
  touch(new Uint8Array(koffi.view(address, byteLength)));
  return () => free(address);
});
report({ value: acting, details: { idle } });
