import { Slice } from 'cslice';
import { detachAny, perPass } from '../harness/elements.ts';
import { numberArgument, report } from '../harness/measure.ts';

detachAny();
const count = numberArgument(1);
const slice = Slice.alloc(count * Float64Array.BYTES_PER_ELEMENT);
report(await perPass(process.argv[2] as 'sum' | 'fill', slice.view(Float64Array)));
slice.release();
