export type RuntimeName = 'node' | 'node26' | 'bun' | 'deno' | 'ffi-rs' | 'python' | 'go';

export type Args = readonly (string | number)[];

export interface Program {
  /** Unique in its comparison. */
  readonly name: string;
  readonly runtime: RuntimeName;
  /** Below bench/, without its extension. */
  readonly file: string;
  readonly args: Args;
}

/** What to reach, lower being better: a ratio of medians. */
export interface Bar {
  /** A program's name. Default: the comparison's subject. */
  readonly subject?: string;
  /** Another one. Without it the subject's own median is meant, in the unit of the comparison. */
  readonly against?: string;
  readonly atMost: number;
  /** Where a ratio can be too good to be true. */
  readonly atLeast?: number;
}

export type Unit = 'ns' | 'ms' | 'bytes';

export interface Comparison {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  /** The first one is the subject. */
  readonly programs: readonly Program[];
  readonly bars: readonly Bar[];
  /** How many times the rounds of the others, where a bar is narrower than the machine is steady. Default 1. */
  readonly thoroughness?: number;
}
