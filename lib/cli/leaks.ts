import { constants } from 'node:os';
import { run } from './child.ts';
import { type Command, UsageError } from './options.ts';

/** Runs the command so that each Node process of it that uses cslice reports at its end what it has not released. */
export async function leaks({ command, values: { signal } }: Command): Promise<number> {
  if (signal !== undefined && !Object.hasOwn(constants.signals, signal)) {
    throw new UsageError(`--signal must be the name of a signal, such as SIGUSR2, got ${JSON.stringify(signal)}`);
  }
  const env = { ...process.env, CSLICE_LEAKS: '1', ...(signal === undefined ? {} : { CSLICE_LEAKS_SIGNAL: signal }) };
  return run(command, { env, stdio: 'inherit' }).ended;
}
