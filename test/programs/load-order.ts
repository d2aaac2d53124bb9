/**
 * Loads a C library that uses cslice before or after cslice itself (first argument: c, js), and says whether both see
 * the same blocks. Linux alone: it looks at what is mapped.
 */
import { readFileSync } from 'node:fs';
import koffi from 'koffi';

const [first, path = ''] = process.argv.slice(2);

function mapped(): string[] {
  const files = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .map((line) => line.split(/\s+/)[5] ?? '')
    .filter((file) => file.includes('libcslice'));
  return [...new Set(files)];
}

try {
  const early = first === 'c' ? koffi.load(path) : undefined;
  const { stats } = await import('../../lib/index.ts');
  const library = early ?? koffi.load(path);
  const block = library.func('void *sieve_block(uint32_t numbers)')(100);
  console.log(JSON.stringify({ copies: mapped(), counted: block !== null && stats().liveBlocks === 1 }));
} catch (error) {
  console.log(JSON.stringify({ error: (error as Error).message }));
}
