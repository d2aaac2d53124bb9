import { numberArgument, perOperation, report } from '../../harness/measure.ts';
import { free, malloc } from './libc.ts';
import { registry } from './registry.ts';

const byteLength = numberArgument();
report(
  await perOperation(() => {
    const handle = { address: malloc(byteLength) };
    registry.register(handle, handle.address, handle);
    registry.unregister(handle);
    free(handle.address);
  }),
);
