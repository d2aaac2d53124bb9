import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../../harness/measure.ts';

const bytes = new Uint8Array(numberArgument());
report(await perOperation(() => do_not_optimize(structuredClone(bytes))));
