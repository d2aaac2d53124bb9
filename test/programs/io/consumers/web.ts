/** Streams of the web and of Node that live in JavaScript, compression, WebAssembly. */

import { promises as fs, openAsBlob, writeFileSync } from 'node:fs';
import { PassThrough, Readable, Transform, Writable } from 'node:stream';
import zlib from 'node:zlib';
import {
  arrive,
  type Bytes,
  type Consumer,
  collect,
  drain,
  fail,
  type Io,
  into,
  optional,
  out,
  type Start,
  streamed,
} from '../consumer.ts';

/** A reader that starts when the event has happened. */
function enqueued(type: 'bytes' | undefined, open: (stream: ReadableStream, io: Io) => unknown): Consumer['open'] {
  return (io) => {
    let controller: ReadableByteStreamController | undefined;
    const start = (given: ReadableByteStreamController): void => {
      controller = given;
    };
    open(new ReadableStream({ type, start } as never) as never, io);
    return (bytes) => {
      controller?.enqueue(bytes);
      controller?.close();
    };
  };
}

function tee(stream: ReadableStream, io: Io): void {
  const [one, other] = stream.tee();
  fail(io, other.cancel());
  drain(io, one, true);
}

/** Fills what a BYOB reader asks for with the content, from the event on. */
function filling(io: Io, respond: (controller: ReadableByteStreamController, part: Bytes) => void): ReadableStream {
  const source = {
    type: 'bytes' as const,
    async pull(controller: ReadableByteStreamController) {
      await io.happened;
      respond(controller, io.content);
    },
  };
  return new ReadableStream(source) as ReadableStream;
}

function fillRequest(controller: ReadableByteStreamController, content: Bytes): void {
  const request = controller.byobRequest;
  const view = request?.view as Uint8Array;
  view.set(content.subarray(0, view.byteLength));
  request?.respond(view.byteLength);
}

function fillByQueue(controller: ReadableByteStreamController, content: Bytes): void {
  controller.enqueue(content.slice());
}

async function readInto(io: Io, stream: ReadableStream, bytes: Bytes): Promise<void> {
  try {
    const { value } = await stream.getReader({ mode: 'byob' }).read(bytes);
    if (value !== undefined) io.took(value as Uint8Array);
    io.over();
  } catch (error) {
    io.over(error);
  }
}

function byob(open: (io: Io) => ReadableStream | Promise<ReadableStream>): Consumer['open'] {
  return async (io) => {
    const stream = await open(io);
    return (bytes) => void readInto(io, stream, bytes);
  };
}

function compressing(format: string, decode: (arrived: Bytes, options: object) => Buffer): Consumer {
  return out(
    `CompressionStream ${format}`,
    { pool: true, largest: 1 << 20, decode: (arrived) => decode(arrived, flush) as Bytes },
    (io) => through(io, new CompressionStream(format as never)),
  );
}

function decompressing(format: string, encode: (pattern: Bytes, options: object) => Buffer): Consumer {
  return out(
    `DecompressionStream ${format}`,
    { pool: true, largest: 1 << 20, encode: (pattern) => encode(pattern, { level: 1 }) as Bytes },
    (io) => through(io, new DecompressionStream(format as never)),
  );
}

function through(io: Io, { readable, writable }: { readable: ReadableStream; writable: WritableStream }): Start {
  const writer = writable.getWriter();
  void drain(io, readable as ReadableStream);
  return (bytes) => {
    fail(io, writer.write(bytes));
    fail(io, writer.close());
  };
}

const flush = { finishFlush: zlib.constants.Z_SYNC_FLUSH };

/** A module whose one section carries the bytes. */
function wasm(pattern: Bytes): Bytes {
  const name = Buffer.from('\x04data', 'latin1');
  const size: number[] = [];
  for (let rest = name.length + pattern.length; ; rest >>>= 7) {
    size.push(rest < 128 ? rest : (rest & 127) | 128);
    if (rest < 128) break;
  }
  return Uint8Array.from(
    Buffer.concat([Buffer.from('\0asm\x01\0\0\0\0', 'latin1'), Uint8Array.from(size), name, pattern]),
  );
}

/** What this program needs of WebAssembly, whose types Node's lack. */
interface WebAssemblyLike {
  compile(bytes: Bytes): Promise<object>;
  readonly Module: { customSections(module: object, name: string): ArrayBuffer[] };
}
const assembly = optional<WebAssemblyLike>(globalThis, 'WebAssembly') as WebAssemblyLike;

function section(module: object): ArrayBuffer {
  return assembly.Module.customSections(module, 'data')[0] as ArrayBuffer;
}

/** Looks at what it was given only when the event has happened. */
function late(io: Io, take: (chunk: Bytes, done: () => void) => void): (chunk: Bytes, done: () => void) => void {
  return (chunk, done) => {
    io.happened.then(() => take(chunk, done));
  };
}

export const webConsumers: readonly Consumer[] = [
  out(
    'ReadableStream, queued',
    {},
    enqueued(undefined, (stream, io) => drain(io, stream, true)),
  ),
  out(
    'ReadableStream of bytes, queued',
    { moves: true },
    enqueued('bytes', (stream, io) => drain(io, stream, true)),
  ),
  out('ReadableStream of bytes, tee', { moves: true }, enqueued('bytes', tee)),
  out(
    'Readable.fromWeb',
    {},
    enqueued(undefined, (stream, io) => {
      collect(io, Readable.fromWeb(stream as never), true);
    }),
  ),
  out('TransformStream', {}, (io) => through(io, new TransformStream() as never)),
  ...streamed('Writable.fromWeb', {}, (io) => {
    const take = late(io, (chunk, done) => {
      io.took(chunk);
      done();
    });
    const write = (chunk: Bytes): Promise<void> => new Promise((resolve) => take(chunk, resolve));
    return Writable.fromWeb(new WritableStream({ write, close: () => io.over() }) as never);
  }),
  compressing('gzip', zlib.gunzipSync),
  compressing('deflate-raw', zlib.inflateRawSync),
  decompressing('gzip', zlib.gzipSync),
  out('WebAssembly.compile', { largest: 1 << 20, encode: wasm }, (io) => (bytes) => {
    arrive(io, assembly.compile(bytes).then(section));
  }),
  ...streamed('PassThrough', { passes: true }, (io) => {
    const stream = new PassThrough();
    collect(io, stream, true);
    return stream;
  }),
  ...streamed('Transform that takes its time', { passes: true }, (io) => {
    const stream = new Transform({
      transform(chunk, _, done) {
        late(io, (chunk) => done(null, chunk))(chunk, () => {});
      },
    });
    collect(io, stream);
    return stream;
  }),
  ...streamed(
    'Writable that takes its time',
    {},
    (io) => {
      const take = late(io, (chunk, done) => {
        io.took(chunk);
        done();
      });
      const stream = new Writable({ write: (chunk, _, done) => take(chunk, done) });
      stream.on('finish', () => io.over());
      return stream;
    },
    ['end', 'queue', 'cork'],
  ),
  out('Readable.push', {}, (io) => {
    const stream = new Readable({ read() {} });
    collect(io, stream, true);
    return (bytes) => {
      stream.push(bytes);
      stream.push(null);
    };
  }),

  into(
    'BYOB reader, filled in place',
    { moves: true },
    byob((io) => filling(io, fillRequest)),
  ),
  into(
    'BYOB reader, filled from a queue',
    { moves: true },
    byob((io) => filling(io, fillByQueue)),
  ),
  into(
    'BYOB reader of a file',
    { moves: true, pool: true },
    byob(async (io) => {
      writeFileSync(io.path, io.content);
      const file = await fs.open(io.path);
      io.defer(() => file.close());
      return file.readableWebStream({ type: 'bytes' } as never) as ReadableStream;
    }),
  ),
  into(
    'BYOB reader of a Blob',
    { moves: true, largest: 65536 },
    byob(async (io) => {
      writeFileSync(io.path, io.content);
      return (await openAsBlob(io.path)).stream() as never;
    }),
  ),
];
