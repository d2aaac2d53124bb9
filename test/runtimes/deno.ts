import type { Known } from '../helpers/runner.ts';

/** What Deno cannot do. */
export const known: readonly Known[] = [];
