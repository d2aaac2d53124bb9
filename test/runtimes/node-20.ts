import type { Known } from '../helpers/runner.ts';

/** What Node 20 cannot do. */
export const known: readonly Known[] = [
  { title: /move|by force/, why: 'it has no ArrayBuffer.prototype.transfer' },
  { title: /Zstd/, why: 'it has no Zstandard in node:zlib' },
];
