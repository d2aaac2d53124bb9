import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from './child.ts';
import { History } from './history.ts';
import { type Command, integerOf, UsageError } from './options.ts';
import { page } from './page.ts';
import { Screen } from './screen.ts';

const preload = new URL('./preload.mjs', import.meta.url).href;

/** Runs the command and shows its memory until it ends, however it does. Then writes the page. */
export async function watch({ command, values }: Command): Promise<number> {
  const interval = integerOf('interval', values.interval, 1000, 50);
  const sampleBytes = integerOf('sample', values.sample, 524_288, 1);
  const output = resolve(values.output ?? 'cslice-watch.html');
  tryOutput(output, values.output);
  const directory = mkdtempSync(join(tmpdir(), 'cslice-watch-'));
  const history = new History(directory);
  const screen = new Screen(process.stderr);
  const env = {
    ...process.env,
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${preload}`.trim(),
    CSLICE_WATCH: directory,
    CSLICE_WATCH_INTERVAL: String(interval),
    CSLICE_PROFILE: process.env.CSLICE_PROFILE ?? String(sampleBytes),
    ...(screen.isLive && process.stdout.isTTY ? { FORCE_COLOR: process.env.FORCE_COLOR ?? '1' } : {}),
  };
  const { child, ended } = run(command, { env, stdio: screen.isLive ? ['inherit', 'pipe', 'pipe'] : 'inherit' });
  screen.pass(child.stdout, process.stdout);
  screen.pass(child.stderr, process.stderr);
  const timer = setInterval(() => {
    history.look();
    screen.show(history);
  }, interval);
  const code = await ended;
  clearInterval(timer);
  history.look(); // what it said at its end
  screen.show(history);
  writeFileSync(output, page(history, command, `It ended with the exit code ${code}.`));
  process.stderr.write(`cslice watch: the charts are in ${output}\n`);
  rmSync(directory, { recursive: true, force: true });
  return code;
}

/** Before hours are spent on what cannot be written. */
function tryOutput(output: string, given: string | undefined): void {
  try {
    writeFileSync(output, '');
  } catch (error) {
    throw new UsageError(`--output ${given ?? output} cannot be written: ${(error as Error).message}`);
  }
}
