/** An addon's block has no release: it is dropped, and each sample waits until every finalizer has run. */
import { do_not_optimize } from 'mitata';
import { numberArgument, perDropped, report } from '../../harness/measure.ts';
import { addon } from './addon.ts';

const byteLength = numberArgument();
report(
  await perDropped(
    numberArgument(1),
    () => do_not_optimize(new Uint8Array(addon.alloc(byteLength))),
    () => addon.finalized(),
  ),
);
