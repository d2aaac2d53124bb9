#!/usr/bin/env node
/** The command `cslice`: see docs/command-line.md. */
import { leaks } from './cli/leaks.ts';
import { exitCodes, readCommandLine, UsageError } from './cli/options.ts';
import { watch } from './cli/watch.ts';

try {
  const read = readCommandLine(process.argv.slice(2));
  if (typeof read === 'string') process.stdout.write(read);
  else process.exitCode = await { leaks, watch }[read.name](read);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`cslice: ${error.message}\n`);
  process.exitCode = exitCodes.wrongArguments;
}
