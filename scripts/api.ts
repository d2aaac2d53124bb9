// Writes what the package promises: the reports of all public signatures in etc/, and docs/api.md, the reference, from the
// comments in the source. It fails if an export has no comment, no example or no section.
//
//   npm run api         writes them
//   npm run api:check   fails if one is not what the source says

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Item, referenceOf } from './api-reference.ts';
import { extract } from './declarations.ts';

const root = join(import.meta.dirname, '..');
const isCheck = process.argv.includes('--check');

/** Writes a generated file, or says whether the one that is there is current. */
function put(path: string, text: string): boolean {
  const file = join(root, path);
  const current = existsSync(file) && readFileSync(file, 'utf8') === text;
  if (!isCheck) writeFileSync(file, text);
  else if (!current) console.error(`api: ${path} is not what the source says. Run: npm run api`);
  return current || !isCheck;
}

mkdirSync(join(root, 'etc'), { recursive: true });
const [index, metrics] = [extract('index'), extract('metrics')];
const items: Item[] = JSON.parse(readFileSync(index.model, 'utf8')).members[0].members;
const reference = referenceOf(items, (file) => readFileSync(join(root, file), 'utf8'));
const results = [
  put('etc/cslice.api.md', readFileSync(index.report, 'utf8').replaceAll('\r\n', '\n')),
  put('etc/cslice-metrics.api.md', readFileSync(metrics.report, 'utf8').replaceAll('\r\n', '\n')),
  put('docs/api.md', reference),
];
if (results.includes(false)) process.exitCode = 1;
else console.log(`api: ${items.length} exports, ${isCheck ? 'reports and reference are current' : 'written'}`);
