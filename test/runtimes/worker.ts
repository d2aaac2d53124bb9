import type { Known } from '../helpers/runner.ts';

/** What a worker thread of Node cannot do. */
export const known: readonly Known[] = [];
