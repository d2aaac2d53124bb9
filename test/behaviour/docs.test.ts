import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { build, transform } from 'esbuild';
import { locate } from '../../lib/native/locate.ts';
import { type Block, blocksOf, type Program, packed, programsOf, root } from '../helpers/documents.ts';

const run = promisify(execFile);
const documents = [...packed, 'CONTRIBUTING.md', 'SECURITY.md', 'examples/article/README.md'].filter((name) =>
  existsSync(join(root, name)),
);
const programs = documents.flatMap(programsOf);

/** Where the programs are written: a package of its own, in which `cslice` is what lib has now. */
let directory: string;

interface Printed {
  readonly stdout: string;
  readonly stderr: string;
}

async function write(program: Program, i: number): Promise<string> {
  const folder = join(directory, String(i));
  mkdirSync(folder);
  writeFileSync(join(folder, 'program.mts'), program.code);
  const { code } = await transform(program.code, { loader: 'ts', target: 'node20', format: 'esm' });
  writeFileSync(join(folder, 'program.mjs'), code);
  for (const [name, text] of program.files) writeFileSync(join(folder, name), text);
  return folder;
}

async function execute(file: string): Promise<Printed> {
  const env = { ...process.env, CSLICE_LIBRARY: locate() };
  return run(process.execPath, ['--expose-gc', file], { cwd: root, env, timeout: 60_000 });
}

const separator = '\u241e'; // no program prints it

/** Runs small programs one after the other in one process. What fails fails the ones after it too. */
async function executeTogether(folders: readonly string[]): Promise<Printed[]> {
  const imports = folders.map((folder) => `await import('${folder}/program.mjs');\nconsole.log('${separator}');\n`);
  const file = join(directory, `together-${basename(folders[0] ?? '')}.mjs`);
  writeFileSync(file, imports.join(''));
  const result = await execute(file).catch((error: Printed & Error) => error);
  const outputs = result.stdout.split(`${separator}\n`);
  return folders.map((_, i) => ({ stdout: outputs[i] ?? '', stderr: outputs.length > i + 1 ? '' : result.stderr }));
}

/** Starts all programs, as many at a time as there are processors. A test awaits its own. */
function startAll(folders: readonly string[]): Promise<Printed>[] {
  const lanes: Promise<unknown>[] = Array.from({ length: availableParallelism() }, () => Promise.resolve());
  let turn = 0;
  const queue = <T>(start: () => Promise<T>): Promise<T> => {
    const lane = turn++ % lanes.length;
    const started = (lanes[lane] as Promise<unknown>).then(start);
    lanes[lane] = started.catch(() => {});
    return started;
  };
  const together = new Map<string, Promise<Printed[]>>();
  return programs.map(({ document, isSmall }, i) => {
    if (!isSmall) return queue(() => execute(join(folders[i] ?? '', 'program.mjs')));
    const group = programs.flatMap((program, j) => (program.document === document && program.isSmall ? [j] : []));
    if (!together.has(document)) {
      together.set(
        document,
        queue(() => executeTogether(group.map((j) => folders[j] ?? ''))),
      );
    }
    return (together.get(document) as Promise<Printed[]>).then((all) => all[group.indexOf(i)] as Printed);
  });
}

/** Whether a text is what a document says: `…` stands for anything. */
function matches(printed: string, expected: string): boolean {
  const parts = expected.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^]*?')}$`).test(printed);
}

describe('the programs in the documents', function () {
  this.timeout(120_000);
  let printed: Promise<Printed>[];

  before(async () => {
    mkdirSync(join(root, 'build'), { recursive: true });
    directory = mkdtempSync(join(root, 'build/documents-')); // inside the package, where koffi is found
    const installed = join(directory, 'node_modules/cslice');
    mkdirSync(installed, { recursive: true });
    const manifest = { private: true, type: 'module' };
    writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest));
    const exports = { '.': './index.js', './metrics': './metrics.js' };
    writeFileSync(join(installed, 'package.json'), JSON.stringify({ ...manifest, exports }));
    await build({
      entryPoints: [join(root, 'lib/index.ts'), join(root, 'lib/metrics.ts')],
      outdir: installed,
      splitting: true,
      bundle: true,
      logLevel: 'warning',
      platform: 'node',
      target: 'node20',
      format: 'esm',
      packages: 'external',
    });
    const folders = await Promise.all(programs.map(write));
    printed = startAll(folders);
    for (const result of printed) result.catch(() => {}); // each is awaited by its own test
  });

  after(() => rmSync(directory, { recursive: true }));

  for (const [i, { title, output, comments }] of programs.entries()) {
    it(`${title} runs${output === undefined ? '' : ' and prints what it says'}`, async () => {
      const { stdout, stderr } = (await printed[i]) as Printed;
      expect(stderr).to.equal('');
      if (output !== undefined && !matches(stdout, output)) expect(stdout).to.equal(output);
      let from = 0;
      const lines = stdout.split('\n');
      for (const comment of comments) {
        const at = lines.findIndex((line, n) => n >= from && matches(line, comment));
        expect(at, `${JSON.stringify(comment)} in ${JSON.stringify(stdout)}`).to.be.at.least(0);
        from = at + 1;
      }
    });
  }

  it('are what strict TypeScript accepts', () => {
    const compilerOptions = {
      ...{ module: 'nodenext', target: 'es2022', lib: ['es2024', 'esnext.disposable'], types: ['node'] },
      ...{
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        skipLibCheck: true,
        allowImportingTsExtensions: true,
      },
      typeRoots: [join(root, 'node_modules/@types')],
      paths: { cslice: [join(root, 'lib/index.ts')], 'cslice/metrics': [join(root, 'lib/metrics.ts')] },
    };
    const config = join(directory, 'tsconfig.json');
    writeFileSync(config, JSON.stringify({ compilerOptions, include: ['*/program.mts'] }));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    try {
      execFileSync(process.execPath, [compiler, '-p', config], { encoding: 'utf8' });
    } catch (error) {
      const named = (error as { stdout: string }).stdout.replaceAll(/\S*?(\d+)\/program\.mts/g, (path, n: string) => {
        return `${programs[Number(n)]?.title ?? path}:`;
      });
      expect.fail(named);
    }
  });
});

describe('README.md', () => {
  it('says what its server prints: koffi alone sends bytes of other clients, and cslice does not', async function () {
    this.timeout(60_000);
    const args = ['--import=tsx', join(root, 'examples/node-io/server.ts')];
    const { stdout } = await run(process.execPath, args, { cwd: root });
    const [koffi, cslice] = stdout.split('\n');
    expect(koffi).to.match(/^koffi: \d+ right, [1-9]\d* with bytes of other clients, \d+ short$/);
    expect(cslice).to.equal('cslice: 12 right, 0 with bytes of other clients, 0 short');
    expect(readFileSync(join(root, 'README.md'), 'utf8')).to.include(cslice);
  });
});

describe('the documents', () => {
  const kinds = /^(prelude|file: \S+|part of: \S+|run by: \S+|not run: .+)$/;

  /** Without the marks and the indentation, since a document shows a part of a program flush left. */
  const linesOf = (text: string): string[] =>
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');

  function problemOf({ language, marker, code }: Block): string | undefined {
    if (marker === undefined) return language === 'ts' ? undefined : 'is no program, and has no comment that says why';
    if (!kinds.test(marker)) return `has an unknown comment: ${marker}`;
    const [, key, path = ''] = /^(part of|run by): (\S+)$/.exec(marker) ?? [];
    if (key === undefined) return undefined;
    if (!existsSync(join(root, path))) return `names ${path}, which does not exist`;
    const lines = linesOf(readFileSync(join(root, path), 'utf8'));
    const missing = key === 'part of' ? linesOf(code).find((line) => !lines.includes(line)) : undefined;
    return missing === undefined ? undefined : `has a line that ${path} lacks: ${missing}`;
  }

  it('say of every block of code how it is run', () => {
    const problems = documents.flatMap(blocksOf).flatMap((block) => {
      const problem = problemOf(block);
      return problem === undefined ? [] : [`${block.document}, line ${block.line}: ${problem}`];
    });
    expect(problems).to.deep.equal([]);
  });

  /** The headings of a document as GitHub links to them, and explicit anchors. */
  function anchorsOf(document: string): Set<string> {
    const text = readFileSync(join(root, document), 'utf8').replaceAll(/^```.*?^```$/gms, '');
    const slug = (heading: string): string =>
      heading
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\- _]/gu, '')
        .replaceAll(' ', '-');
    const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => slug(heading.trim()));
    const ids = [...text.matchAll(/<a id="([^"]+)"/g)].map(([, id = '']) => id);
    return new Set([...headings, ...ids]);
  }

  interface Link {
    readonly from: string;
    readonly path: string;
    readonly anchor: string;
  }

  const links = documents.flatMap((from): Link[] => {
    const text = readFileSync(join(root, from), 'utf8').replaceAll(/^```.*?^```$/gms, '');
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g), ...text.matchAll(/(?:src|href|srcset)="([^"]+)"/g)];
    return targets
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .map((target) => {
        const [path = '', anchor = ''] = target.split('#');
        return { from, path: path === '' ? from : normalize(join(dirname(from), path)), anchor };
      });
  });

  it('name every error and every warning in troubleshooting.md', () => {
    const text = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8');
    const sources = ['lib/errors.ts', 'lib/core/destructor.ts', 'lib/core/reference.ts'];
    const codes = sources.flatMap((file) => readFileSync(join(root, file), 'utf8').match(/'(ERR_)?CSLICE_[A-Z_]+'/g));
    expect(codes).to.have.length.above(10);
    expect(codes.filter((code) => !text.includes(`\`${code?.slice(1, -1)}\``))).to.deep.equal([]);
  });

  it('have links and pictures that lead somewhere', () => {
    const broken = links.filter(({ path, anchor }) => {
      if (!existsSync(join(root, path))) return true;
      return anchor !== '' && path.endsWith('.md') && !anchorsOf(path).has(anchor);
    });
    expect(broken.map(({ from, path, anchor }) => `${from}: ${path}#${anchor}`)).to.deep.equal([]);
  });

  it('lead to what is packed, where they are packed themselves', function () {
    this.timeout(30_000);
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
    const [{ files }] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }));
    const inside = new Set<string>(files.map(({ path }: { path: string }) => path));
    const isInside = (path: string): boolean =>
      inside.has(path) || [...inside].some((file) => file.startsWith(`${path.replace(/\/$/, '')}/`));
    expect(packed.filter((document) => !inside.has(document))).to.deep.equal([]);
    const outside = links.filter(({ from, path }) => packed.includes(from) && !isInside(path));
    expect(outside.map(({ from, path }) => `${from}: ${path}`)).to.deep.equal([]);
  });
});
