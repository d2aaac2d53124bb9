import { parentPort } from 'node:worker_threads';
import { tour } from './tour.ts';

parentPort?.postMessage(tour());
