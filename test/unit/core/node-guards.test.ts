import { once } from 'node:events';
import { promisify } from 'node:util';
import v8 from 'node:v8';
import zlib from 'node:zlib';
import { expect } from 'chai';
import { guardDeserializer, guardZlib } from '../../../lib/core/node-guards.ts';
import { Slice } from '../../../lib/index.ts';
import { runtime } from '../../helpers/engine.ts';

const [gzip, gunzip] = [promisify(zlib.gzip), promisify(zlib.gunzip)];
const [brotliCompress, brotliDecompress] = [promisify(zlib.brotliCompress), promisify(zlib.brotliDecompress)];

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

  it('works as before otherwise', async () => {
    guardZlib();
    const text = 'text '.repeat(10_000);
    expect((await gunzip(await gzip(text))).toString()).to.equal(text);
    expect((await brotliDecompress(await brotliCompress(text))).toString()).to.equal(text);
    expect(zlib.gunzipSync(zlib.gzipSync(text)).toString()).to.equal(text);
    expect(zlib.brotliDecompressSync(zlib.brotliCompressSync(text)).toString()).to.equal(text);
  });
});

/** Node's native half of a compressor. */
interface Native {
  write(flush: number, input: Uint8Array | null, at: number, length: number, ...output: unknown[]): void;
  onerror(message: string, errno: number, code: string): void;
}

const kinds = ['Gzip', 'DeflateRaw', 'BrotliCompress', 'BrotliDecompress', 'ZstdCompress', 'ZstdDecompress'];

function nativeOf(kind: string): Native | undefined {
  const create = (zlib as unknown as Record<string, (() => { _handle: Native }) | undefined>)[`create${kind}`];
  return create?.()._handle;
}

const describeInNode = (title: string, suite: () => void): void => {
  if (runtime === 'node') describe(title, suite);
};

describeInNode('the native half of a compressor', () => {
  for (const kind of kinds.filter((name) => nativeOf(name) !== undefined)) {
    it(`reports an input that has become too short, and reads nothing (${kind})`, () => {
      guardZlib();
      const native = nativeOf(kind) as Native;
      const errors: unknown[][] = [];
      native.onerror = (...error) => void errors.push(error);
      for (const [at, length] of [
        [0, 11],
        [10, 1],
      ] as const) {
        native.write(0, new Uint8Array(10), at, length, new Uint8Array(64), 0, 64);
      }
      const error = ['The input was released while it was being read', -5, 'Z_BUF_ERROR'];
      expect(errors).to.deep.equal([error, error]);
    });
  }

  it('is guarded once', () => {
    guardZlib();
    const { write } = nativeOf('Gzip') as Native;
    guardZlib();
    expect(nativeOf('Gzip')?.write).to.equal(write);
  });
});

describeInNode('every method of v8.Deserializer', () => {
  it('is guarded once', () => {
    guardDeserializer();
    const { readUint32 } = v8.Deserializer.prototype;
    guardDeserializer();
    expect(v8.Deserializer.prototype.readUint32).to.equal(readUint32);
  });

  it('throws at every read of an input that has been released', () => {
    for (const read of ['readHeader', 'readValue', 'readUint32', 'readUint64', 'readDouble', 'readRawBytes'] as const) {
      const slice = Slice.alloc(16);
      const deserializer = new v8.Deserializer(slice.bytes);
      slice.release();
      expect(() => (deserializer[read] as (length: number) => unknown)(4), read).to.throw(TypeError, /released/);
    }
  });

  it('reads each kind of value as before, and the objects of its subclass', () => {
    class Writer extends v8.Serializer {
      declare _setTreatArrayBufferViewsAsHostObjects: (treat: boolean) => void; // is missing in Node's types
      _writeHostObject(): void {
        this.writeUint32(7);
      }
    }
    class Reader extends v8.Deserializer {
      _readHostObject(): unknown {
        return { host: this.readUint32() };
      }
    }
    const serializer = new Writer();
    serializer.writeHeader();
    serializer._setTreatArrayBufferViewsAsHostObjects(true);
    serializer.writeValue(new Uint8Array(2));
    serializer.writeUint32(5);
    serializer.writeUint64(1, 2);
    serializer.writeDouble(0.5);
    serializer.writeRawBytes(Buffer.from('raw'));
    const reader = new Reader(serializer.releaseBuffer());
    expect(reader.readHeader()).to.equal(true);
    expect(reader.readValue()).to.deep.equal({ host: 7 });
    expect([reader.readUint32(), reader.readUint64(), reader.readDouble()]).to.deep.equal([5, [1, 2], 0.5]);
    expect(reader.readRawBytes(3).toString()).to.equal('raw');
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
