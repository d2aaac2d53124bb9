import type { ParseArgsConfig } from 'node:util';
import type { Report } from './report.ts';

/** A command of `npm run prove`: a file of scripts/prove exports one as `proof`. */
export interface Proof {
  /** What is proved, in a line. */
  readonly about: string;
  readonly options?: NonNullable<ParseArgsConfig['options']>;
  /** Parts that can be chosen by name. Default: it has none. */
  readonly parts?: readonly string[];
  prove(report: Report, args: Args): Promise<void>;
}

/** A command line that cannot be obeyed. */
export class UsageError extends Error {}

/** The options of a command line, by the names that the proof has declared. */
export class Args {
  readonly #values: Readonly<Record<string, unknown>>;
  /** Those that were named, or all. */
  readonly parts: readonly string[];

  constructor(values: Readonly<Record<string, unknown>>, parts: readonly string[]) {
    this.#values = values;
    this.parts = parts;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    return this.#values[name] as string | undefined;
  }

  /** A whole number. */
  count(name: string, least = 0): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const number = Number(text);
    if (Number.isSafeInteger(number) && number >= least) return number;
    throw new UsageError(`--${name} takes a whole number from ${least} on, not ${text}`);
  }
}
