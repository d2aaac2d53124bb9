import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { browserPath, inBrowser } from '../helpers/browser.ts';
import { command, type Outcome, quietLoader } from '../helpers/run.ts';

const cli = fileURLToPath(new URL('../../lib/cli.ts', import.meta.url));
const preset = ['--import', 'tsx'];

function commandLine(args: readonly string[]): string[] {
  return [...preset, cli, ...args];
}

function cslice(...args: string[]): Outcome {
  const env = { ...process.env, ...quietLoader };
  const result = spawnSync(process.execPath, commandLine(args), { encoding: 'utf8', env, timeout: 60_000 });
  return { status: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
}

function start(...args: string[]): ChildProcess {
  const env = { ...process.env, ...quietLoader };
  return spawn(process.execPath, commandLine(args), { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** `script` of util-linux runs a command on a terminal of its own. */
const hasTerminals = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

function onTerminal(args: readonly string[]): { sync(): Outcome; async(): ChildProcess } {
  const words = [process.execPath, ...commandLine(args)].map((word) => `'${word}'`).join(' ');
  const script = ['-qefc', words, '/dev/null'];
  const env = { ...process.env, ...quietLoader };
  return {
    sync() {
      const { status, signal, stdout, stderr } = spawnSync('script', script, {
        encoding: 'utf8',
        env,
        timeout: 60_000,
      });
      return { status, signal, stdout, stderr };
    },
    async: () => spawn('script', script, { env, stdio: 'pipe' }),
  };
}

/** A program of test/programs/command-line as the command. */
const program = (name: string, ...args: string[]) => command(`command-line/${name}.ts`, args);

describe('the command line', function () {
  this.timeout(60_000);

  it('says how it is used, and what there is in place of a wrong word', () => {
    const help = cslice('--help');
    expect(help.status).to.equal(0);
    expect(help.stdout)
      .to.match(/usage: cslice/)
      .and.include('leaks')
      .and.include('watch')
      .and.include('exit code');
    expect(cslice('watch', '--help').stdout).to.include('--interval MS').and.include('--output FILE');
    const wrong: [args: string[], message: string][] = [
      [[], 'a subcommand is missing: leaks, watch'],
      [['leak'], 'there is no subcommand "leak": they are leaks, watch'],
      [['leaks', '--sginal', 'SIGUSR1', '--', 'node'], 'cslice leaks has no option --sginal; it has --signal, --help'],
      [['leaks', '--signal', 'SIGWRONG', '--', 'node'], '--signal must be the name of a signal'],
      [['leaks'], 'the command is missing: cslice leaks'],
      [['watch', '--'], 'the command is missing: cslice watch'],
      [['watch', '--interval', '1', '--', 'node'], '--interval must be a whole number from 50 to'],
      [['watch', '--output'], '--output needs a value'],
      [['watch', '--interval=soon', '--', 'node'], 'got "soon"'],
      [['watch', '--output', '/nowhere/page.html', '--', 'node'], '--output /nowhere/page.html cannot be written'],
    ];
    for (const [args, message] of wrong) {
      const { status, stderr } = cslice(...args);
      expect(stderr, args.join(' ')).to.include(message);
      expect(status, args.join(' ')).to.equal(2);
    }
  });

  it('ends with 126 for a command that cannot be run, as a shell does', () => {
    expect(cslice('leaks', '--signal', 'SIGUSR1', '--', '/').status).to.equal(126);
  });

  it('leaks: prints what was not released, and its exit code is 1', () => {
    const { status, stderr } = cslice('leaks', '--', ...program('leak', '3'));
    expect(stderr)
      .to.include('3,000 bytes in 3 blocks')
      .and.match(/at .*leak\.ts:\d+:\d+/);
    expect(status).to.equal(1);
  });

  it('leaks: its exit code is that of a program without leaks, or of what ended it', () => {
    expect(cslice('leaks', ...program('leak', '0')).status).to.equal(0);
    expect(cslice('leaks', '--', ...program('leak', '0', '7')).status).to.equal(7);
    expect(cslice('leaks', '--', ...program('leak', '3', '7')).status).to.equal(7);
    if (process.platform !== 'win32')
      expect(cslice('leaks', '--', ...program('leak', '0', 'abort')).status).to.equal(128 + 9);
    const missing = cslice('leaks', '--', 'there-is-no-such-command');
    expect(missing.status).to.equal(127);
    expect(missing.stderr).to.include('there-is-no-such-command cannot be run');
  });

  it('passes signals on to the program', async function () {
    if (process.platform === 'win32') this.skip();
    for (const subcommand of ['leaks', 'watch']) {
      const directory = mkdtempSync(join(tmpdir(), 'cslice-test-'));
      const options = subcommand === 'watch' ? ['--output', join(directory, 'page.html')] : [];
      const running = start(subcommand, ...options, '--', ...program('leak', '0', 'wait'));
      let output = '';
      for await (const data of running.stdout ?? []) {
        output += data;
        if (output.includes('ready')) break;
      }
      running.kill('SIGTERM');
      const [code] = await once(running, 'exit');
      expect(code, subcommand).to.equal(42);
      rmSync(directory, { recursive: true });
    }
  });
});

describe('cslice watch', function () {
  this.timeout(120_000);

  let directory = '';
  let page = '';

  /** What the programs that are watched report goes there. */
  const reports = () => readdirSync(tmpdir()).filter((name) => name.startsWith('cslice-watch-'));
  let earlier: string[] = []; // of a run that was killed

  before(() => {
    earlier = reports();
    directory = mkdtempSync(join(tmpdir(), 'cslice-test-'));
    page = join(directory, 'page.html');
  });

  after(() => rmSync(directory, { recursive: true }));

  it('shows native bytes, JS heap and RSS, leaves the output alone, and passes the exit code on', () => {
    const { status, stdout, stderr } = cslice('watch', '-i', '100', '-o', page, '--', ...program('grow', '2000'));
    expect(stdout).to.match(/^\d+ slices\n$/);
    expect(stderr)
      .to.match(/native \d+\.\d MiB in \d+ blocks? .*JS heap \d+\.\d MiB, RSS \d+\.\d MiB/)
      .and.include(`the charts are in ${page}`);
    expect(status).to.equal(0);
  });

  it('keeps its lines below the output of the program on a terminal', function () {
    if (!hasTerminals) this.skip();
    const { status, stdout } = onTerminal(['watch', '-i', '100', '-o', page, '--', ...program('grow', '2000')]).sync();
    expect(stdout).to.match(/growth +live +allocated at\r\n +\+[\d.]+ \w+ +[\d.]+ \w+ +growingPlace \(/);
    expect(stdout).to.include('\x1b[3A\x1b[0J'); // its lines are taken away before they are written anew
    expect(stdout).to.match(/\n\d+ slices\r\n|0J\d+ slices\r\n/);
    expect(status).to.equal(0);
  });

  it('leaves Ctrl+C on a terminal to the program, and ends after it', async function () {
    if (!hasTerminals) this.skip();
    const running = onTerminal(['watch', '-i', '100', '-o', page, '--', ...program('grow', '60000')]).async();
    let output = '';
    let isInterrupted = false;
    for await (const data of running.stdout ?? []) {
      output += data;
      if (isInterrupted || !output.includes('growingPlace')) continue;
      isInterrupted = true;
      running.stdin?.write('\x03');
    }
    if (running.exitCode === null) await once(running, 'exit');
    expect(output).to.include('the charts are in');
    expect(running.exitCode).to.equal(128 + 2);
  });

  it('leaves no file but the page', () => {
    expect(readdirSync(directory)).to.deep.equal(['page.html']);
    expect(reports().filter((name) => !earlier.includes(name))).to.deep.equal([]);
  });

  it('writes one page that needs nothing else, and names the place that grows', () => {
    const text = readFileSync(page, 'utf8');
    expect(text).not.to.match(/<(script|link|img)[^>]+(src|href)=/);
    expect(text).to.match(/growingPlace \([^<]*grow\.ts:\d+:\d+\)/);
    expect(text.length).to.be.lessThan(200_000);
  });

  it('the page draws its charts in a real browser, without an error', async function () {
    if (browserPath === undefined) {
      console.log('      skipped: no chromium is installed');
      this.skip();
    }
    await inBrowser(pathToFileURL(page).href, async (tab, reported) => {
      expect(reported).to.deep.equal([]);
      // Of each canvas, how many colours it has: an empty one has a single one.
      const colours = await tab.evaluate(`[...document.querySelectorAll('canvas')].map((canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
      })`);
      expect(colours).to.have.lengthOf(2);
      for (const count of colours as number[]) expect(count).to.be.at.least(10);
      const text = await tab.evaluate('document.body.innerText');
      expect(text).to.include('native, live').and.include('JS heap').and.include('RSS').and.include('growingPlace');
    });
  });

  it('outlives a program that is killed: the page has what it said last', function () {
    if (process.platform === 'win32') this.skip();
    const { status, stderr } = cslice('watch', '-i', '100', '-o', page, '--', ...program('grow', '1500', 'kill'));
    expect(status).to.equal(128 + 9);
    expect(stderr).to.include('the charts are in');
    expect(readFileSync(page, 'utf8')).to.match(/growingPlace/);
  });

  it('outlives a command that does not start or is no Node program: the page says so', () => {
    expect(cslice('watch', '-o', page, '--', 'there-is-no-such-command').status).to.equal(127);
    expect(readFileSync(page, 'utf8')).to.include('No Node process has reported');
    const other = cslice('watch', '-o', page, '--', process.execPath, '-e', '1');
    expect(other.status).to.equal(0);
    expect(readFileSync(page, 'utf8')).to.include('No process has loaded cslice');
  });

  it('a program that is named like a part of a page stays text', () => {
    cslice('watch', '-o', page, '--', process.execPath, '-e', '"</script><b>"');
    expect(readFileSync(page, 'utf8')).not.to.include('</script><b>');
    expect(existsSync(page)).to.equal(true);
  });
});
