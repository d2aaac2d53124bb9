import { perPass } from '../../harness/elements.ts';
import { numberArgument, report } from '../../harness/measure.ts';

report(await perPass(process.argv[2] as 'sum' | 'fill', new Float64Array(numberArgument(1))));
