// Runs a command and prints one line, or, if it fails, what it wrote: `tsx scripts/step.ts 'name' command arguments`.
import { start } from '../test/helpers/start.ts';

const [name = '', ...command] = process.argv.slice(2);
const { status, output } = await start(command);
if (status !== 0) console.error(`${output}\n✘ ${name}: ${command.join(' ')} ended with ${status}`);
process.exitCode = status === 0 ? 0 : 1;
if (status === 0) console.log(`✔ ${name}`);
