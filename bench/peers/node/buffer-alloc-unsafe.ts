import { do_not_optimize } from 'mitata';
import { numberArgument, perOperation, report } from '../../harness/measure.ts';

const byteLength = numberArgument();
report(await perOperation(() => do_not_optimize(Buffer.allocUnsafe(byteLength))));
