/** The command line: subcommands, their options, and what is said of wrong ones. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** Exit codes of the command itself; else the exit code is that of the command that it runs. */
export const exitCodes = { wrongArguments: 2, cannotRun: 126, notFound: 127, signalled: 128 } as const;

/** A mistake on the command line: its text is for the user. */
export class UsageError extends Error {}

interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly value?: string;
  readonly help: string;
}

interface Subcommand {
  readonly usage: string;
  readonly help: string;
  readonly options: Readonly<Record<string, Option>>;
}

const help: Option = { type: 'boolean', short: 'h', help: 'shows this text' };

export const subcommands: Readonly<Record<'leaks' | 'watch', Subcommand>> = {
  leaks: {
    usage: 'cslice leaks [options] -- command [arguments]',
    help: 'Runs a Node program with CSLICE_LEAKS=1: at its end it prints what it has not released, by where it was allocated,\nand its exit code is 1 if that is anything.',
    options: {
      signal: { type: 'string', value: 'NAME', help: 'the signal on which it prints the report too (SIGUSR2)' },
      help,
    },
  },
  watch: {
    usage: 'cslice watch [options] -- command [arguments]',
    help: 'Runs a Node program and shows native bytes, JS heap and RSS, with the places whose memory grows fastest. At the end it\nwrites them to a page with charts.',
    options: {
      interval: { type: 'string', short: 'i', value: 'MS', help: 'the time between two looks, from 50 (1000)' },
      output: { type: 'string', short: 'o', value: 'FILE', help: 'the page (cslice-watch.html)' },
      sample: { type: 'string', value: 'BYTES', help: 'one block is recorded for so many allocated bytes (524288)' },
      help,
    },
  },
};

export interface Command {
  readonly name: 'leaks' | 'watch';
  readonly values: Readonly<Record<string, string | undefined>>;
  readonly command: readonly [string, ...string[]];
}

function helpOf({ usage, help, options }: Subcommand): string {
  const rows = Object.entries(options).map(([name, { short, value, help }]) => {
    const flag = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
    return `  ${flag.padEnd(22)} ${help}`;
  });
  return `usage: ${usage}\n\n${help}\n\n${rows.join('\n')}\n`;
}

const mainHelp = `usage: cslice <subcommand> [options] -- command [arguments]

  leaks   what a Node program has not released, at its end
  watch   the memory of a Node program as it runs, and as a page with charts

cslice <subcommand> --help says more.

The exit code is that of the command, or 128 and its signal's number if a signal ended it. 2: wrong arguments;
126: the command cannot be run; 127: there is no such command.
`;

const names = Object.keys(subcommands).join(', ');

/** @returns what to run, or the text that was asked for. @throws {UsageError} */
export function readCommandLine(args: readonly string[]): Command | string {
  const [name, ...rest] = args;
  if (name === '--help' || name === '-h' || name === 'help') return mainHelp;
  if (name === undefined) throw new UsageError(`a subcommand is missing: ${names}\n\n${mainHelp}`);
  if (name !== 'leaks' && name !== 'watch') {
    throw new UsageError(`there is no subcommand ${JSON.stringify(name)}: they are ${names}`);
  }
  return readSubcommand(name, rest);
}

function readSubcommand(name: 'leaks' | 'watch', args: readonly string[]): Command | string {
  const subcommand = subcommands[name];
  const { tokens } = parseArgs({ args: [...args], options: optionsOf(subcommand), strict: false, tokens: true });
  const values: Record<string, string | undefined> = {};
  const command: string[] = [];
  for (const token of tokens) {
    // From the first word that is no option on, all belongs to the command, with `--` or without it.
    if (token.kind === 'option-terminator' || token.kind === 'positional') {
      const start = token.kind === 'positional' ? token.index : token.index + 1;
      command.push(...args.slice(start));
      break;
    }
    const option = Object.hasOwn(subcommand.options, token.name) ? subcommand.options[token.name] : undefined;
    if (option === undefined) {
      const known = Object.keys(subcommand.options).map((each) => `--${each}`);
      throw new UsageError(`cslice ${name} has no option ${token.rawName}; it has ${known.join(', ')}`);
    }
    if (token.name === 'help') return helpOf(subcommand);
    if (token.value === undefined) throw new UsageError(`--${token.name} needs a value: ${option.value}`);
    values[token.name] = token.value;
  }
  const [file, ...rest] = command;
  if (file === undefined) throw new UsageError(`the command is missing: ${subcommand.usage}`);
  return { name, values, command: [file, ...rest] };
}

function optionsOf({ options }: Subcommand): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries(options).map(([name, { type, short }]) => [name, short === undefined ? { type } : { type, short }]),
  );
}

/** @throws {UsageError} */
export function integerOf(option: string, text: string | undefined, standard: number, least: number): number {
  if (text === undefined) return standard;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= 2 ** 31 - 1) return number;
  throw new UsageError(
    `--${option} must be a whole number from ${least} to ${2 ** 31 - 1}, got ${JSON.stringify(text)}`,
  );
}
