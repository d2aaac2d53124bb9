/** Exits while C works on a block and on a buffer. */
import { setTimeout as wait } from 'node:timers/promises';
import { callAsync } from '../../../lib/index.ts';
import { openThreads } from '../../helpers/threads.ts';

const library = openThreads(process.argv[2] as string);
for (let i = 0; i < 2; i++) void callAsync(library.fillLater, library.adopt(4096), 4096, 1, 300);
for (let i = 0; i < 2; i++) void callAsync(library.fillLater, new Uint8Array(4096), 4096, 1, 300);
await wait(30);
process.exit(7);
