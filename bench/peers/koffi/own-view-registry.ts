import koffi from 'koffi';
import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../../harness/measure.ts';
import { free, malloc } from './libc.ts';
import { registry } from './registry.ts';

const byteLength = numberArgument();
report(
  await perOperation(() => {
    const address = malloc(byteLength);
    const buffer = koffi.view(address, byteLength);
    registry.register(buffer, address, buffer);
    do_not_optimize(new Uint8Array(buffer));
    registry.unregister(buffer);
    free(address);
  }),
);
