import { join } from 'node:path';
import { start } from '../../../test/helpers/start.ts';

/** What a proof throws to say what is wrong, without a stack. */
export class Failure extends Error {}

/** What a proof has found. */
export interface Tally {
  readonly passed: number;
  readonly total: number;
  readonly figures?: string;
  /** What is wrong, or worth knowing. */
  readonly lines?: readonly string[];
}

/** Prints a line for each proof, and counts. */
export class Report {
  #passed = 0;
  #failed = 0;

  async proof(name: string, prove: () => Promise<Tally> | Tally): Promise<void> {
    const from = Date.now();
    const took = (): string => `${((Date.now() - from) / 1000).toFixed(0)} s`;
    try {
      const { passed, total, figures, lines = [] } = await prove();
      this.#passed += passed;
      this.#failed += Math.max(total - passed, total === 0 ? 1 : 0);
      const more = figures === undefined ? '' : `, ${figures}`;
      console.log(
        `${passed === total && total > 0 ? '✔' : '✘'} ${name}: ${passed} of ${total} passed${more} (${took()})`,
      );
      for (const line of lines) console.log(`    ${line.replaceAll('\n', '\n    ')}`);
    } catch (error) {
      this.#failed++;
      console.log(`✘ ${name}: FAILED (${took()})`);
      console.log(error instanceof Failure ? error.message : error);
    }
  }

  /** Prints the totals, which are the last line of every command. Returns whether all has passed. */
  end(): boolean {
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
    return this.#failed === 0 && this.#passed > 0;
  }
}

/** What the command printed. Throws that if it failed. */
export async function must(command: readonly string[], environment?: NodeJS.ProcessEnv): Promise<string> {
  const { status, output } = await start(command, environment);
  if (status !== 0) throw new Failure(`${command.join(' ')} ended with ${status}:\n${output.slice(-20_000)}`);
  return output;
}

let built: Promise<string> | undefined;

/** Builds the C library and dist/, once in a run. */
export async function buildPackage(): Promise<void> {
  built ??= must(['npm', 'run', 'build']);
  await built;
  // Programs that import 'cslice' get what was built, and not lib, as by tsconfig.json.
  process.env.TSX_TSCONFIG_PATH = join(import.meta.dirname, '../../../tsconfig.build.json');
}

export async function buildPreset(preset: string, ...options: string[]): Promise<void> {
  await must(['cmake', '--preset', preset]);
  await must(['cmake', '--build', '--preset', preset, '--parallel', '2', ...options]);
}
