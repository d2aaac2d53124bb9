import { expect } from 'chai';
import koffi from 'koffi';
import { func, type Handle, Slice, stats } from '../../../lib/index.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { expectError } from '../../helpers/expect-error.ts';
import { openLibrary } from '../../helpers/open-library.ts';

type Library = ReturnType<typeof koffi.load>;

const [CONTINUE, END] = [0, 2];

function declare(lib: Library) {
  koffi.struct('ZSTD_inBuffer', { src: 'const void *', size: 'size_t', pos: 'size_t' });
  koffi.struct('ZSTD_outBuffer', { dst: 'void *', size: 'size_t', pos: 'size_t' });
  const isError = func(lib, 'unsigned int ZSTD_isError(size_t code)');
  const nameOf = func(lib, 'const char *ZSTD_getErrorName(size_t code)');
  const checked = {
    failed: (code: unknown) => isError(code as number) !== 0,
    message: (code: unknown) => nameOf(code as number) ?? '',
  };
  return {
    compress: func(
      lib,
      'size_t ZSTD_compress(void *dst, size_t capacity, const void *src, size_t size, int level)',
      checked,
    ),
    bound: func(lib, 'size_t ZSTD_compressBound(size_t size)'),
    newCompressor: func(lib, 'ZSTD_CCtx *ZSTD_createCCtx()', { returns: 'handle', free: 'ZSTD_freeCCtx' }),
    compressPart: func(
      lib,
      'size_t ZSTD_compressStream2(ZSTD_CCtx *context, _Inout_ ZSTD_outBuffer *output, _Inout_ ZSTD_inBuffer *input, int end)',
      checked,
    ),
    newDecompressor: func(lib, 'ZSTD_DCtx *ZSTD_createDCtx()', { returns: 'handle', free: 'ZSTD_freeDCtx' }),
    decompressPart: func(
      lib,
      'size_t ZSTD_decompressStream(ZSTD_DCtx *context, _Inout_ ZSTD_outBuffer *output, _Inout_ ZSTD_inBuffer *input)',
      checked,
    ),
  };
}

describe('libzstd', () => {
  let zstd: ReturnType<typeof declare>;

  before(function () {
    const lib = openLibrary(['libzstd.so.1', 'libzstd.dylib'], 'libzstd1');
    if (lib === undefined) this.skip();
    else zstd = declare(lib);
  });

  afterEach(() => collectUntil(() => Object.keys(stats().liveHandles).length === 0, 'no handle is left'));

  const text = 'compress me '.repeat(5000);

  async function compressed(): Promise<Slice> {
    using context = zstd.newCompressor();
    using source = Slice.fromBytes(Buffer.from(text));
    const packed = Slice.alloc(Number(zstd.bound(source.byteLength)));
    const output = { dst: packed, size: packed.byteLength, pos: 0 };
    for (let at = 0; at < source.byteLength; at += 10_000) {
      using part = source.subslice(at, Math.min(at + 10_000, source.byteLength));
      const input = { src: part, size: part.byteLength, pos: 0 };
      const isLast = at + 10_000 >= source.byteLength;
      const left = await zstd.compressPart.async(context, output, input, isLast ? END : CONTINUE);
      expect([input.pos, isLast ? left : 0]).to.deep.equal([part.byteLength, 0]);
      Object.assign(output, { dst: packed });
    }
    packed.resize(output.pos);
    return packed;
  }

  function decompress(context: Handle<'ZSTD_DCtx'>, packed: Slice): string {
    using unpacked = Slice.alloc(text.length);
    const output = { dst: unpacked, size: unpacked.byteLength, pos: 0 };
    zstd.decompressPart(context, output, { src: packed, size: packed.byteLength, pos: 0 });
    return unpacked.text(0, output.pos);
  }

  it('compresses by parts off the event loop, in structs that point to slices, and back again', async () => {
    using packed = await compressed();
    expect(packed.byteLength).to.be.below(1000);
    using context = zstd.newDecompressor();
    expect(decompress(context, packed)).to.equal(text);
  });

  it('holds context and slices that are released while it runs', async () => {
    const context = zstd.newCompressor();
    const source = Slice.alloc(1 << 20);
    const packed = Slice.alloc(1 << 16);
    const call = zstd.compressPart.async(
      context,
      { dst: packed, size: packed.byteLength, pos: 0 },
      { src: source, size: source.byteLength, pos: 0 },
      END,
    );
    for (const each of [context, source, packed]) each.release();
    expect(stats().liveHandles).to.deep.equal({ ZSTD_CCtx: 1 });
    expect(await call).to.equal(0);
    expect(stats().liveHandles).to.deep.equal({});
  });

  it('says what is wrong with bytes of another format, and with too little room', async () => {
    using context = zstd.newDecompressor();
    using garbage = Slice.fromString('this is not compressed at all');
    expectError(() => decompress(context, garbage), 'ERR_CSLICE_CALL', /Unknown frame descriptor/);
    const rejection = await zstd.compress
      .async(Buffer.alloc(1), 1, Buffer.from(text), text.length, 3)
      .catch((error: unknown) => error);
    expect(rejection).to.include({ code: 'ERR_CSLICE_CALL', function: 'ZSTD_compress' });
    expect((rejection as Error).message).to.match(/Destination buffer is too small/);
  });

  it('refuses a decompressor where a compressor is expected, in the middle of a stream', () => {
    using context = zstd.newDecompressor();
    const wrongCall = () => zstd.compressPart(context as never, { dst: null }, { src: null }, END);
    expectError(wrongCall, 'ERR_CSLICE_TYPE', /ZSTD_compressStream2: context .*a handle of ZSTD_DCtx/);
  });
});
