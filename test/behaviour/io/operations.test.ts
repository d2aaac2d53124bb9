/** A part of the matrix of programs/io/matrix.ts; `npm run prove io` runs all of it. */
import { expect } from 'chai';
import { type Laboratory, laboratory, runAll, show, thisNode } from '../../helpers/io/runner.ts';
import type { Group } from '../../programs/io/consumers.ts';
import { type CellName, cells } from '../../programs/io/matrix.ts';

/** Of every consumer what is most likely to fail, and of every source and event some. */
function chosen({ consumer, source, event, size }: CellName, index: number): boolean {
  if (event === 'thread ended')
    return size === 65_536 && source === 'slice.toBuffer()' && /, end|^[^,]*$/.test(consumer);
  if (source === 'slice.toBuffer()' && event === 'released at once') return size === 65_536;
  return index % 151 === 0 && size <= 1 << 20;
}

const titles: Readonly<Record<Group, string>> = {
  fs: 'files',
  net: 'sockets',
  http: 'HTTP/1.1',
  http2: 'HTTP/2',
  zlib: 'compression',
  crypto: 'cryptography',
  web: 'streams in JavaScript',
  fetch: 'fetch and what belongs to it',
  threads: 'threads and processes',
};

/** What no run may show. What was only late, as on a busy machine, is tried once more, alone. */
const ofMemory = /foreign|freed|other bytes|lives after|SIG(SEGV|ABRT|BUS|ILL|TRAP)/;

describe('memory that is given back while Node works on it', function () {
  this.timeout(120_000);
  let lab: Laboratory;
  let all: CellName[];

  before(async function () {
    if (process.platform !== 'linux') this.skip(); // freed memory is watched there alone
    lab = await laboratory();
    all = (await cells()).filter(chosen);
  });

  after(() => lab?.close());

  for (const [group, title] of Object.entries(titles)) {
    it(`is neither read nor written by ${title}, and a Buffer of its own delivers every byte`, async () => {
      const part = all.filter((cell) => cell.group === group);
      const first = (await runAll(part, { runtime: thisNode, freed: ['poison', 'unmap'], jobs: 2 }, lab)).failures;
      const failures = first.filter(({ faults }) => faults.some((fault) => ofMemory.test(fault)));
      for (const cell of first) {
        if (failures.includes(cell)) continue;
        failures.push(...(await runAll([cell], { runtime: thisNode, freed: [cell.freed], jobs: 1 }, lab)).failures);
      }
      expect(failures.map(show), failures.map(show).join('\n')).to.deep.equal([]);
    });
  }
});
