// Fails where a prototype in lib/native/symbols.ts is not word for word that of csrc/cslice.h.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const header = readFileSync(join(root, 'csrc/cslice.h'), 'utf8');
const bindings = readFileSync(join(root, 'lib/native/symbols.ts'), 'utf8');

/** koffi's named types are global to the process, so a struct of ours is bound as `void *`. */
const normalize = (prototype: string): string =>
  prototype
    .replace(/\s+/g, ' ')
    .replace('(void)', '()')
    .replace(/\bcslice_(statistics) \*/g, 'void *')
    .trim();

const declared = new Map(
  [...header.matchAll(/CSLICE_API ([^;]+\b(cslice_\w+)\([^;]*\));/g)].map(([, text = '', name = '']) => [
    name,
    normalize(text),
  ]),
);
const bound = [...bindings.matchAll(/'([^']+\b(cslice_\w+)\([^']*\))'/g)];

let wrong = 0;
for (const [, text = '', name = ''] of bound) {
  if (declared.get(name) === normalize(text)) continue;
  wrong++;
  console.error(`${name}\n  cslice.h:   ${declared.get(name) ?? '(absent)'}\n  symbols.ts: ${text}`);
}
const workers = readFileSync(join(root, 'csrc/bindings.c'), 'utf8');
for (const [, , name = ''] of bound.filter(([, , name = '']) => !new RegExp(`\\b${name},`).test(workers))) {
  wrong++;
  console.error(`${name} is not in csrc/bindings.c, so worker threads lack it`);
}
const version = /CSLICE_ABI_VERSION (\d+)/.exec(header)?.[1];
if (version === undefined || !bindings.includes(`abiVersion = ${version};`)) {
  wrong++;
  console.error(`symbols.ts does not ask for ABI version ${version}`);
}
console.log(`signatures: ${bound.length - wrong} of ${bound.length} bindings agree with cslice.h`);
process.exitCode = wrong === 0 && bound.length > 0 ? 0 : 1;
