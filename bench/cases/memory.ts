import { Slice } from 'cslice';
import { numberArgument, report } from '../harness/measure.ts';
import { bytesPerLive } from '../harness/memory.ts';

const withView = process.argv[2] === 'view';
const [byteLength, count] = [numberArgument(1), numberArgument(2)];
report(
  await bytesPerLive(count, () => {
    const slice = Slice.alloc(byteLength);
    if (withView) slice.bytes;
    return slice;
  }),
);
