import { numberArgument, report } from '../../harness/measure.ts';
import { bytesPerLive } from '../../harness/memory.ts';
import { addon } from './addon.ts';

const [byteLength, count] = [numberArgument(), numberArgument(1)];
report(await bytesPerLive(count, () => new Uint8Array(addon.alloc(byteLength))));
