import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { quietLoader } from '../helpers/run.ts';

const root = join(import.meta.dirname, '../..');
const documents = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith('.md'),
);

interface Snippet {
  readonly code: string;
  /** What it prints, where a block of text follows it. */
  readonly output: string | undefined;
}

function snippetsOf(document: string): Snippet[] {
  const text = readFileSync(join(root, document), 'utf8');
  return [...text.matchAll(/```ts\n(.*?)```(?:\n+```text\n(.*?)```)?/gs)].map(([, code = '', output]) => ({
    code,
    output,
  }));
}

describe('the documents', () => {
  for (const document of documents) {
    for (const [i, { code, output }] of snippetsOf(document).entries()) {
      it(`${document}: snippet ${i + 1} runs${output === undefined ? '' : ' and prints what it says'}`, () => {
        const directory = mkdtempSync(join(root, 'build', 'snippet-')); // inside the package, which it imports by name
        try {
          const file = join(directory, 'snippet.mts');
          writeFileSync(file, code);
          const args = ['--expose-gc', '--conditions=@cslice/source', '--import=tsx', file];
          const env = { ...process.env, ...quietLoader };
          const printed = execFileSync(process.execPath, args, { encoding: 'utf8', cwd: root, env });
          if (output !== undefined) expect(printed).to.equal(output);
        } finally {
          rmSync(directory, { recursive: true });
        }
      });
    }
  }
});
