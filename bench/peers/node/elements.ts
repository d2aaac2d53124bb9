import { detachAny, perElements } from '../../harness/elements.ts';
import { numberArgument, report } from '../../harness/measure.ts';

if (process.argv[5] === 'after a detach') detachAny();
report(await perElements(process.argv[2] as 'sum' | 'fill', new Float64Array(numberArgument(1)), numberArgument(2)));
