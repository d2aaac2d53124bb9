// Runs the proofs that take longer than `npm test`: all of them, or the one that is named.
//   npm run prove
//   npm run prove c -- --fuzz-seconds 20
//   npm run prove help
import { parseArgs } from 'node:util';
import { Args, type Proof, UsageError } from './prove/shared/proof.ts';
import { Failure, Report } from './prove/shared/report.ts';

const names = ['c', 'types', 'js', 'threads', 'runtimes', 'io', 'service', 'attack', 'platforms', 'package'] as const;

async function load(name: string): Promise<Proof> {
  return ((await import(`./prove/${name}.ts`)) as { readonly proof: Proof }).proof;
}

async function help(): Promise<void> {
  console.log('npm run prove [name [part ...]] [-- options]\n');
  for (const name of names) {
    const { about, options = {}, parts } = await load(name);
    console.log(`${name.padEnd(9)} ${about}`);
    if (parts !== undefined) console.log(`          parts: ${parts.join(', ')}`);
    for (const [option, { default: value }] of Object.entries(options)) {
      console.log(`          --${option}${value === undefined ? '' : ` (default: ${value})`}`);
    }
  }
}

async function prove(report: Report, name: string, args: readonly string[]): Promise<void> {
  const proof = await load(name);
  const { options = {}, parts = [] } = proof;
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const unknown = positionals.filter((part) => !parts.includes(part));
  if (unknown.length > 0)
    throw new UsageError(`prove ${name} has no ${unknown.join(', ')}. It has ${parts.join(', ')}`);
  try {
    await proof.prove(report, new Args(values, positionals.length > 0 ? positionals : parts));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    await report.proof(name, () => Promise.reject(error)); // it could not even begin
  }
}

const [name, ...args] = process.argv.slice(2);
const report = new Report();
try {
  if (name === 'help' || name === '--help') {
    await help();
  } else {
    if (name !== undefined && !(names as readonly string[]).includes(name)) {
      throw new UsageError(`No such proof: ${name}. There are ${names.join(', ')}, and help`);
    }
    for (const each of name === undefined ? names : [name]) await prove(report, each, args);
    process.exitCode = report.end() ? 0 : 1;
  }
} catch (error) {
  if (!(error instanceof UsageError) && !String((error as { code?: string }).code).startsWith('ERR_PARSE_ARGS'))
    throw error;
  console.error((error as Error).message);
  process.exitCode = 2;
}
