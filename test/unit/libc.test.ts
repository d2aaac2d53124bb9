import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { libc, stats } from '../../lib/index.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { temporary } from '../helpers/fixture.ts';
import { command, run } from '../helpers/run.ts';

const printed = ['console 1', 'C 1', 'C 2', 'console 2', 'grüße, 世界', 'C 3', 'console 3', 'console 4', ''].join('\n');

describe('libc', () => {
  describe('random and srandom', () => {
    it('give the same numbers for the same seed, and others for another', () => {
      const ten = (seed: number) => {
        libc.srandom(seed);
        return Array.from({ length: 10 }, () => libc.random());
      };
      const numbers = ten(42);
      expect(ten(42)).to.deep.equal(numbers);
      expect(ten(43)).not.to.deep.equal(numbers);
      expect(new Set(numbers).size).to.equal(10);
    });

    it('give integers from 0 to 2^31 - 1', () => {
      libc.srandom(1);
      for (let i = 0; i < 1000; i++)
        expect(libc.random())
          .to.satisfy(Number.isInteger)
          .and.be.within(0, 2 ** 31 - 1);
    });

    it('take every unsigned int as a seed, and nothing else', () => {
      for (const seed of [0, 1, 2 ** 31, 2 ** 32 - 1]) libc.srandom(seed);
      for (const seed of [-1, 2 ** 32, 0.5, Number.NaN, Infinity]) {
        expectError(() => libc.srandom(seed), 'ERR_CSLICE_RANGE', /seed/);
      }
      for (const seed of [null, '1', 1n, {}]) expectError(() => libc.srandom(wrong(seed)), 'ERR_CSLICE_TYPE', /seed/);
    });

    it('do not take a missing seed for 0', () => {
      expectError(() => libc.srandom(wrong(undefined)), 'ERR_CSLICE_TYPE', /seed/);
    });
  });

  describe('print', () => {
    it('stands in order with console.log in a pipe', () => {
      const [file, ...args] = command('print.ts') as [string, ...string[]];
      const output = execFileSync('sh', ['-c', '"$@" | cat', 'sh', file, ...args], { encoding: 'utf8' });
      expect(output).to.equal(printed);
    });

    it('stands in order with console.log where a parent process reads it', () => {
      const { status, stdout, stderr } = run('print.ts');
      expect(stderr).to.equal('');
      expect(status).to.equal(0);
      expect(stdout).to.equal(printed);
    });

    it('stands in order with console.log in a file', () => {
      const path = temporary('printed.txt');
      const file = openSync(path, 'w');
      const { status } = run('print.ts', { stdout: file });
      closeSync(file);
      expect(status).to.equal(0);
      expect(readFileSync(path, 'utf8')).to.equal(printed);
    });

    it('throws when C cannot write', function () {
      if (process.platform !== 'linux') return this.skip();
      const full = openSync('/dev/full', 'w');
      const { status, stderr } = run('print.ts', { args: ['full'], stdout: full });
      closeSync(full);
      expect(stderr).to.match(/CSliceError: fputs .*errno 28/);
      expect(status).to.equal(0);
    });

    it('refuses a text with a NUL and what is no string, and frees what it copied', () => {
      const before = stats();
      expectError(() => libc.print('a\0b'), 'ERR_CSLICE_RANGE', /NUL/);
      for (const text of [undefined, null, 5, {}])
        expectError(() => libc.print(wrong(text)), 'ERR_CSLICE_TYPE', /text/);
      libc.print('');
      expect(stats().liveBlocks).to.equal(before.liveBlocks);
    });
  });
});
