import { fileURLToPath } from 'node:url';
import { Slice } from 'cslice';
import { do_not_optimize } from 'mitata';
import { perOperationOfThreads } from '../harness/threads.ts';

const withView = process.argv[2] === 'view';
await perOperationOfThreads(fileURLToPath(import.meta.url), Number(process.argv[3]), () => {
  const slice = Slice.alloc(64);
  if (withView) do_not_optimize(slice.bytes);
  slice.release();
});
