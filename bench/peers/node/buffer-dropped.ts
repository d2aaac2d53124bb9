import { perCollected } from '../../harness/collected.ts';
import { numberArgument, report } from '../../harness/measure.ts';

const byteLength = numberArgument();
const count = 500;
report(
  await perCollected(count, async () => {
    let buffers: Buffer[] | undefined = Array.from({ length: count }, () => {
      const buffer = Buffer.allocUnsafeSlow(byteLength);
      buffer[0] = 1;
      return buffer;
    });
    await 0;
    buffers = undefined;
    return buffers;
  }),
);
