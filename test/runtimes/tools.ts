import { spawnSync } from 'node:child_process';
import { browserPath } from '../helpers/browser.ts';
import type { Known } from '../helpers/runner.ts';

export const hasGo: boolean = spawnSync('go', ['version']).status === 0;

function known(title: RegExp, tool: string): Known {
  return { never: true, title, why: `${tool} is not installed here` };
}

/** Tests that need a program which is not installed here. */
export const withoutTools: readonly Known[] = [
  ...(hasGo ? [] : [known(/^heapProfile opens in Go$/, 'Go')]),
  ...(browserPath !== undefined
    ? []
    : [
        known(/^cslice watch the page draws its charts in a real browser/, 'Chromium'),
        known(/^speedscope, /, 'Chromium'),
      ]),
];
