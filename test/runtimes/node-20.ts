import type { Known } from '../helpers/runner.ts';

/** What Node 20 cannot do. Its tests skip themselves. */
export const known: readonly Known[] = [
  { title: /createZstdCompress/, why: 'it has no Zstandard in node:zlib' },
  { title: /^Pool .* not lent again when its view was moved away/, why: 'it has no ArrayBuffer.prototype.transfer' },
  { title: /^slice\.resize never frees bytes under an ArrayBuffer/, why: 'it has no ArrayBuffer.prototype.transfer' },
];
