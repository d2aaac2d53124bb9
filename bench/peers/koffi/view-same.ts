/** Views of memory that stays, detached as soon as made. */
import koffi from 'koffi';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../../harness/measure.ts';
import { addon } from '../addon/addon.ts';
import { malloc } from './libc.ts';

const byteLength = numberArgument();
const address = malloc(byteLength);
report(
  await perOperation(() => {
    const buffer = koffi.view(address, byteLength);
    do_not_optimize(new Uint8Array(buffer));
    addon.detach(buffer);
  }),
);
