import { checkInteger } from '../core/check.ts';
import { readOptions } from '../core/options.ts';
import { show, typeError } from '../errors.ts';
import { withScope } from '../record/labels.ts';
import { useLabels } from '../record/record.ts';

/**
 * What {@link withLabel} may be given.
 *
 * @example
 * const options: cslice.LabelOptions = { budgetBytes: 64 << 20 };
 * withLabel('tenant 7', options, () => Slice.alloc(64).release());
 */
export interface LabelOptions {
  /** The most bytes that may be live under the label in this thread. Default: no limit. */
  budgetBytes?: number;
}

/**
 * Calls `run`, and attributes every block that is allocated in it to the label, through its promises, timers and callbacks
 * too, as `AsyncLocalStorage` does. The innermost label counts; the budgets of outer ones hold as well.
 *
 * With `budgetBytes` an allocation past it first collects garbage, then throws `ERR_CSLICE_LIMIT`, naming the label. All
 * calls with one label share what is live under it. What is released or collected returns to the budget. Memory that is
 * adopted counts, but is never refused.
 *
 * From the first call on every allocation of this thread asks for the label, some 50 ns, and a block under a label some
 * 300 ns more, since its end has to be noticed.
 *
 * @returns what `run` returns
 * @throws {CSliceError} `ERR_CSLICE_TYPE`, `ERR_CSLICE_RANGE` for wrong arguments, and whatever `run` throws
 * @example
 * const slice = withLabel('tenant 7', () => Slice.alloc(64));
 * console.log(stats({ by: 'label' })); // { 'tenant 7': { liveBlocks: 1, liveBytes: 64 } }
 * slice.release();
 */
export function withLabel<T>(label: string, run: () => T): T;
export function withLabel<T>(label: string, options: LabelOptions, run: () => T): T;
export function withLabel<T>(label: string, second: LabelOptions | (() => T), third?: () => T): T {
  checkLabel(label);
  const options = typeof second === 'function' ? {} : second;
  const run = checkRun<T>(typeof second === 'function' && third === undefined ? second : third);
  const { budgetBytes } = readOptions('options', options as LabelOptions, ['budgetBytes']);
  const budget = budgetBytes === undefined ? Infinity : checkBudget('budgetBytes', budgetBytes);
  useLabels();
  return withScope(label, budget, run);
}

/**
 * Calls `run`, in which no more than so many bytes may be live at a time: an allocation past that first collects garbage,
 * then throws `ERR_CSLICE_LIMIT`, which names the label if there is one. Every call has a budget of its own.
 *
 * @returns what `run` returns
 * @throws {CSliceError} `ERR_CSLICE_TYPE`, `ERR_CSLICE_RANGE` for wrong arguments, and whatever `run` throws
 * @example
 * withBudget(1 << 20, () => Slice.alloc(64).release());
 */
export function withBudget<T>(bytes: number, run: () => T): T {
  const budget = checkBudget('bytes', bytes);
  checkRun(run);
  useLabels();
  return withScope(undefined, budget, run);
}

function checkBudget(name: string, bytes: number): number {
  return checkInteger(name, bytes, 0, Number.MAX_SAFE_INTEGER);
}

function checkLabel(label: unknown): void {
  if (typeof label !== 'string') throw typeError(`label must be a string, got ${show(label)}`);
}

function checkRun<T>(run: unknown): () => T {
  if (typeof run !== 'function') throw typeError(`run must be a function, got ${show(run)}`);
  return run as () => T;
}
