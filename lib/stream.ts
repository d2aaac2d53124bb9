import { createRequire } from 'node:module';
import type { Readable, Writable } from 'node:stream';
import { writeBytes } from './core/block.ts';
import { bytesOf, checkIndex, longestView } from './core/check.ts';
import { inspectAs } from './core/inspect.ts';
import { readOptions } from './core/options.ts';
import { CSliceError, show, typeError } from './errors.ts';
import { isSlice, liveReference, Slice } from './slice.ts';

/**
 * How a writer starts.
 *
 * @example
 * using writer = new SliceWriter({ byteLength: 1 << 20 });
 */
export interface SliceWriterOptions {
  /** Bytes to start with; the memory doubles from there. Default 64 KiB. */
  byteLength?: number;
}

const require = createRequire(import.meta.url);

/** Loaded on first use: most programs that import this package stream nothing. */
const streams = (): typeof import('node:stream') => require('node:stream');

const defaultCapacity = 64 * 1024;

/**
 * C memory that grows as data arrives: write to it directly, or through {@link SliceWriter.writable} (Node) or
 * {@link SliceWriter.webWritable}. Each byte is copied once into C, and moved when `realloc` moves it.
 *
 * @example
 * const writer = new SliceWriter();
 * await pipeline(createReadStream('package.json'), writer.writable());
 * using slice = writer.finish(); // the file in C memory
 */
export class SliceWriter implements Disposable {
  #slice: Slice | undefined;
  #length = 0;
  #released = false;

  /**
   * Allocates the block that the first bytes go to.
   *
   * @throws {CSliceError} as {@link Slice.alloc}
   */
  constructor(options: SliceWriterOptions = {}) {
    const { byteLength } = readOptions('options', options, ['byteLength']);
    this.#slice = Slice.alloc(checkIndex('byteLength', byteLength, defaultCapacity, 1, longestView));
  }

  /** Bytes written so far. */
  get byteLength(): number {
    return this.#length;
  }

  /**
   * Appends a copy of the bytes.
   *
   * @throws {CSliceError} `ERR_CSLICE_NOMEM`, `ERR_CSLICE_LIMIT`; what was written before is still there
   */
  write(chunk: ArrayBuffer | ArrayBufferView): void {
    this.#open();
    const bytes = bytesOf('chunk', chunk);
    const { byteLength } = bytes;
    const end = this.#length + byteLength;
    if (end > this.#capacity) this.#resize((slice, capacity) => grow(slice, capacity, end));
    writeBytes(liveReference(this.#open()), this.#length, bytes, byteLength);
    this.#length += byteLength;
  }

  /** Ends the writing: a slice of exactly the bytes written, which the caller owns. */
  finish(): Slice {
    this.#resize((slice) => slice.resize(this.#length));
    const slice = this.#open();
    this.#slice = undefined;
    return slice;
  }

  /** A Node stream into this writer. Destroying it with an error releases what was written. */
  writable(): Writable {
    return new (streams().Writable)({
      write: (chunk, encoding, done) => {
        attempt(() => this.write(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk), done);
      },
      destroy: (error, done) => {
        if (error !== null) this.release();
        done(error);
      },
    });
  }

  /** A web stream into this writer. Aborting it releases what was written. */
  webWritable(): WritableStream<ArrayBuffer | ArrayBufferView> {
    return new WritableStream({
      write: (chunk) => {
        try {
          this.write(chunk);
        } catch (error) {
          this.release(); // the stream is in error from here, and calls nothing else
          throw error;
        }
      },
      abort: () => this.release(),
    });
  }

  /** Gives the memory back, unless `finish()` has handed it over. */
  release(): void {
    const slice = this.#slice;
    this.#slice = undefined;
    this.#released = true;
    slice?.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** Without the slice meanwhile: a destructor that runs in a resize must not write to it, nor hand it over. */
  #resize(act: (slice: Slice, capacity: number) => void): void {
    const capacity = this.#capacity;
    const slice = this.#open();
    this.#slice = undefined;
    try {
      act(slice, capacity);
    } finally {
      if (this.#released) slice.release();
      else this.#slice = slice;
    }
  }

  get #capacity(): number {
    return liveReference(this.#open()).byteLength;
  }

  #open(): Slice {
    if (this.#slice === undefined)
      throw new CSliceError('ERR_CSLICE_RELEASED', 'This writer has finished, or is at work');
    return this.#slice;
  }
}

inspectAs(SliceWriter, ({ byteLength }) => ({ byteLength }));

/** Twice the size, so that writing n bytes moves some n in all; where there is no room for that, what is needed. */
function grow(slice: Slice, capacity: number, byteLength: number): void {
  const doubled = Math.min(2 * capacity, longestView);
  try {
    slice.resize(Math.max(byteLength, doubled));
  } catch (error) {
    if (byteLength >= doubled) throw error;
    slice.resize(byteLength);
  }
}

function attempt(action: () => void, done: (error?: Error | null) => void): void {
  try {
    action();
  } catch (error) {
    done(error as Error);
    return;
  }
  done();
}

/**
 * How a slice is cut into chunks.
 *
 * @example
 * const stream = readable(Slice.alloc(1 << 20), { chunkBytes: 1 << 16 });
 */
export interface ReadOptions {
  /** The size of the chunks. Default 64 KiB. */
  chunkBytes?: number;
}

/**
 * A Node stream of the slice's own bytes: its chunks are Buffers with a reference of their own each, nothing is copied. It
 * takes the slice over, which is released at once; the memory is freed when the last chunk has been collected. For a web
 * stream: `Readable.toWeb(readable(slice))`.
 *
 * @throws {CSliceError} `ERR_CSLICE_RELEASED`, `ERR_CSLICE_TYPE`, `ERR_CSLICE_RANGE`
 * @example
 * const slice = Slice.fromString('from C');
 * for await (const chunk of readable(slice)) console.log(chunk.toString('utf8', 0, 6)); // from C
 * const stream = Readable.toWeb(readable(Slice.alloc(1 << 20))); // the same for the web
 */
export function readable(slice: Slice, options: ReadOptions = {}): Readable {
  const chunks = chunksOf(slice, options);
  return new (streams().Readable)({
    objectMode: true, // chunks that wait together would be joined otherwise, which copies
    highWaterMark: 0, // nothing ahead of demand
    read() {
      try {
        this.push(chunks.next());
      } catch (error) {
        this.destroy(error as Error);
      }
    },
    destroy(error, done) {
      chunks.end();
      done(error);
    },
  });
}

interface Chunks {
  next(): Buffer<ArrayBuffer> | null;
  end(): void;
}

function chunksOf(slice: Slice, options: ReadOptions): Chunks {
  if (!isSlice(slice)) throw typeError(`slice must be a Slice, got ${show(slice)}`);
  const { chunkBytes: given } = readOptions('options', options, ['chunkBytes']);
  const chunkBytes = checkIndex('chunkBytes', given, defaultCapacity, 1, longestView);
  const rest = Slice.prototype.subslice.call(slice); // a handle of the stream's own, which nobody else can release
  Slice.prototype.release.call(slice);
  let at = 0;
  return {
    next() {
      if (rest.released || at >= rest.byteLength) {
        rest.release();
        return null;
      }
      const end = Math.min(at + chunkBytes, rest.byteLength);
      const chunk = rest.toBuffer(at, end);
      at = end;
      return chunk;
    },
    end: () => rest.release(),
  };
}
