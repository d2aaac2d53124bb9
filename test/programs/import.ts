/** Imports the package, or the entry file that is named, and says what became of it. */
import { pathToFileURL } from 'node:url';

const entry = process.argv[2];

try {
  await import(entry === undefined ? '../../lib/index.ts' : pathToFileURL(entry).href);
  console.log('loaded');
} catch (error) {
  const { code, name, message } = error as Error & { code?: string };
  console.log(`${code} ${name} ${message}`);
}
