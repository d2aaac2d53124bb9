import { numberArgument, perOperation, report } from '../../harness/measure.ts';
import { free, malloc } from './libc.ts';

const byteLength = numberArgument();
report(await perOperation(() => void free(malloc(byteLength))));
