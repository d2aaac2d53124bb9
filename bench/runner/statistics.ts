export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] as number;
  const upper = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(upper) : (at(upper - 1) + at(upper)) / 2;
  return { median, min: at(0), max: at(sorted.length - 1) };
}

/** The ratio of medians, and the range of the ratios within each round, whose processes ran next to each other. */
export function ratioOf(subject: readonly number[], baseline: readonly number[]): Spread {
  const rounds = subject.map((value, round) => value / (baseline[round] as number));
  return { ...spreadOf(rounds), median: spreadOf(subject).median / spreadOf(baseline).median };
}
