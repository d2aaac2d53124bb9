import { callComparisons } from './calls.ts';
import { serviceComparisons } from './service.ts';
import { timeComparisons } from './time.ts';
import type { Comparison } from './types.ts';

/** What is compared with what, and the bars to reach. */
export const comparisons: readonly Comparison[] = [...timeComparisons, ...callComparisons, ...serviceComparisons];
