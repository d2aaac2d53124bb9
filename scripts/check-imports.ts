// Fails where a source file imports against the arrows of docs/design.md.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');

/** The layers of lib from the top: a file may import its own layer (core, native) or anything below. */
const layers = [
  ['cli.ts'],
  ['cli/'],
  ['index.ts'],
  ['func.ts', 'call.ts'],
  ['func/', 'callback.ts'],
  ['*'], // every other public concept
  ['slice.ts'],
  ['codec/'],
  ['core/'],
  ['record/'],
  ['native/'],
  ['errors.ts'],
];
const others = layers.findIndex((names) => names.includes('*'));
const isOneFile = ([first = '', ...rest]: string[]) => rest.length === 0 && first.endsWith('.ts');

/** The layers of csrc from the top, and what each file may call of the others, beside the C library. */
const calls: Record<string, string[]> = {
  'host.c': [
    'loop',
    'bindings',
    'handles',
    'views',
    'node_api',
    'thread',
    'due',
    'block',
    'mailbox',
    'counts',
    'mem',
    'platform',
  ],
  'bindings.c': ['node_api', 'record', 'handles', 'due', 'address', 'block', 'counts', 'guard', 'mem', 'status'],
  'due.c': ['handles', 'block', 'record', 'mailbox', 'counts'],
  'handles.c': ['block', 'mem'],
  'address.c': ['platform'],
  'thread.c': ['counts', 'cache', 'guard'],
  'block.c': ['record', 'mailbox', 'cache', 'reclaim', 'counts', 'guard', 'mem', 'views'],
  'record.c': ['mailbox', 'mem'],
  'mailbox.c': ['mem', 'platform'],
  'counts.c': ['cache', 'reclaim', 'mem', 'platform'],
  'cache.c': ['mem', 'views', 'platform'],
  'reclaim.c': ['mem', 'platform'],
  'guard.c': ['mem', 'fault', 'platform'],
  'mem.c': ['platform'],
  'status.c': [],
  'node_api.c': ['symbols', 'platform'],
  'loop.c': ['symbols', 'platform'],
  'views.c': ['symbols', 'platform'],
  'symbols.c': ['platform'],
  'fault_posix.c': [],
  'fault_windows.c': [],
  'platform_posix.c': [],
  'platform_windows.c': [],
};

/** How the rows name a file. The two for the systems define the same functions. */
function layer(file: string): string {
  return basename(file, extname(file)).replace(/^(platform|fault)_.*/, '$1');
}

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
      if (to < from || (to === from && isOneFile(layers[from] ?? []))) {
        problems.push(`lib/${file} imports lib/${target}, which is above it`);
      }
    }
  }
}

/** Comments and strings name functions too, and call none. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\.)*"/g, '');
}

/** The files of csrc by name, and which of them defines each function and object that others can reach. */
function readC(): { files: Map<string, string>; homes: Map<string, string> } {
  const csrc = join(root, 'csrc');
  const files = new Map<string, string>();
  const homes = new Map<string, string>();
  for (const file of readdirSync(csrc).filter((name) => /\.(c|cc)$/.test(name))) {
    const text = readFileSync(join(csrc, file), 'utf8');
    files.set(file, text);
    const definitions =
      /^(?!static\b|typedef\b|extern\b|enum\b)[A-Za-z_][\w *]*?\b(cslice_\w+)(?:\([^;{]*\) \{|;| =)/gm;
    for (const [, name = ''] of withoutComments(text).matchAll(definitions)) homes.set(name, file);
  }
  return { files, homes };
}

function checkC(): void {
  const { files, homes } = readC();
  const order = Object.keys(calls);
  for (const [file, allowed] of Object.entries(calls)) {
    if (!files.has(file)) problems.push(`scripts/check-imports.ts has a row for csrc/${file}, which is not there`);
    for (const name of allowed) {
      const below = order.findIndex((other) => layer(other) === name);
      if (below <= order.indexOf(file))
        problems.push(`scripts/check-imports.ts lets ${file} call ${name}, which is not below it`);
    }
  }
  for (const [file, text] of files) {
    const allowed = calls[file];
    if (allowed === undefined) problems.push(`csrc/${file} has no row in scripts/check-imports.ts`);
    if (/#include "[^"]+\.cc?"/.test(text)) problems.push(`csrc/${file} includes a file that is not a header`);
    const code = withoutComments(text);
    if (
      file !== 'mem.c' &&
      !/^(platform|fault)_/.test(file) &&
      /\b(malloc|calloc|realloc|free|mmap|munmap|posix_memalign)\(/.test(code)
    ) {
      problems.push(`csrc/${file} calls the allocator, which is for mem.c alone`);
    }
    for (const [name] of code.matchAll(/\bcslice_\w+/g)) {
      const home = homes.get(name);
      if (home === undefined || layer(home) === layer(file)) continue;
      if (allowed?.includes(layer(home)) === false) {
        problems.push(`csrc/${file} uses ${name} of csrc/${home}, which is above or beside it`);
      }
    }
  }
}

checkTypeScript();
checkC();
for (const problem of new Set(problems)) console.error(problem);
console.log(problems.length === 0 ? 'imports: every arrow points down' : `imports: ${problems.length} wrong`);
process.exitCode = problems.length === 0 ? 0 : 1;
