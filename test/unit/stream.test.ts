import { once } from 'node:events';
import { createReadStream, createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { PassThrough, Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import { releaseKept } from '../../lib/core/free-list.ts';
import { configure, readable, Slice, SliceWriter, stats } from '../../lib/index.ts';
import { addressOf, testFailAllocation } from '../../lib/native/symbols.ts';
import { watched } from '../helpers/blocks.ts';
import { collectManyTimes, collectUntil } from '../helpers/collect.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { temporary } from '../helpers/fixture.ts';

function iota(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => i);
}

function live(): number {
  return stats().liveBlocks;
}

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('It was fulfilled');
}

/** A function of its own, so that no frame of a test keeps a chunk. */
async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

describe('SliceWriter', () => {
  it('collects what is written into one slice of exactly that length', () => {
    const before = live();
    const writer = new SliceWriter({ byteLength: 4 });
    const parts = [iota(3), iota(1), new Uint8Array(), iota(1000), iota(100_000)];
    for (const part of parts) writer.write(part);
    expect(writer.byteLength).to.equal(101_004);
    expect(live()).to.equal(before + 1);
    using slice = writer.finish();
    expect(slice.byteLength).to.equal(101_004);
    expect(Buffer.compare(slice.copy(), Buffer.concat(parts))).to.equal(0);
    expect(stats().liveBytes).to.be.at.least(101_004);
  });

  it('takes any buffer or view, and keeps no reference to it', () => {
    const bytes = iota(16);
    using source = Slice.fromBytes(bytes);
    const writer = new SliceWriter();
    for (const chunk of [bytes, bytes.buffer, new DataView(bytes.buffer, 4, 2), bytes.subarray(1, 3), source.bytes]) {
      writer.write(chunk);
    }
    bytes.fill(0);
    source.bytes.fill(0);
    using slice = writer.finish();
    expect([...slice.copy()]).to.deep.equal([...iota(16), ...iota(16), 4, 5, 1, 2, ...iota(16)]);
  });

  it('makes an empty slice when nothing was written', () => {
    using slice = new SliceWriter().finish();
    expect(slice.byteLength).to.equal(0);
  });

  it('allocates seldom: a million bytes written one by one take few allocations', () => {
    const writer = new SliceWriter({ byteLength: 1 });
    for (let i = 0; i < 100_000; i++) writer.write(Uint8Array.of(i));
    using slice = writer.finish();
    expect(slice.bytes[99_999]).to.equal(99_999 & 255);
  });

  it('refuses a start that is out of range, and chunks that are detached or not bytes', () => {
    for (const byteLength of [0, -1, 0.5, Number.NaN, 2 ** 53]) {
      expectError(() => new SliceWriter({ byteLength }), 'ERR_CSLICE_RANGE', /byteLength/);
    }
    expectError(() => new SliceWriter({ byteLength: wrong('8') }), 'ERR_CSLICE_TYPE', /byteLength/);
    expectError(() => new SliceWriter(wrong(null)), 'ERR_CSLICE_TYPE', /options/);
    using writer = new SliceWriter();
    const released = Slice.alloc(8);
    const { bytes } = released;
    released.release();
    for (const chunk of [undefined, null, 5, 'text', [1], {}, bytes, released]) {
      expectError(() => writer.write(wrong(chunk)), 'ERR_CSLICE_TYPE', /chunk/);
    }
    expect(writer.byteLength).to.equal(0);
  });

  it('throws ERR_CSLICE_RELEASED at every use after finish() and after release(), which gives the memory back', () => {
    const before = live();
    const finished = new SliceWriter();
    const slice = finished.finish();
    const released = new SliceWriter();
    released.write(iota(8));
    released.release();
    released.release();
    finished.release();
    expect(slice.released).to.equal(false);
    slice.release();
    for (const writer of [finished, released]) {
      expectError(() => writer.write(iota(8)), 'ERR_CSLICE_RELEASED');
      expectError(() => writer.finish(), 'ERR_CSLICE_RELEASED');
    }
    {
      using scoped = new SliceWriter();
      scoped.write(iota(8));
    }
    expect(live()).to.equal(before);
  });

  it('keeps what was written when memory is exhausted or limited, and can go on', () => {
    using writer = new SliceWriter({ byteLength: 8 });
    writer.write(iota(8));
    const before = stats();
    releaseKept();
    testFailAllocation(1);
    try {
      expectError(() => writer.write(iota(1)), 'ERR_CSLICE_NOMEM');
    } finally {
      testFailAllocation(0);
    }
    configure({ limitBytes: before.liveBytes + 100 });
    try {
      expectError(() => writer.write(iota(1000)), 'ERR_CSLICE_LIMIT');
    } finally {
      configure({ limitBytes: 0 });
    }
    expect(stats()).to.deep.equal(before);
    writer.write(iota(2));
    using slice = writer.finish();
    expect([...slice.copy()]).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7, 0, 1]);
  });

  it('stays usable when the memory for the finish is refused', () => {
    using writer = new SliceWriter();
    writer.write(iota(8));
    releaseKept();
    testFailAllocation(1);
    try {
      expectError(() => writer.finish(), 'ERR_CSLICE_NOMEM');
    } finally {
      testFailAllocation(0);
    }
    using slice = writer.finish();
    expect(slice.copy()).to.deep.equal(iota(8));
  });

  it('that is dropped is collected', async () => {
    const before = live();
    (() => new SliceWriter().write(iota(100)))();
    await collectUntil(() => live() === before, 'the memory is back');
  });

  describe('as a Node stream', () => {
    it('takes a file through a pipeline', async () => {
      const path = temporary('to-read.bin');
      writeFileSync(path, Buffer.alloc(300_000, iota(251)));
      const writer = new SliceWriter({ byteLength: 1000 });
      await pipeline(createReadStream(path), writer.writable());
      using slice = writer.finish();
      expect(Buffer.compare(slice.toBuffer(), readFileSync(path))).to.equal(0);
    });

    it('takes strings in any encoding', async () => {
      const writer = new SliceWriter();
      const stream = writer.writable();
      stream.write('grüße');
      stream.write('ff00', 'hex');
      stream.end(Buffer.from('!'));
      await once(stream, 'finish');
      using slice = writer.finish();
      expect(Buffer.compare(slice.copy(), Buffer.from([...Buffer.from('grüße'), 255, 0, 33]))).to.equal(0);
    });

    it('gives the memory back when the source fails half way', async () => {
      const before = live();
      const writer = new SliceWriter();
      const source = Readable.from(
        (function* () {
          yield Buffer.from('first');
          throw new Error('the source broke');
        })(),
      );
      expect((await rejection(pipeline(source, writer.writable()))).message).to.equal('the source broke');
      expect(live()).to.equal(before);
      expectError(() => writer.finish(), 'ERR_CSLICE_RELEASED');
    });

    it('fails the pipeline and gives the memory back when memory is exhausted', async () => {
      const before = live();
      const writer = new SliceWriter({ byteLength: 1 });
      releaseKept();
      testFailAllocation(1);
      try {
        const error = await rejection(pipeline(Readable.from([Buffer.alloc(100)]), writer.writable()));
        expect(error.code).to.equal('ERR_CSLICE_NOMEM');
      } finally {
        testFailAllocation(0);
      }
      expect(live()).to.equal(before);
    });

    it('fails the pipeline when the writer has been finished meanwhile, and leaves the slice alone', async () => {
      const writer = new SliceWriter();
      const stream = writer.writable();
      stream.write('text');
      using slice = writer.finish();
      const failed = once(stream, 'error');
      stream.write('more');
      expect((await failed)[0]).to.have.property('code', 'ERR_CSLICE_RELEASED');
      expect(slice.copy()).to.deep.equal(new Uint8Array(Buffer.from('text')));
    });
  });

  describe('as a web stream', () => {
    it('takes what is piped into it', async () => {
      const writer = new SliceWriter({ byteLength: 16 });
      await new Blob([Buffer.alloc(200_000, 7)]).stream().pipeTo(writer.webWritable());
      using slice = writer.finish();
      expect(slice.byteLength).to.equal(200_000);
      expect(slice.bytes.every((byte) => byte === 7)).to.equal(true);
    });

    it('gives the memory back when it is aborted, and when the source fails', async () => {
      const before = live();
      const aborted = new SliceWriter();
      const stream = aborted.webWritable();
      const sink = stream.getWriter();
      await sink.write(iota(8));
      await sink.abort(new Error('enough'));
      expect(live()).to.equal(before);
      const failing = new ReadableStream<Uint8Array>({
        pull(controller) {
          controller.error(new Error('the source broke'));
        },
      });
      const other = new SliceWriter();
      expect((await rejection(failing.pipeTo(other.webWritable()))).message).to.equal('the source broke');
      expect(live()).to.equal(before);
    });

    it('fails and gives the memory back when a chunk is refused', async () => {
      const before = live();
      const writer = new SliceWriter();
      const sink = writer.webWritable().getWriter();
      await sink.write(iota(8));
      sink.closed.catch(() => {});
      expect((await rejection(sink.write(wrong('text')))).code).to.equal('ERR_CSLICE_TYPE');
      expect(live()).to.equal(before);
    });
  });
});

/** The two readers as one kind of thing. */
const readers: Record<string, (slice: Slice, options?: { chunkBytes?: number }) => AsyncIterable<Uint8Array>> = {
  readable: (slice, options) => readable(slice, options),
  'Readable.toWeb(readable())': (slice, options) =>
    Readable.toWeb(readable(slice, options)) as unknown as AsyncIterable<Uint8Array>,
};

for (const [name, read] of Object.entries(readers)) {
  describe(name, () => {
    it('streams all bytes in chunks of the given size, without a copy', async () => {
      const slice = Slice.fromBytes(iota(1000));
      const { address } = slice;
      const chunks = await readAll(read(slice, { chunkBytes: 300 }));
      expect(chunks.map((chunk) => chunk.byteLength)).to.deep.equal([300, 300, 300, 100]);
      expect(chunks.map((chunk) => BigInt(addressOf(chunk)) - address)).to.deep.equal([0n, 300n, 600n, 900n]);
      expect(Buffer.compare(Buffer.concat(chunks), iota(1000))).to.equal(0);
    });

    it('takes the slice over: its handle is released, and the chunks are still valid', async () => {
      const { slice, ended } = watched(100);
      slice.bytes.fill(5);
      const chunks = await readAll(read(slice));
      expect(slice.released).to.equal(true);
      expectError(() => slice.bytes, 'ERR_CSLICE_RELEASED');
      await collectManyTimes();
      expect(ended).to.deep.equal([]);
      expect(chunks[0]?.every((byte) => byte === 5)).to.equal(true);
      expect(chunks[0]?.byteLength).to.equal(100);
    });

    it('frees the memory, once, when the last chunk has been collected', async () => {
      const ended = await (async () => {
        const watch = watched(100);
        await readAll(read(watch.slice, { chunkBytes: 10 }));
        return watch.ended;
      })();
      await collectUntil(() => ended.length > 0, 'the memory is back');
      await collectManyTimes();
      expect(ended.length).to.equal(1);
    });

    it('keeps the whole while one chunk of it is reachable', async () => {
      const { last, ended } = await (async () => {
        const watch = watched(100);
        watch.slice.bytes.fill(6);
        const chunks = await readAll(read(watch.slice, { chunkBytes: 30 }));
        return { last: chunks.at(-1), ended: watch.ended };
      })();
      await collectManyTimes();
      expect(ended).to.deep.equal([]);
      expect([...(last as Uint8Array)]).to.deep.equal(new Array(10).fill(6));
    });

    it('streams a slice of no bytes as nothing', async () => {
      const slice = Slice.alloc(0);
      expect(await readAll(read(slice))).to.deep.equal([]);
      expect(slice.released).to.equal(true);
    });

    it('streams a part, and leaves the whole alone', async () => {
      using slice = Slice.fromBytes(iota(100));
      const chunks = await readAll(read(slice.subslice(10, 20)));
      expect(Buffer.compare(Buffer.concat(chunks), iota(20).slice(10))).to.equal(0);
      expect(slice.bytes.byteLength).to.equal(100);
    });

    it('releases the handle when the reader stops half way, and the memory goes by collection', async () => {
      const ended = await (async () => {
        const { slice, ended } = watched(100);
        for await (const chunk of read(slice, { chunkBytes: 10 })) {
          expect(chunk.byteLength).to.equal(10);
          break;
        }
        expect(slice.released).to.equal(true);
        return ended;
      })();
      await collectUntil(() => ended.length === 1, 'the memory is back');
    });

    it('gives all bytes whatever is done to the handle meanwhile', async () => {
      const slice = Slice.fromBytes(iota(100));
      const bytes: number[] = [];
      for await (const chunk of read(slice, { chunkBytes: 10 })) {
        bytes.push(...chunk);
        slice.release();
      }
      expect(bytes).to.deep.equal([...iota(100)]);
    });

    it('refuses a released slice, what is not a slice, and chunks of no bytes', () => {
      const slice = Slice.alloc(8);
      for (const chunkBytes of [0, -1, 0.5, Number.NaN]) {
        expectError(() => read(slice, { chunkBytes }), 'ERR_CSLICE_RANGE', /chunkBytes/);
      }
      expectError(() => read(slice, { chunkBytes: wrong('8') }), 'ERR_CSLICE_TYPE', /chunkBytes/);
      expectError(() => read(slice, wrong(null)), 'ERR_CSLICE_TYPE', /options/);
      expect(slice.released).to.equal(false);
      slice.release();
      expectError(() => read(slice), 'ERR_CSLICE_RELEASED');
      for (const none of [undefined, null, 5, Buffer.alloc(8), {}]) {
        expectError(() => read(wrong(none)), 'ERR_CSLICE_TYPE', /slice/);
      }
    });
  });
}

describe('readable', () => {
  it('can be piped to a file and through a further stream', async () => {
    const path = temporary('written.bin');
    const slice = Slice.fromBytes(Buffer.alloc(500_000, iota(253)));
    await pipeline(readable(slice), new PassThrough(), createWriteStream(path));
    expect(Buffer.compare(readFileSync(path), Buffer.alloc(500_000, iota(253)))).to.equal(0);
    expect(slice.released).to.equal(true);
  });

  it('releases the handle when it is destroyed, with and without an error, before and after the first chunk', async () => {
    for (const error of [undefined, new Error('no more')]) {
      for (const started of [false, true]) {
        const slice = Slice.alloc(1000);
        const stream = readable(slice, { chunkBytes: 10 });
        stream.on('error', () => {});
        if (started) await once(stream, 'readable');
        const closed = new Promise((resolve) => stream.on('close', resolve));
        stream.destroy(error);
        await closed;
        expect(slice.released).to.equal(true);
      }
    }
  });

  it('releases the handle when what it is piped into fails', async () => {
    const slice = Slice.alloc(1 << 20);
    const sink: Writable = new PassThrough();
    const done = rejection(pipeline(readable(slice), sink));
    sink.destroy(new Error('the sink broke'));
    expect((await done).message).to.equal('the sink broke');
    expect(slice.released).to.equal(true);
  });
});

describe('a readable() as a web stream', () => {
  it('releases the handle when it is cancelled', async () => {
    const slice = Slice.alloc(1000);
    await Readable.toWeb(readable(slice)).cancel();
    expect(slice.released).to.equal(true);
  });

  it('is a body for a Response', async () => {
    const response = new Response(
      Readable.toWeb(readable(Slice.fromBytes(iota(100)), { chunkBytes: 7 })) as ReadableStream,
    );
    expect(new Uint8Array(await response.arrayBuffer())).to.deep.equal(iota(100));
  });
});
