/**
 * The documents and the code in them. A block of TypeScript is a program: the tests run it, and a block of text right after
 * it is what it prints, where `…` stands for anything. An HTML comment before a block says what else it is:
 *
 *   <!-- prelude -->            stands before every program that follows in the document; they run in one process
 *   <!-- file: worker.js -->    is written beside the program that follows
 *   <!-- part of: PATH -->      stands line by line in that file, which the tests run
 *   <!-- run by: PATH -->       is run by that test or script
 *   <!-- not run: REASON -->    is not run
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root: string = join(import.meta.dirname, '../..');

/** Packed with the package, so that their links must lead to what is packed too. */
export const packed: readonly string[] = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export interface Block {
  readonly document: string;
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** The comment before it. */
  readonly marker: string | undefined;
  /** The text after it. */
  readonly output: string | undefined;
}

/** Every block of code in a document. A block of text without a program before it is a picture, or what C prints. */
export function blocksOf(document: string): Block[] {
  const text = readFileSync(join(root, document), 'utf8');
  const pattern = /(?:^<!-- ([^\n]*?) -->\n+)?^```(\w*)\n(.*?)^```$/gms;
  const found = [...text.matchAll(pattern)];
  return found.flatMap((match, i) => {
    const [whole, marker, language = '', code = ''] = match;
    if (language === 'text') return [];
    const next = found[i + 1];
    const between = next === undefined ? ' ' : text.slice(match.index + whole.length, next.index);
    const output = next?.[2] === 'text' && between.trim() === '' ? next[3] : undefined;
    const line = text.slice(0, match.index).split('\n').length;
    return [{ document, line, language, code, marker, output }];
  });
}

export interface Program {
  readonly document: string;
  readonly title: string;
  /** Whether it runs in one process with the others of its document. */
  readonly isSmall: boolean;
  readonly code: string;
  readonly output: string | undefined;
  /** Lines that must be among the output, in order: what the comments behind `console.log(…)` say. */
  readonly comments: readonly string[];
  readonly files: ReadonlyMap<string, string>;
}

/** The programs of a document, in order. */
export function programsOf(document: string): Program[] {
  const programs: Program[] = [];
  let prelude = '';
  let files = new Map<string, string>();
  for (const { line, language, code, marker, output } of blocksOf(document)) {
    const [, key, value = ''] = /^([a-z ]+)(?:: (.*))?$/.exec(marker ?? '') ?? [];
    if (key === 'prelude') prelude += code;
    else if (key === 'file') files.set(value, code);
    else if (key === undefined && language === 'ts') {
      const comments =
        output !== undefined
          ? []
          : [...code.matchAll(/^ *(?:.*\s)?console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text = '']) => text);
      const title = `${document}, line ${line}`;
      programs.push({ document, title, isSmall: prelude !== '', code: prelude + code, output, comments, files });
      files = new Map();
    }
  }
  return programs;
}
