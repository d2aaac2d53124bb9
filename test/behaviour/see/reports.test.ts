import { expect } from 'chai';
import { run, runForJson } from '../../helpers/run.ts';

const program = 'see/leak.ts';
const leaks = { CSLICE_LEAKS: '1' };

describe('CSLICE_LEAKS=1', () => {
  it('prints what is live at exit, with where it was made, and sets the exit code', () => {
    const { status, stderr } = run(program, { args: ['block'], env: leaks });
    expect(stderr).to.match(/4,321 bytes in 1 block \(alloc\); held by slice; .*\n {4}at leak \(.*leak\.ts:8:/);
    expect(status).to.equal(1);
  });

  it('does the same for a handle', () => {
    const { status, stderr } = run(program, { args: ['handle'], env: leaks });
    expect(stderr).to.match(/1 handle database; held by handle; .*\n {4}at leak \(.*leak\.ts:9:/);
    expect(status).to.equal(1);
  });

  it('takes what was dropped for no leak', () => {
    const { status, stderr } = run(program, { args: ['dropped'], env: leaks });
    expect(stderr).to.match(/nothing is live/);
    expect(status).to.equal(0);
  });

  it("leaves a program's own exit code", () => {
    expect(run(program, { args: ['block', '3'], env: leaks }).status).to.equal(3);
  });

  it('prints the report at a signal, which may come during an allocation', () => {
    const { status, stdout, stderr } = run('see/signal.ts', { env: leaks });
    expect(JSON.parse(stdout)).to.deep.equal({ made: 4000, kept: 4321 });
    expect(stderr.match(/4,321 bytes in 1 block/g)?.length).to.be.at.least(2);
    expect(status).to.equal(0);
  });

  it('takes another signal', () => {
    const env = { ...leaks, CSLICE_LEAKS_SIGNAL: 'SIGHUP' };
    expect(run('see/signal.ts', { args: ['SIGHUP'], env }).stderr).to.match(/4,321 bytes/);
  });

  it('tells of a signal that there is not, or that cannot be caught', () => {
    for (const signal of ['SIGFOO', 'USR2', 'SIGKILL']) {
      const { status, stderr } = run(program, { env: { CSLICE_TRACK: '1', CSLICE_LEAKS_SIGNAL: signal } });
      expect(status).to.equal(0);
      expect(stderr).to.include(`CSLICE_LEAKS_SIGNAL must be the name of a signal that can be caught, got "${signal}"`);
    }
  });

  it('is off for 0 and for nothing, and tells of a wrong value', () => {
    expect(run(program, { args: ['block'], env: { CSLICE_LEAKS: '0' } })).to.include({ status: 0, stderr: '' });
    expect(run(program, { args: ['block'] })).to.include({ status: 0, stderr: '' });
    const wrong = run(program, { args: ['block'], env: { CSLICE_LEAKS: 'yes', CSLICE_PROFILE: '-1' } });
    expect(wrong.status).to.equal(0);
    expect(wrong.stderr).to.match(/CSLICE_LEAKS must be 0 or 1, got "yes"/);
    expect(wrong.stderr).to.match(/CSLICE_PROFILE must be a number of bytes/);
  });
});

describe("configure({ warn: 'collected' })", () => {
  it('warns once for each place whose blocks were collected, and not of what was released', () => {
    const warnings = runForJson<{ code: string; message: string }[]>('see/collected.ts');
    expect(warnings.map(({ code }) => code)).to.deep.equal(Array(3).fill('CSLICE_COLLECTED'));
    const all = warnings.map(({ message }) => message).join('\n');
    expect(all).to.match(/block of 100 bytes[\s\S]*at first \(/);
    expect(all).to.match(/block of 200 bytes[\s\S]*at second \(/);
    expect(all).to.match(/handle database[\s\S]*at object \(/);
  });
});

describe('tracking', () => {
  it('runs nothing of a prepareStackTrace that cannot be replaced', () => {
    expect(runForJson('see/frozen.ts')).to.deep.equal({ ran: 0, frames: 0, byteLength: 8 });
  });

  it('is of one thread, and names the other one as a share', () => {
    expect(runForJson('see/worker.ts')).to.deep.equal({
      theirs: [222],
      ours: [111, ['SharedArrayBuffer']],
      length: 111,
    });
  });

  it('reports a million blocks within bounds', function () {
    this.timeout(180_000);
    interface Figures {
      blocks: number;
      report: { ms: number; length: number };
      live: { ms: number; length: number };
      profile: { ms: number; length: number };
      statsMicroseconds: number;
    }
    const figures = runForJson<Figures>('see/million.ts', { env: { CSLICE_TRACK: '1' } });
    expect(figures.blocks).to.equal(1_000_000);
    expect(figures.report.ms).to.be.below(20_000);
    expect(figures.report.length).to.be.below(20_000);
    expect(figures.live.length).to.equal(10_000);
    expect(figures.profile.length).to.be.below(20_000);
  });
});
