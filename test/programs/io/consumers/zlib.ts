/** Compression: one call, and streams, in both directions. */

import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import { type Bytes, type Consumer, collect, optional, out, streamed, type Traits } from '../consumer.ts';

type OneShot = (
  bytes: Uint8Array,
  options: object,
  callback: (error: Error | null, result: Uint8Array) => void,
) => void;
type Sync = (bytes: Uint8Array, options?: object) => Bytes;
type Make = (options?: object) => Transform;

interface Format {
  readonly compress: string;
  readonly decompress: readonly string[];
  readonly options: object;
  /** To read a stream that ends early. */
  readonly lenient: object;
}

const { constants } = zlib;
const flush = { finishFlush: constants.Z_SYNC_FLUSH };
const level = { level: 1 };
const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

const formats: readonly Format[] = [
  { compress: 'gzip', decompress: ['gunzip', 'unzip'], options: level, lenient: flush },
  { compress: 'deflate', decompress: ['inflate'], options: level, lenient: flush },
  { compress: 'deflateRaw', decompress: ['inflateRaw'], options: level, lenient: flush },
  {
    compress: 'brotliCompress',
    decompress: ['brotliDecompress'],
    options: quality,
    lenient: { finishFlush: constants.BROTLI_OPERATION_FLUSH },
  },
  {
    compress: 'zstdCompress',
    decompress: ['zstdDecompress'],
    options: {},
    lenient: { finishFlush: optional<number>(constants, 'ZSTD_e_flush') },
  },
];

const named = <T>(name: string): T => optional<T>(zlib, name) as T;
const maker = (name: string): Make => named(`create${name[0]?.toUpperCase()}${name.slice(1)}`);
const largest = 1 << 20;

function pair(compress: string, decompress: string, options: object, lenient: object): Consumer[] {
  const packs = named<Sync>(`${compress}Sync`);
  const unpacks = named<Sync>(`${decompress}Sync`);
  const both: readonly [string, Traits, object][] = [
    [compress, { pool: true, largest, decode: (arrived) => unpacks(arrived, lenient) }, options],
    [decompress, { pool: true, largest, encode: (pattern) => packs(pattern, options) }, {}],
  ];
  return both.flatMap(([name, traits, settings]) => [
    out(`zlib.${name}`, traits, (io) => (bytes) => {
      named<OneShot>(name)(bytes, settings, (error, result) => {
        if (error === null) io.took(result);
        io.over(error);
      });
    }),
    ...streamed(`zlib stream ${name}`, traits, (io) => {
      const stream = maker(name)(settings);
      collect(io, stream);
      return stream;
    }),
  ]);
}

export const zlibConsumers: readonly Consumer[] = formats
  .filter(({ compress }) => compress in zlib)
  .flatMap(({ compress, decompress, options, lenient }) =>
    decompress.flatMap((name, i) => {
      const consumers = pair(compress, name, options, lenient);
      return i === 0 ? consumers : consumers.filter((consumer) => consumer.encode !== undefined);
    }),
  );
