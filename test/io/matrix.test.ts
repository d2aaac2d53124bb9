/** A part of the matrix that fits into a run of the tests; scripts/prove-io.ts runs the whole. */
import { expect } from 'chai';
import { groups } from './consumers.ts';
import { type CellName, cells } from './matrix.ts';
import { type Laboratory, laboratory, runAll, show, thisNode } from './runner.ts';

/** Of every consumer what is most likely to fail, and of every source and event some. */
function chosen({ consumer, source, event, size }: CellName, index: number): boolean {
  if (event === 'thread ended')
    return size === 65_536 && source === 'slice.toBuffer()' && /, end|^[^,]*$/.test(consumer);
  if (source === 'slice.toBuffer()' && event === 'released at once') return size === 65_536;
  return index % 61 === 0 && size <= 1 << 20;
}

const titles: Readonly<Record<string, string>> = {
  fs: 'files',
  net: 'sockets',
  http: 'HTTP',
  zlib: 'compression',
  crypto: 'cryptography',
  web: 'web interfaces and streams',
  threads: 'threads and processes',
};

describe('memory that is given back while Node works on it', function () {
  this.timeout(120_000);
  let lab: Laboratory;
  const all = process.platform === 'linux' ? cells().filter(chosen) : []; // freed memory is watched on Linux alone

  before(async () => {
    lab = await laboratory();
  });

  after(() => lab.close());

  for (const [group, consumers] of Object.entries(groups)) {
    const names = new Set(consumers.map(({ name }) => name));

    it(`is neither read nor written by ${titles[group]}, and a Buffer of its own delivers every byte`, async () => {
      const part = all.filter(({ consumer }) => names.has(consumer));
      const settings = { runtime: thisNode, freed: ['poison', 'unmap'] as const, jobs: 2 };
      const { failures } = await runAll(part, settings, lab);
      expect(failures.map(show)).to.deep.equal([]);
    });
  }
});
