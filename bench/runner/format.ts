import type { Unit } from '../comparisons/types.ts';
import type { Spread } from './statistics.ts';
import type { Verdict } from './verdict.ts';

/** Three digits, which is more than any of these numbers is worth. */
function formatNumber(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value >= 1 ? value.toPrecision(3) : value.toPrecision(2);
}

/** A median with the range that it comes from. */
export function formatSpread({ median, min, max }: Spread): string {
  return `${formatNumber(median)} (${formatNumber(min)}–${formatNumber(max)})`;
}

function formatFactor(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value < 0.1 ? 3 : 2);
}

export function formatRatio({ median, min, max }: Spread): string {
  return `${formatFactor(median)} (${formatFactor(min)}–${formatFactor(max)})`;
}

export function formatWork({ subject, bar: { against } }: Verdict): string {
  return against === undefined ? subject : `${subject} ÷ ${against}`;
}

export function formatBar({ bar: { against, atMost, atLeast } }: Verdict, unit: Unit): string {
  const bar = atLeast === undefined ? `≤ ${atMost}` : `${atLeast} to ${atMost}`;
  return against === undefined ? `${bar} ${unit}` : bar;
}

export function formatReading({ reading, bar: { against } }: Verdict): string {
  if (reading === undefined) return '';
  return against === undefined ? formatSpread(reading) : formatRatio(reading);
}

export function formatOutcome({ reached }: Verdict): string {
  if (reached === undefined) return 'not measured';
  return reached ? 'pass' : 'MISS';
}
