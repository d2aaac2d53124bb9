import { Slice } from 'cslice';
import { detachAny, perElements } from '../harness/elements.ts';
import { numberArgument, report } from '../harness/measure.ts';

detachAny();
const slice = Slice.alloc(numberArgument(1) * Float64Array.BYTES_PER_ELEMENT);
report(await perElements(process.argv[2] as 'sum' | 'fill', slice.view(Float64Array), numberArgument(2)));
slice.release();
