/**
 * fetch and what belongs to it, and SQLite: parts of Node that are loaded with the first cell. cslice looks at whether they
 * are, and the other consumers run in a process without them.
 */
import { createHash } from 'node:crypto';
import http from 'node:http';
import { createRequire, isBuiltin } from 'node:module';
import type net from 'node:net';
import { ReadableStream as NodeReadableStream } from 'node:stream/web';
import {
  arrive,
  type Bytes,
  type Consumer,
  collect,
  drain,
  fail,
  type Io,
  listen,
  local,
  optional,
  out,
  type Start,
} from '../consumer.ts';

const require = createRequire(import.meta.url);

async function address(io: Io, server: net.Server): Promise<string> {
  server.on('connection', (socket: net.Socket) => io.defer(() => socket.destroy()));
  return `http://${local}:${await listen(io, server)}/`;
}

function receiver(io: Io, slow: boolean): Promise<string> {
  const server = http.createServer((request, response) => {
    collect(io, request, slow);
    request.on('end', () => response.end());
  });
  return address(io, server);
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
  return (await address(io, server)).replace('http', 'ws');
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
type SocketClass = new (url: string) => Socket;

async function webSocket(io: Io, slow: boolean): Promise<Start> {
  const WebSocketClass = optional<SocketClass>(globalThis, 'WebSocket') as SocketClass;
  const socket = new WebSocketClass(await socketServer(io, slow));
  io.defer(() => socket.close());
  await new Promise<void>((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  return (bytes) => socket.send(bytes);
}

interface Database {
  exec(sql: string): void;
  prepare(sql: string): { run(value: Bytes): void; iterate(value: Bytes): IterableIterator<{ value: Uint8Array }> };
  close(): void;
}
const sqliteConsumers: readonly Consumer[] = isBuiltin('node:sqlite')
  ? [
      out('sqlite StatementSync.iterate', {}, (io) => {
        const { DatabaseSync } = require('node:sqlite') as { DatabaseSync: new (path: string) => Database };
        const database = new DatabaseSync(':memory:');
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
    ]
  : [];

export const fetchConsumers: readonly Consumer[] = [
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
  ...('WebSocket' in globalThis
    ? [
        out('WebSocket.send', { largest: 1 << 20 }, (io) => webSocket(io, false)),
        out('WebSocket.send, slow reader', { largest: 1 << 20 }, (io) => webSocket(io, true)),
      ]
    : []),
  ...sqliteConsumers,
];
