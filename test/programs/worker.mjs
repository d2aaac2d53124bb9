// A worker thread of Node does not inherit the TypeScript loader of its parent. Other runtimes need none.
import { workerData } from 'node:worker_threads';

const { bun, deno } = process.versions;
if (bun === undefined && deno === undefined) (await import('tsx/esm/api')).register();
await import(workerData.program);
