import { parentPort } from 'node:worker_threads';
import { tour } from '../helpers/tour.ts';

parentPort?.postMessage(tour());
