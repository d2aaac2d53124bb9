/** A process of its own, in which a value that another process shared names nothing. */
import { type SharedSlice, Slice } from '../../../lib/index.ts';

const shared = JSON.parse(process.argv[2] as string) as SharedSlice & { secret: string };
using own = Slice.alloc(1000);
own.share();
try {
  Slice.attach({ ...shared, secret: BigInt(shared.secret) });
  console.log(JSON.stringify('attached'));
} catch (error) {
  console.log(JSON.stringify((error as { code?: string }).code));
}
