import type { Unit } from '../comparisons.ts';
import type { Spread } from './statistics.ts';

const number = (value: number): string =>
  value >= 100 || Number.isInteger(value)
    ? Math.round(value).toLocaleString('en')
    : value.toPrecision(value >= 1 ? 3 : 2);

export function formatValue(value: number, unit: Unit): string {
  return `${number(value)} ${unit}`;
}

/** A median with the range that it comes from. */
export function formatSpread({ median, min, max }: Spread): string {
  return `${number(median)} (${number(min)}–${number(max)})`;
}

export function formatRatio({ median, min, max }: Spread): string {
  const [m, lo, hi] = [median, min, max].map((value) => value.toFixed(value < 0.1 ? 3 : 2));
  return `${m} (${lo}–${hi})`;
}
