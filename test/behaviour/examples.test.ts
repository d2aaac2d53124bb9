import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { quietLoader } from '../helpers/run.ts';

const root = join(import.meta.dirname, '../..');

/** Runs an example to its end, which must be a good one. Returns what it printed. */
function example(program: string, ...args: string[]): string {
  const command = ['--import=tsx', '--expose-gc', join(root, 'examples', program), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...quietLoader },
  });
  expect([status, stderr]).to.deep.equal([0, '']);
  return stdout;
}

const progress = `JavaScript makes a block and keeps it
   25 %  2 of 8 segments, 53 primes so far
   50 %  4 of 8 segments, 95 primes so far
   75 %  6 of 8 segments, 132 primes so far
  100 %  8 of 8 segments, 168 primes so far
  C found 168 primes below 1000, and so does JavaScript in the same bytes
  live blocks 0, ended by JavaScript 1, ended by C 0
C makes a block, and JavaScript drops it half way
   25 %  2 of 8 segments, 53 primes so far
   50 %  4 of 8 segments, 95 primes so far
  released: the view has length 0, and C goes on with its own reference
  live blocks 1, ended by JavaScript 1, ended by C 0
  C found 168 primes below 1000
  live blocks 0, ended by JavaScript 1, ended by C 1
nothing is left
`;

describe('the examples', function () {
  this.timeout(60_000);

  before(() => {
    // They import the package by its name, and the workers of one have no TypeScript loader.
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { cwd: root });
  });

  for (const options of [[], ['--pkg-config']]) {
    it(`progress: C fills blocks that JavaScript watches, keeps and drops ${options.join(' ')}`, () => {
      expect(example('progress.ts', '--numbers', '1000', ...options)).to.equal(progress);
    });
  }

  it('worker-pool: three workers find what one finds, in one block', () => {
    const printed = example('worker-pool.ts', '--mebibytes', '1', '--workers', '3');
    const lines = printed.replaceAll(/[\d.]+ s$/gm, 'TIME').split('\n');
    expect(lines).to.deep.equal([
      'one block of 131072 doubles, 1048576 bytes',
      'workers: 3, sum: 261748224, every number is right; TIME',
      'workers: 1, sum: 261748224, every number is right; TIME',
      'the sums agree; 1 block, 1048576 bytes at the peak: nothing was copied',
      'nothing is left',
      '',
    ]);
  });

  describe('the programs of the article', () => {
    const expected = {
      random: /^random: \d+ \d+ \d+\n$/,
      print: /^print: Hello from C\n$/,
      copy: /^copy: hello world!\n$/,
      'get-data-copied': /^copied: 9 bytes: data of C\ncopied: after free\(\): data of C\n$/,
      'get-data-borrowed': /^borrowed: Data of C\n$/,
      collected: /^collected: the C memory was freed\n$/,
      whole: /^malloc: (0x[0-9a-f]+)\nhello world!\nprint: hello world!\ngc: \1\n$/,
    };

    for (const [program, printed] of Object.entries(expected)) {
      it(`${program}.ts prints what the article's program prints`, () => {
        expect(example(`article/${program}.ts`)).to.match(printed);
      });
    }

    it('random.ts draws the same numbers from the same seed', () => {
      expect(example('article/random.ts')).to.equal(example('article/random.ts'));
    });
  });
});
