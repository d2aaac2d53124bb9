import koffi from 'koffi';
import { numberArgument, report } from '../../harness/measure.ts';
import { bytesPerLive } from '../../harness/memory.ts';
import { malloc } from './libc.ts';
import { registry } from './registry.ts';

const [byteLength, count] = [numberArgument(), numberArgument(1)];
report(
  await bytesPerLive(count, () => {
    const address = malloc(byteLength);
    const buffer = koffi.view(address, byteLength);
    registry.register(buffer, address);
    return new Uint8Array(buffer);
  }),
);
