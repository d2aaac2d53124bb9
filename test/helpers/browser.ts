import { spawnSync } from 'node:child_process';

/** The path of a browser that is installed; undefined: there is none. */
export const browserPath: string | undefined = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim())
  .find((path) => path !== '');

/** What the tests use of puppeteer-core, whose own types need those of a browser. */
interface Tab {
  on(event: string, listener: (value: never) => void): void;
  goto(url: string): Promise<unknown>;
  setViewport(size: { width: number; height: number }): Promise<void>;
  /** The value of an expression. */
  evaluate(expression: string): Promise<unknown>;
}

interface Browser {
  newPage(): Promise<Tab>;
  close(): Promise<void>;
}

/** Opens a page in a real browser for `look`, which also gets what the page reported: errors, messages, requests. */
export async function inBrowser<T>(url: string, look: (tab: Tab, reported: string[]) => Promise<T>): Promise<T> {
  const name = 'puppeteer-core';
  const { launch } = (await import(name)) as { launch(options: object): Promise<Browser> };
  const browser = await launch({ executablePath: browserPath, args: ['--no-sandbox'] });
  try {
    const tab = await browser.newPage();
    const reported: string[] = [];
    tab.on('pageerror', (error: Error) => reported.push(String(error)));
    tab.on('console', (message: { text(): string }) => reported.push(message.text()));
    tab.on('request', (request: { url(): string }) => {
      if (request.url() !== url && !request.url().startsWith('data:')) reported.push(request.url());
    });
    await tab.setViewport({ width: 1200, height: 900 });
    await tab.goto(url);
    return await look(tab, reported);
  } finally {
    await browser.close();
  }
}
