import { expect } from 'chai';
import { configure, Handle, leakReport, Slice, withLabel } from '../../../lib/index.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';

function first(byteLength: number): Slice {
  return Slice.alloc(byteLength);
}

function second(byteLength: number): Slice {
  return Slice.alloc(byteLength);
}

describe('leakReport', () => {
  before(() => configure({ track: true }));
  afterEach(() => configure({ track: true }));
  after(() => configure({ track: false }));

  it('groups what is live by where it was made, with the most bytes first', () => {
    const small = Array.from({ length: 3 }, () => first(1 << 20));
    const large = second(8 << 20);
    const { sites, blocks, bytes } = leakReport();
    expect(sites.slice(0, 2).map((site) => [site.blocks, site.bytes])).to.deep.equal([
      [1, 8 << 20],
      [3, 3 << 20],
    ]);
    expect(sites[0]?.stack[0]?.name).to.match(/second/);
    expect(sites[1]?.holders).to.deep.equal({ slice: 3 });
    expect(blocks).to.be.at.least(4);
    expect(bytes).to.be.at.least(11 << 20);
    for (const slice of [large, ...small]) slice.release();
  });

  it('is a text that reads well', () => {
    using slice = withLabel('tenant 7', () => first(123_456));
    using handle = Handle.adopt('sqlite3', 0x1000n, () => {});
    const text = String(leakReport());
    expect(text).to.match(/^cslice: [\d,]+ bytes in \d+ blocks? live in this thread, by where allocated:\n/);
    expect(text).to.match(
      /\n123,456 bytes in 1 block \(alloc\); label "tenant 7"; held by slice; \d+ ms old\n {4}at first \(.*report\.test\.ts:6:\d+\)\n/,
    );
    expect(text).to.match(/\n1 handle sqlite3; held by handle; \d+ ms old\n {4}at /);
    expect(leakReport().text).to.be.a('string');
    expect(slice.released || handle.released).to.equal(false);
  });

  it('is bounded', () => {
    const all = [first(1), second(1)];
    const report = leakReport({ limit: 1 });
    expect(report.sites).to.have.length(1);
    expect(report.sitesLeftOut).to.be.at.least(1);
    expect(report.text).to.match(/further place/);
    for (const slice of all) slice.release();
  });

  it('says so when tracking is off', () => {
    configure({ track: false });
    expect(leakReport().text).to.match(/Tracking is off: configure/);
  });

  it('refuses wrong options', () => {
    expectError(() => leakReport(wrong({ most: 1 })), 'ERR_CSLICE_TYPE', /limit/);
    expectError(() => leakReport({ limit: 0.5 }), 'ERR_CSLICE_RANGE', /limit/);
  });
});
