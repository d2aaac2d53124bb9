import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import type koffi from 'koffi';
import { func, type Handle, Slice, stats } from '../../../lib/index.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { expectError } from '../../helpers/expect-error.ts';
import { openLibrary } from '../../helpers/open-library.ts';

type Library = ReturnType<typeof koffi.load>;

const END = 1; // ARCHIVE_EOF

function declare(lib: Library) {
  const errorOf = func(lib, 'const char *archive_error_string(struct archive *archive)');
  const checked = {
    failed: (code: unknown) => (code as number) < 0,
    message: (_: unknown, archive: Handle<'archive'>) => errorOf(archive) ?? '',
  };
  return {
    newReader: func(lib, 'struct archive *archive_read_new()', { returns: 'handle', free: 'archive_read_free' }),
    anyFilter: func(lib, 'int archive_read_support_filter_all(struct archive *archive)', checked),
    anyFormat: func(lib, 'int archive_read_support_format_all(struct archive *archive)', checked),
    openMemory: func(lib, 'int archive_read_open_memory(struct archive *archive, const void *bytes, size_t size)', {
      ...checked,
      keeps: ['bytes'],
      by: 'archive',
    }),
    newEntry: func(lib, 'struct archive_entry *archive_entry_new()', { returns: 'handle', free: 'archive_entry_free' }),
    nextHeader: func(
      lib,
      'int archive_read_next_header2(struct archive *archive, struct archive_entry *entry)',
      checked,
    ),
    nextBlock: func(
      lib,
      'int archive_read_data_block(struct archive *archive, _Out_ const void **bytes, _Out_ size_t *size, _Out_ int64_t *offset)',
      { ...checked, returns: 'view', from: 'bytes', size: 'size', until: ['archive'] },
    ),
    read: func(lib, 'ssize_t archive_read_data(struct archive *archive, void *bytes, size_t size)', checked),
    pathOf: func(lib, 'const char *archive_entry_pathname(struct archive_entry *entry)'),
    sizeOf: func(lib, 'int64_t archive_entry_size(struct archive_entry *entry)'),
    newWriter: func(lib, 'struct archive *archive_write_new()', { returns: 'handle', free: 'archive_write_free' }),
    gzip: func(lib, 'int archive_write_add_filter_gzip(struct archive *archive)', checked),
    pax: func(lib, 'int archive_write_set_format_pax_restricted(struct archive *archive)', checked),
    writeTo: func(lib, 'int archive_write_open_memory(struct archive *archive, void *bytes, size_t size, void *used)', {
      ...checked,
      keeps: ['bytes', 'used'],
      by: 'archive',
    }),
    setPath: func(lib, 'void archive_entry_set_pathname(struct archive_entry *entry, const char *path)'),
    setSize: func(lib, 'void archive_entry_set_size(struct archive_entry *entry, int64_t size)'),
    setType: func(lib, 'void archive_entry_set_filetype(struct archive_entry *entry, unsigned int type)'),
    setMode: func(lib, 'void archive_entry_set_perm(struct archive_entry *entry, unsigned int mode)'),
    writeHeader: func(lib, 'int archive_write_header(struct archive *archive, struct archive_entry *entry)', checked),
    write: func(lib, 'ssize_t archive_write_data(struct archive *archive, const void *bytes, size_t size)', checked),
    close: func(lib, 'int archive_write_close(struct archive *archive)', checked),
  };
}

describe('libarchive', () => {
  let archive: ReturnType<typeof declare>;

  before(function () {
    const lib = openLibrary(['libarchive.so.13', 'libarchive.dylib'], 'libarchive13');
    if (lib === undefined) this.skip();
    else archive = declare(lib);
  });

  afterEach(() => collectUntil(() => Object.keys(stats().liveHandles).length === 0, 'no handle is left'));

  /** A tar.gz of these files, written to C memory. */
  function pack(files: Record<string, string>): Slice {
    using writer = archive.newWriter();
    using entry = archive.newEntry();
    using used = Slice.alloc(8);
    using whole = Slice.alloc(1 << 16);
    archive.gzip(writer);
    archive.pax(writer);
    archive.writeTo(writer, whole, whole.byteLength, used);
    for (const [path, text] of Object.entries(files)) {
      archive.setPath(entry, path);
      archive.setSize(entry, text.length);
      archive.setType(entry, 0o100000);
      archive.setMode(entry, 0o644);
      archive.writeHeader(writer, entry);
      archive.write(writer, Buffer.from(text), text.length);
    }
    archive.close(writer);
    return Slice.fromBytes(whole.bytes.subarray(0, used.read('size_t')));
  }

  function reader(bytes: Slice | Uint8Array): Handle<'archive'> {
    const handle = archive.newReader();
    archive.anyFilter(handle);
    archive.anyFormat(handle);
    archive.openMemory(handle, bytes, bytes.byteLength);
    return handle;
  }

  const files = { 'one.txt': 'the first', 'two.txt': 'x'.repeat(20_000) };

  it('writes a tar.gz, and reads it entry by entry into slices', () => {
    using packed = pack(files);
    expect(gunzipSync(packed.copy()).includes('one.txt')).to.equal(true);
    using handle = reader(packed);
    using entry = archive.newEntry();
    const found: Record<string, string> = {};
    while (archive.nextHeader(handle, entry) !== END) {
      using bytes = Slice.alloc(Number(archive.sizeOf(entry)));
      expect(archive.read(handle, bytes, bytes.byteLength)).to.equal(bytes.byteLength);
      found[archive.pathOf(entry) ?? ''] = bytes.text();
    }
    expect(found).to.deep.equal(files);
  });

  it('reads off the event loop, with the archive in memory of JavaScript', async () => {
    using packed = pack(files);
    using handle = reader(packed.copy());
    using entry = archive.newEntry();
    expect(await archive.nextHeader.async(handle, entry)).to.equal(0);
    using bytes = Slice.alloc(9);
    expect(await archive.read.async(handle, bytes, 9)).to.equal(9);
    expect(bytes.text()).to.equal('the first');
  });

  it("shows libarchive's own blocks, each until the next call", () => {
    using packed = pack(files);
    using handle = reader(packed);
    using entry = archive.newEntry();
    archive.nextHeader(handle, entry);
    const block = archive.nextBlock(handle, [null]) as Slice;
    expect(block.text()).to.equal('the first');
    expect(archive.nextBlock(handle, [null])).to.equal(null);
    expect(block.released).to.equal(true);
  });

  it('keeps the bytes that it reads from, though they are released', () => {
    const packed = pack(files);
    using handle = reader(packed);
    packed.release();
    using entry = archive.newEntry();
    expect(archive.nextHeader(handle, entry)).to.equal(0);
    expect(archive.pathOf(entry)).to.equal('one.txt');
  });

  it('says why bytes are not an archive, and where a truncated one ends', () => {
    expectError(() => reader(Buffer.from('this is no archive')), 'ERR_CSLICE_CALL', /Unrecognized archive format/);
    using packed = pack(files);
    const half = packed.copy(0, packed.byteLength - 40);
    using entry = archive.newEntry();
    expectError(
      () => {
        using handle = reader(half);
        while (archive.nextHeader(handle, entry) !== END) while (archive.nextBlock(handle, [null]) !== null);
      },
      'ERR_CSLICE_CALL',
      /archive_read/,
    );
  });

  it('closes archives that are dropped in the middle', async () => {
    using packed = pack(files);
    (() => {
      for (let i = 0; i < 10; i++) archive.nextHeader(reader(packed), archive.newEntry());
    })();
    expect(stats().liveHandles.archive).to.equal(10);
    await collectUntil(() => stats().liveHandles.archive === undefined, 'all are closed');
  });
});
