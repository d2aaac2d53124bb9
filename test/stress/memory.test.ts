import { expect } from 'chai';
import {
  type Figure,
  floods,
  measureFlood,
  measureLimit,
  measureRecycled,
  measureService,
} from '../helpers/memory/figures.ts';

function check({ peak, bar, wrong }: Figure): void {
  expect(peak, 'peak in MiB').to.be.at.most(bar);
  expect(wrong).to.equal(undefined);
}

describe('memory stays bounded', function () {
  this.timeout(300_000);

  for (const flood of floods) {
    it(`within ${flood.bar} MiB where ${flood.title}`, () => check(measureFlood(flood)));
  }

  it("within 1.5 times of what Node's own buffers need where a service yields", () => check(measureService()));

  it('under a limit: a job goes on by collecting what it dropped, and throws where it holds too much', () => {
    const { peakMebibytesLive, ...limited } = measureLimit(64, 10_000);
    expect(peakMebibytesLive).to.be.at.most(64);
    expect(limited).to.deep.include({ code: 'ERR_CSLICE_LIMIT', mostHeld: 64, again: false, fraction: false });
  });

  it('one address, adopted again and again before its former slices are collected, ends each of them once', () => {
    const count = 100_000; // `npm run prove js memory` has a million
    const { disowned, disownedBlocks, recycled, ...result } = measureRecycled(count);
    expect(result).to.deep.equal({ count, early: 0, wrong: 0, broken: 0, liveBlocks: 1 });
    expect(disownedBlocks).to.equal(disowned);
    expect(recycled).to.be.above(count / 10);
  });
});
