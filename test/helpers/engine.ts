/** What differs between the runtimes that run the tests: their name, their collector, their command line. */

interface Globals {
  readonly Bun?: { gc(force: boolean): void };
  readonly Deno?: object;
  readonly gc?: () => void;
}

const globals = globalThis as Globals;

export type RuntimeName = 'node' | 'bun' | 'deno';

export const runtime: RuntimeName = globals.Bun ? 'bun' : globals.Deno ? 'deno' : 'node';

/** What stands before the script on the command line of each runtime. */
export const flags: Readonly<Record<RuntimeName, readonly string[]>> = {
  node: ['--expose-gc', '--import', 'tsx'],
  bun: ['--expose-gc'],
  deno: ['run', '--allow-all', '--v8-flags=--expose-gc'],
};

export function collect(): void {
  if (globals.Bun !== undefined) globals.Bun.gc(true);
  else if (globals.gc !== undefined) globals.gc();
  else throw new Error('Run this with --expose-gc');
}

/** One turn of the event loop, after which registries have been told what the last collection found. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
