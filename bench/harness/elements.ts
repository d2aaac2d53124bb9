/** The same two loops over whatever memory the array has. */
import { do_not_optimize } from 'mitata';
import { type Measurement, perOperation } from './measure.ts';

/**
 * From the first detached ArrayBuffer of a thread on, whoever detached it, V8 compiles every access to any typed array
 * with a check more. Each release of a viewed slice detaches; so do structuredClone and postMessage with a transfer.
 */
export function detachAny(): void {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
}

function sum(array: Float64Array): number {
  let total = 0;
  for (let i = 0; i < array.length; i++) total += array[i] as number;
  return total;
}

function fill(array: Float64Array): void {
  for (let i = 0; i < array.length; i++) array[i] = i;
}

/** Nanoseconds for as many passes over the array as make `total` elements. */
export async function perElements(work: 'sum' | 'fill', array: Float64Array, total: number): Promise<Measurement> {
  fill(array);
  const passes = total / array.length;
  return perOperation(() => {
    for (let i = 0; i < passes; i++) {
      if (work === 'sum') do_not_optimize(sum(array));
      else fill(array);
    }
  });
}
