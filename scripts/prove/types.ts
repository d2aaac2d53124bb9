// The type tests against the published declarations with TypeScript 5.4 and the repository's own, for both ways
// of resolving modules, and measures a file of 500 declarations beside the same file with plain koffi.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Proof } from './shared/proof.ts';
import { buildPackage, type Report } from './shared/report.ts';

const root = join(import.meta.dirname, '../..');
const oldest = '5.4';

/** A program named tsc of a version; the oldest is installed under build/, outside the package's own dependencies. */
function compilerOf(version: string): string {
  if (version === 'own') return join(root, 'node_modules/typescript/bin/tsc');
  const directory = join(root, 'build', `typescript-${version}`);
  const compiler = join(directory, 'node_modules/typescript-oldest/bin/tsc');
  if (!existsSync(compiler)) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'package.json'), '{ "private": true }');
    execFileSync('npm', ['install', '--no-audit', '--no-fund', `typescript-oldest@npm:typescript@${version}`], {
      cwd: directory,
      stdio: 'inherit',
    });
  }
  return compiler;
}

const resolutions = {
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
};

function configure(directory: string, resolution: object): void {
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    ...resolution,
  };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
}

/** Seconds that a compilation of the directory takes. */
function compile(compiler: string, directory: string): number {
  const start = process.hrtime.bigint();
  execFileSync(process.execPath, [compiler, '-p', directory], { stdio: 'inherit' });
  return Number(process.hrtime.bigint() - start) / 1e9;
}

function manyDeclarations(declare: string): string {
  const lines = Array.from(
    { length: 500 },
    (_, i) =>
      `export const f${i} = ${declare}'int library_function_${i}(library_object_${i} *object, const char *name, ` +
      `_Out_ size_t *size, double ratio)');\n`,
  );
  const head = `import koffi from 'koffi';\nimport { func } from 'cslice';\nconst lib = koffi.load(null);\n`;
  const uses = Array.from({ length: 500 }, (_, i) => `f${i}(1n, 'name', [null], ${i});\n`);
  return [head, 'void func;\n', ...lines, ...uses].join('');
}

async function check(report: Report, directory: string, version: string): Promise<void> {
  const compiler = compilerOf(version);
  for (const [name, resolution] of Object.entries(resolutions)) {
    await report.proof(`types by TypeScript ${version}, ${name}`, () => {
      copyFileSync(join(root, 'test/fixtures/types/func.test-d.ts'), join(directory, 'types.ts'));
      configure(directory, resolution);
      compile(compiler, directory);
      return { passed: 1, total: 1 };
    });
  }
  await report.proof(`types by TypeScript ${version}: time of 500 declarations`, () => {
    const timeOf = (declare: string): number => {
      writeFileSync(join(directory, 'types.ts'), manyDeclarations(declare));
      return compile(compiler, directory);
    };
    let [plain, typed] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let round = 1; round <= 3 || (typed > 3 * plain && round <= 10); round++) {
      plain = Math.min(plain, timeOf('lib.func(')); // what other programs do only adds to a time
      typed = Math.min(typed, timeOf('func(lib, '));
    }
    // The times are figures, since machines are noisy. Types that make the compiler work for minutes fail here.
    const figures = `${typed.toFixed(2)} s, ${plain.toFixed(2)} s by koffi`;
    return { passed: typed <= 3 * plain ? 1 : 0, total: 1, figures };
  });
}

export const proof: Proof = {
  about: 'the types of `func` in TypeScript 5.4 and the current one, and the time that they take',
  async prove(report) {
    await buildPackage();
    const directory = mkdtempSync(join(root, 'build', 'types-')); // inside the package, which it imports by name
    try {
      for (const version of [oldest, 'own']) await check(report, directory, version);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
};
