import { fileURLToPath } from 'node:url';
import { perOperationOfThreads } from '../../harness/threads.ts';
import { free, malloc } from './libc.ts';

await perOperationOfThreads(fileURLToPath(import.meta.url), Number(process.argv[2]), () => free(malloc(64)));
