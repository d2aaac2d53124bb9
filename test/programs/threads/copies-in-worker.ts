/** Two copies of the package in one worker thread, which ends with blocks of both. */
import { parentPort, workerData } from 'node:worker_threads';
import * as first from '../../../lib/index.ts';
import type { Package } from '../../helpers/copies.ts';

const second: Package = await import(workerData.copy);
const held = [first, second].flatMap(({ Slice }) => Array.from({ length: 20 }, (_, i) => Slice.alloc(i)));
Object.assign(globalThis, { held });
parentPort?.postMessage({ live: first.stats().liveBlocks, same: (first.Slice as unknown) === second.Slice });
