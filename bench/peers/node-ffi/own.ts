import { numberArgument, perOperation, report } from '../../harness/measure.ts';
import { free, malloc } from './libc.ts';

const size = BigInt(numberArgument());
report(await perOperation(() => void free(malloc(size))));
