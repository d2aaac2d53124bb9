import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { expect } from 'chai';
import { configure, heapProfile, Slice } from '../../../lib/index.ts';

/** What is used of puppeteer-core, whose own types need those of a browser. */
interface Puppeteer {
  launch(options: { executablePath: string; args: string[] }): Promise<{
    newPage(): Promise<{
      goto(url: string): Promise<unknown>;
      waitForFunction(script: string, options: { timeout: number }): Promise<unknown>;
      screenshot(): Promise<Uint8Array>;
    }>;
    close(): Promise<void>;
  }>;
}

async function loadPuppeteer(): Promise<Puppeteer> {
  const name: string = 'puppeteer-core';
  return ((await import(name)) as { default: Puppeteer }).default;
}

const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

function keepForSpeedscope(): Slice[] {
  return Array.from({ length: 10 }, () => Slice.alloc(1 << 20));
}

/** Serves speedscope as npm has it, with a profile beside it. */
async function serve(profile: Buffer) {
  const root = join(dirname(createRequire(import.meta.url).resolve('speedscope/package.json')), 'dist/release');
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (path === '/native.pb.gz') return void response.end(profile);
    const file = join(root, path === '/' ? 'index.html' : path);
    if (!existsSync(file)) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' });
    response.end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

describe('speedscope, in a browser', function () {
  this.timeout(120_000);
  after(() => configure({ track: false }));

  it('shows a profile, with its functions', async function () {
    if (browserPath === undefined) this.skip();
    configure({ track: true });
    const kept = keepForSpeedscope();
    const { url, close } = await serve(heapProfile());
    const directory = mkdtempSync(join(tmpdir(), 'cslice-'));
    const browser = await (await loadPuppeteer()).launch({ executablePath: browserPath, args: ['--no-sandbox'] });
    try {
      const page = await browser.newPage();
      await page.goto(`${url}/#profileURL=${encodeURIComponent(`${url}/native.pb.gz`)}&title=cslice&view=sandwich`);
      await page.waitForFunction(`document.body.innerText.includes('keepForSpeedscope')`, { timeout: 60_000 });
      const picture = join(directory, 'speedscope.png');
      writeFileSync(picture, await page.screenshot());
      expect(statSync(picture).size).to.be.above(10_000);
      if (process.env.CSLICE_PICTURE !== undefined) writeFileSync(process.env.CSLICE_PICTURE, readFileSync(picture));
    } finally {
      await browser.close();
      close();
      rmSync(directory, { recursive: true });
      for (const slice of kept) slice.release();
    }
  });
});
