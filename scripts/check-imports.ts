// Fails where a source file imports against the arrows of docs/design.md.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');

/** The layers of lib from the top: a file may import its own layer (core, native) or anything below. */
const layers = [
  ['index.ts'],
  ['func.ts', 'call.ts'],
  ['func/', 'callback.ts'],
  ['*'], // every other public concept
  ['slice.ts'],
  ['core/'],
  ['native/'],
  ['errors.ts'],
];
const others = layers.findIndex((names) => names.includes('*'));
const layersOfOneFile = new Set([0, 4, 7]);

/** What each C file may call, beside the C library and its own functions. */
const calls: Record<string, string[]> = {
  'handles.c': ['mem'],
  'owner.c': ['share', 'block', 'counts', 'cache', 'mem'],
  'share.c': ['block', 'mem'],
  'host.c': ['handles', 'owner', 'mailbox', 'block', 'counts', 'mem', 'node', 'bindings'],
  'bindings.c': ['node'],
  'node_api.c': ['node'],
  'interop.c': [],
  'block.c': ['mailbox', 'reclaim', 'counts', 'cache', 'mem'],
  'counts.c': ['cache', 'mem'],
  'reclaim.c': ['mem'],
  'mailbox.c': ['cache', 'mem'],
  'cache.c': ['mem'],
  'mem.c': [],
  'status.c': [],
};

const problems: string[] = [];

function layerOf(file: string): number {
  const exact = layers.findIndex((names) =>
    names.some((name) => (name.endsWith('/') ? file.startsWith(name) : file === name)),
  );
  return exact >= 0 ? exact : others;
}

function checkTypeScript(): void {
  const lib = join(root, 'lib');
  for (const file of readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))) {
    const from = layerOf(file);
    for (const [, specifier = ''] of readFileSync(join(lib, file), 'utf8').matchAll(/from '([^']+)'/g)) {
      if (specifier === 'koffi' && from !== layerOf('native/')) problems.push(`lib/${file} imports koffi`);
      if (!specifier.startsWith('.')) continue;
      const target = relative(lib, join(lib, dirname(file), specifier));
      const to = layerOf(target);
      if (to < from || (to === from && layersOfOneFile.has(from))) {
        problems.push(`lib/${file} imports lib/${target}, which is above it`);
      }
    }
  }
}

function checkC(): void {
  const csrc = join(root, 'csrc');
  for (const file of readdirSync(csrc).filter((name) => name.endsWith('.c'))) {
    const allowed = calls[file];
    const text = readFileSync(join(csrc, file), 'utf8');
    if (allowed === undefined) problems.push(`csrc/${file} has no row in scripts/check-imports.ts`);
    if (/#include "[^"]+\.c"/.test(text)) problems.push(`csrc/${file} includes a .c file`);
    if (file !== 'mem.c' && /\b(malloc|calloc|realloc|free|mmap|munmap|posix_memalign)\(/.test(text)) {
      problems.push(`csrc/${file} calls the allocator, which is for mem.c alone`);
    }
    for (const [, callee = ''] of text.matchAll(/\bcslice__([a-z]+)_\w+\(/g)) {
      if (callee !== basename(file, '.c') && allowed?.includes(callee) === false) {
        problems.push(`csrc/${file} uses cslice__${callee}_…, which is above or beside it`);
      }
    }
  }
}

checkTypeScript();
checkC();
for (const problem of new Set(problems)) console.error(problem);
console.log(problems.length === 0 ? 'imports: every arrow points down' : `imports: ${problems.length} wrong`);
process.exitCode = problems.length === 0 ? 0 : 1;
