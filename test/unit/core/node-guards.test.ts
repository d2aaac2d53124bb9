import { once } from 'node:events';
import v8 from 'node:v8';
import zlib from 'node:zlib';
import { expect } from 'chai';
import { Slice } from '../../../lib/index.ts';

/** A compressor by the name of its maker, with an input that takes several chunks of output. */
const makers = ['createGzip', 'createDeflateRaw', 'createBrotliCompress', 'createZstdCompress'] as const;

describe('a compressor of Node', () => {
  for (const maker of makers) {
    const create = (zlib as unknown as Record<string, ((options?: object) => zlib.Gzip) | undefined>)[maker];
    for (const when of ['at once', 'between two chunks']) {
      it(`fails as for any bad input when its input is released ${when} (${maker})`, async function () {
        if (create === undefined) return this.skip(); // Node 20 has no zstd
        const slice = Slice.alloc(4 << 20);
        crypto.getRandomValues(slice.bytes.subarray(0, 65536));
        for (let at = 65536; at < slice.byteLength; at *= 2) slice.bytes.copyWithin(at, 0, at);
        const compressor = create({ chunkSize: 1024 });
        let bytes = 0;
        compressor.on('data', (chunk) => {
          bytes += chunk.length;
          slice.release();
        });
        const ended = Promise.race([once(compressor, 'error'), once(compressor, 'end')]);
        compressor.end(slice.bytes);
        if (when === 'at once') slice.release();
        const [error] = await ended;
        if (error !== undefined) expect(error.message).to.match(/released/);
        else expect(bytes).to.be.above(0); // it had read all of it
      });
    }
  }

  it('works as before otherwise', () => {
    const text = 'text '.repeat(10_000);
    expect(zlib.gunzipSync(zlib.gzipSync(text)).toString()).to.equal(text);
    expect(zlib.brotliDecompressSync(zlib.brotliCompressSync(text)).toString()).to.equal(text);
  });
});

describe('v8.Deserializer', () => {
  it('throws when its input has been released', () => {
    const slice = Slice.fromBytes(v8.serialize({ text: 'x'.repeat(1000) }));
    const deserializer = new v8.Deserializer(slice.bytes);
    deserializer.readHeader();
    slice.release();
    expect(() => deserializer.readValue()).to.throw(TypeError, /released/);
  });

  it('works as before otherwise', () => {
    expect(v8.deserialize(v8.serialize([1, 'two', { three: 3n }]))).to.deep.equal([1, 'two', { three: 3n }]);
  });
});
