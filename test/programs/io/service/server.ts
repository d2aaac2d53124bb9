/**
 * The server: answers `/mode/size/request` with a body of C memory, or of a Buffer where its argument says so, which is
 * what the others are measured against. Over HTTP/1.1, HTTPS, HTTP/2 and HTTP/2 over TLS.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { finished, pipeline, type Writable } from 'node:stream';
import { Pool, readable, Slice, stats } from 'cslice';
import { fill } from './pattern.ts';

const [kind, directory] = process.argv.slice(2) as [string, string];

export interface Ready {
  readonly ports: readonly number[];
  readonly modes: readonly string[];
}

export interface Left {
  readonly liveBlocks: number;
  readonly liveBytes: number;
  /** In KiB. */
  readonly peak: number;
  readonly crashes: readonly string[];
}

function made(size: number, request: number): Slice {
  const slice = Slice.alloc(size, { zero: false });
  fill(slice.bytes, request);
  return slice;
}

/** The loan ends with the response, however it ends. */
function sent(response: Writable, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    finished(response, () => resolve());
    response.end(bytes);
  });
}

const pool = new Pool({ byteLength: 65_536, capacity: 4096 });

type Answer = (response: Writable, size: number, request: number) => void;

const answers: Readonly<Record<string, Answer>> = {
  toBuffer(response, size, request) {
    using slice = made(size, request);
    response.end(slice.toBuffer());
  },
  pool(response, size, request) {
    if (size > 65_536) {
      answers.toBuffer?.(response, size, request);
      return;
    }
    using slice = pool.rent();
    const bytes = slice.toBuffer().subarray(0, size);
    fill(bytes, request);
    response.end(bytes);
  },
  readable(response, size, request) {
    pipeline(readable(made(size, request)), response, () => {});
  },
  lend(response, size, request) {
    using slice = made(size, request);
    slice.lend((bytes) => sent(response, bytes)).catch(() => {});
  },
  async writeTo(response, size, request) {
    await using slice = made(size, request);
    await slice.writeTo(response).then(
      () => response.end(),
      () => {},
    );
  },
};

function answerWithBuffer(response: Writable, size: number, request: number): void {
  const buffer = Buffer.allocUnsafe(size);
  fill(buffer, request);
  response.end(buffer);
}

function handle(
  request: { readonly url?: string },
  response: Writable & { setHeader(n: string, v: string): void },
): void {
  response.on('error', () => {}); // of a client that went away
  const [, mode = '', size, id] = (request.url ?? '').split('/');
  response.setHeader('content-length', String(size));
  const answer = kind === 'buffer' ? answerWithBuffer : answers[mode];
  answer?.(response, Number(size), Number(id));
}

const crashes: string[] = [];
process.on('uncaughtException', (error) => crashes.push(String(error.stack)));
process.on('unhandledRejection', (error) => crashes.push(String((error as Error).stack)));

const certificate = { key: readFileSync(`${directory}/key.pem`), cert: readFileSync(`${directory}/cert.pem`) };
const servers: readonly Server[] = [
  http.createServer(handle as never),
  https.createServer(certificate, handle as never),
  http2.createServer(handle as never),
  http2.createSecureServer(certificate, handle as never),
];
const open = new Set<{ destroy(): void }>();
for (const server of servers) {
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.on('sessionError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}
process.send?.({
  ports: servers.map((server) => (server.address() as AddressInfo).port),
  modes: kind === 'buffer' ? ['toBuffer'] : Object.keys(answers),
} satisfies Ready);

process.on('message', async () => {
  const peak = process.resourceUsage().maxRSS;
  for (const server of servers) server.close();
  for (const socket of open) socket.destroy();
  pool.release();
  for (let round = 0; round < 400 && stats().liveBlocks > 0; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { liveBlocks, liveBytes } = stats();
  process.send?.({ liveBlocks, liveBytes, peak, crashes } satisfies Left, () => process.exit(0));
});
