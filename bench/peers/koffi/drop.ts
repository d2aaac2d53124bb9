import koffi from 'koffi';
import { do_not_optimize } from 'mitata';
import { numberArgument, perDropped, report } from '../../harness/measure.ts';
import { malloc } from './libc.ts';
import { collected, registry } from './registry.ts';

const byteLength = numberArgument();
report(
  await perDropped(
    10_000,
    () => {
      const address = malloc(byteLength);
      const buffer = koffi.view(address, byteLength);
      registry.register(buffer, address);
      do_not_optimize(new Uint8Array(buffer));
    },
    () => collected,
  ),
);
