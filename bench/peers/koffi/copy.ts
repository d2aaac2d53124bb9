/** koffi.decode, which copies: what those do who want no view. */
import koffi from 'koffi';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../../harness/measure.ts';
import { free, malloc } from './libc.ts';

const byteLength = numberArgument();
const type = koffi.array('uint8_t', byteLength, 'Typed');
report(
  await perOperation(() => {
    const address = malloc(byteLength);
    do_not_optimize(koffi.decode(address, type));
    free(address);
  }),
);
