import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { History } from '../../../lib/cli/history.ts';

describe('the history of watched processes', () => {
  let directory = '';
  const never = 2 ** 30; // no process has such an id

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'cslice-history-'));
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  function report(pid: number, sites: Readonly<Record<string, number>> | null): void {
    const native = sites && {
      liveBytes: 10,
      liveBlocks: 1,
      retainedBytes: 20,
      sites: Object.entries(sites).map(([place, bytes]) => ({ place, kind: 'slice', bytes })),
    };
    writeFileSync(join(directory, `${pid}.json`), JSON.stringify({ pid, time: 1, heapUsed: 30, rss: 40, native }));
  }

  it('adds up all processes at one moment, with or without cslice', () => {
    const history = new History(directory);
    report(process.pid, null);
    history.look();
    expect(history.usesCslice).to.equal(false);
    expect(history.samples[0]).to.include({ processes: 1, liveBytes: 0, liveBlocks: 0, retainedBytes: 0, rss: 40 });
    report(process.ppid, { 'a (x:1:1)': 6 });
    history.look();
    expect(history.usesCslice).to.equal(true);
    expect(history.samples[1]).to.include({ processes: 2, liveBytes: 10, retainedBytes: 20, heapUsed: 60, rss: 80 });
    expect(history.largest(5)).to.deep.equal([{ place: 'a (x:1:1)', bytes: [0, 6] }]);
  });

  it('passes over a report that is cut off, and other files', () => {
    const history = new History(directory);
    writeFileSync(join(directory, '1.json'), '{"pid": 1, "ti');
    writeFileSync(join(directory, 'other.txt'), 'text');
    history.look();
    expect(history.samples).to.deep.equal([]);
    expect(history.growing()).to.deep.equal([]);
  });

  it('counts a process that has ended once, with its last report', () => {
    const history = new History(directory);
    report(never, { 'a (x:1:1)': 6 });
    history.look();
    history.look();
    expect(history.samples.length).to.equal(1);
    report(process.pid, { 'b (x:2:1)': 1 });
    history.look();
    expect(history.samples[1]?.processes).to.equal(1);
    expect(history.growing()).to.deep.equal([
      { place: 'b (x:2:1)', bytes: 1, growth: 1 },
      { place: 'a (x:1:1)', bytes: 0, growth: -6 },
    ]);
    expect(history.growing(1).map(({ growth }) => growth)).to.deep.equal([0, 0]);
  });

  it('keeps at most 200 places', () => {
    const history = new History(directory);
    report(process.pid, Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f (x:${i}:1)`, i])));
    history.look();
    expect(history.growing().length).to.equal(200);
  });

  it('keeps every second of more than 4000 samples, the newest among them, and as many bytes of each place', () => {
    const history = new History(directory);
    for (let i = 0; i <= 4000; i++) {
      if (i === 4000) report(process.pid, { 'a (x:1:1)': 8 });
      else if (i === 0) report(process.pid, { 'a (x:1:1)': 2 });
      history.look();
    }
    expect(history.samples.length).to.equal(2000);
    history.look();
    const [site] = history.largest(1);
    expect(site?.bytes.length).to.equal(2001);
    expect(site?.bytes.at(-1)).to.equal(8);
  });
});
