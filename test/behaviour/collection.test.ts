import { expect } from 'chai';
import { compile } from '../helpers/fixture.ts';
import { runForJson } from '../helpers/run.ts';

interface Flood {
  peakMebibytes: number;
  peakMebibytesLive: number;
  releasedInJob: number;
  released: number;
}

describe('garbage collection', function () {
  this.timeout(60_000);

  it('ends every one of 20,000 dropped slices, and runs every destructor once', () => {
    const { count, ...counts } = runForJson<Record<string, number> & { count: number }>('collection/dropped.ts');
    expect(counts).to.deep.equal({
      liveBlocks: 0,
      liveBytes: 0,
      allocatedBlocks: count,
      releasedByCollection: count,
      destructors: count / 4,
    });
  });

  for (const kind of ['alloc', 'zero', 'adopt']) {
    it(`keeps a job that never yields within 350 MiB while it drops 4,000 blocks of 1 MiB (${kind})`, () => {
      const result = runForJson<Flood>('collection/never-yields.ts', { args: [kind, '4000', String(1 << 20)] });
      expect(result.peakMebibytes).to.be.at.most(350);
      expect(result.released).to.equal(4000);
    });
  }

  it('keeps a job that never yields bounded while it drops 300,000 small blocks', () => {
    const result = runForJson<Flood>('collection/never-yields.ts', { args: ['alloc', '300000', '64'] });
    expect(result.peakMebibytes).to.be.at.most(350);
    expect(result.releasedInJob).to.be.above(100_000);
    expect(result.released).to.equal(300_000);
  });

  it('happens by itself in a program that yields, of slices whose bytes nobody has asked for', () => {
    const result = runForJson<Flood>('collection/yields.ts', { args: ['3000', String(1 << 20)] });
    expect(result.peakMebibytesLive).to.be.at.most(500);
    expect(result.released).to.equal(3000);
  });

  it('is not needed for what a thread holds: its end gives that back, native destructors included', () => {
    const library = compile('fixture.c', 'thread.so');
    const result = runForJson<Record<string, number>>('collection/thread.ts', { args: [library] });
    expect(result).to.deep.equal({
      liveBlocks: 1,
      releasedByThreadEnd: 8,
      releasedByScope: 3,
      lostDestructors: 2,
      destructors: 2,
      text: 'kept by the main thread',
    });
  });
});
