import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { do_not_optimize } from 'mitata';
import { perOperationOfThreads } from '../../harness/threads.ts';
import { addon } from '../addon/addon.ts';
import { free, malloc } from './libc.ts';

const withView = process.argv[2] === 'view';
await perOperationOfThreads(fileURLToPath(import.meta.url), Number(process.argv[3]), () => {
  const address = malloc(64);
  if (withView) {
    const buffer = koffi.view(address, 64);
    do_not_optimize(new Uint8Array(buffer));
    addon.detach(buffer);
  }
  free(address);
});
