/** What the web has: fetch, Blob, Response, streams, compression, WebAssembly; and streams in JavaScript. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { promises as fs, openAsBlob, writeFileSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import { PassThrough, Readable, Transform, Writable } from 'node:stream';
import { ReadableStream as NodeReadableStream } from 'node:stream/web';
import zlib from 'node:zlib';
import { type Bytes, type Consumer, collect, type Io, into, optional, out, type Start, streamed } from '../consumer.ts';

const local = '127.0.0.1';

async function listen(io: Io, server: net.Server): Promise<string> {
  server.on('connection', (socket: net.Socket) => io.defer(() => socket.destroy()));
  server.listen(0, local);
  io.defer(() => server.close());
  await once(server, 'listening');
  return `http://${local}:${(server.address() as net.AddressInfo).port}/`;
}

function receiver(io: Io, slow: boolean): Promise<string> {
  const server = http.createServer((request, response) => {
    collect(io, request, slow);
    request.on('end', () => response.end());
  });
  return listen(io, server);
}

function arrive(io: Io, promise: Promise<ArrayBuffer | Uint8Array>): void {
  promise.then((value) => {
    io.took(value instanceof Uint8Array ? value : new Uint8Array(value));
    io.over();
  }, io.over);
}

async function drain(io: Io, stream: ReadableStream, slow = false): Promise<void> {
  try {
    if (slow) await io.happened;
    const reader = stream.getReader();
    for (let step = await reader.read(); !step.done; step = await reader.read()) io.took(step.value as Uint8Array);
    io.over();
  } catch (error) {
    io.over(error);
  }
}

function fail(io: Io, promise: Promise<unknown>): void {
  promise.catch(io.over);
}

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

/** The server's half of a WebSocket, which shows the payload of one message. */
async function socketServer(io: Io, slow: boolean): Promise<string> {
  const server = http.createServer();
  server.on('upgrade', (request: http.IncomingMessage, socket: net.Socket) => {
    const accept = createHash('sha1').update(
      `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`,
    );
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept.digest('base64')}\r\n\r\n`,
    );
    const chunks: Buffer[] = [];
    const read = (): void => {
      socket.on('data', (chunk) => {
        chunks.push(chunk);
        const payload = unmask(Buffer.concat(chunks));
        if (payload === undefined) return;
        io.took(payload);
        io.over();
      });
    };
    socket.on('error', io.over);
    socket.on('close', () => io.over());
    if (slow) io.happened.then(read);
    else read();
  });
  return (await listen(io, server)).replace('http', 'ws');
}

/** The payload of a frame that is complete. */
function unmask(frame: Buffer): Buffer | undefined {
  if (frame.length < 2) return undefined;
  const short = (frame[1] as number) & 127;
  const header = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (frame.length < header + 4) return undefined;
  const length = short < 126 ? short : short === 126 ? frame.readUInt16BE(2) : Number(frame.readBigUInt64BE(2));
  if (frame.length < header + 4 + length) return undefined;
  const mask = frame.subarray(header, header + 4);
  return Buffer.from(frame.subarray(header + 4, header + 4 + length).map((byte, i) => byte ^ (mask[i & 3] as number)));
}

interface Socket {
  binaryType: string;
  onopen: () => void;
  onerror: (event: unknown) => void;
  send(bytes: Bytes): void;
  close(): void;
}
const WebSocketClass = optional<new (url: string) => Socket>(globalThis, 'WebSocket');

async function webSocket(io: Io, slow: boolean): Promise<Start> {
  if (WebSocketClass === undefined) throw new Error('no WebSocket');
  const socket = new WebSocketClass(await socketServer(io, slow));
  io.defer(() => socket.close());
  await new Promise<void>((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  return (bytes) => socket.send(bytes);
}

/** Looks at what it was given only when the event has happened. */
function late(io: Io, take: (chunk: Bytes, done: () => void) => void): (chunk: Bytes, done: () => void) => void {
  return (chunk, done) => {
    io.happened.then(() => take(chunk, done));
  };
}

interface Database {
  exec(sql: string): void;
  prepare(sql: string): { run(value: Bytes): void; iterate(value: Bytes): IterableIterator<{ value: Uint8Array }> };
  close(): void;
}
const sqlite = optional<(name: string) => { DatabaseSync: new (path: string) => Database } | undefined>(
  process,
  'getBuiltinModule',
)?.('node:sqlite');

const sqliteConsumers: readonly Consumer[] =
  sqlite === undefined
    ? []
    : [
        out('sqlite StatementSync.iterate', {}, (io) => {
          const database = new sqlite.DatabaseSync(':memory:');
          io.defer(() => database.close());
          const statement = database.prepare('WITH rows(n) AS (VALUES (1), (2)) SELECT ? AS value FROM rows');
          return (bytes) => {
            const rows = statement.iterate(bytes);
            rows.next();
            io.happened.then(() => {
              io.took(rows.next().value.value);
              io.over();
            });
          };
        }),
      ];

export const webConsumers: readonly Consumer[] = [
  out('fetch', {}, async (io) => {
    const url = await receiver(io, false);
    return (body) => fail(io, fetch(url, { method: 'POST', body: body as never }));
  }),
  out('fetch, slow reader', {}, async (io) => {
    const url = await receiver(io, true);
    return (body) => fail(io, fetch(url, { method: 'POST', body: body as never }));
  }),
  out('fetch of a stream', { framed: true }, async (io) => {
    const url = await receiver(io, true);
    const options = { method: 'POST', duplex: 'half' } as const;
    return (bytes) => fail(io, fetch(url, { ...options, body: NodeReadableStream.from([bytes]) as never }));
  }),
  out('fetch of a Blob', {}, async (io) => {
    const url = await receiver(io, true);
    return (bytes) => fail(io, fetch(url, { method: 'POST', body: new Blob([bytes as never]) }));
  }),
  out('Response.arrayBuffer', {}, (io) => (bytes) => arrive(io, new Response(bytes as never).arrayBuffer())),
  out('Response.body', {}, (io) => (bytes) => drain(io, new Response(bytes as never).body as never, true)),
  out('Request.arrayBuffer', {}, (io) => (body) => {
    arrive(io, new Request('http://localhost/', { method: 'POST', body: body as never }).arrayBuffer());
  }),
  out('Blob.arrayBuffer', {}, (io) => (bytes) => arrive(io, new Blob([bytes as never]).arrayBuffer())),
  out('Blob.stream', {}, (io) => (bytes) => drain(io, new Blob([bytes as never]).stream() as never, true)),
  out('FormData', {}, (io) => (bytes) => {
    const form = new FormData();
    form.set('file', new Blob([bytes as never]));
    const files = new Response(form).formData().then((form) => (form.get('file') as Blob).arrayBuffer());
    arrive(io, files);
  }),
  ...(WebSocketClass === undefined
    ? []
    : [
        out('WebSocket.send', { largest: 1 << 20 }, (io) => webSocket(io, false)),
        out('WebSocket.send, slow reader', { largest: 1 << 20 }, (io) => webSocket(io, true)),
      ]),
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
  ...sqliteConsumers,

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
