import { numberArgument, report } from '../../harness/measure.ts';
import { bytesPerLive } from '../../harness/memory.ts';

const [byteLength, count] = [numberArgument(), numberArgument(1)];
report(await bytesPerLive(count, () => Buffer.allocUnsafeSlow(byteLength)));
