import { detachAny, perPass } from '../../harness/elements.ts';
import { numberArgument, report } from '../../harness/measure.ts';

if (process.argv[4] === 'after a detach') detachAny();
report(await perPass(process.argv[2] as 'sum' | 'fill', new Float64Array(numberArgument(1))));
