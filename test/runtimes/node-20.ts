import type { Known } from '../helpers/runner.ts';

/** What Node 20 cannot do. */
export const known: readonly Known[] = [
  { title: /createZstdCompress/, why: 'it has no Zstandard in node:zlib, so the tests skip themselves' },
];
