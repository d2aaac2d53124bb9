/** The clients: some read as fast as they can, some slowly, some go away in the middle. Every byte is compared. */
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { seeded, wrongBytes } from './pattern.ts';
import type { Ready } from './server.ts';

export interface Load extends Ready {
  readonly clients: number;
  readonly requests: number;
  readonly seed: number;
}

export interface Counted {
  requests: number;
  slow: number;
  aborted: number;
  bytes: number;
  foreignBytes: number;
  foreignResponses: number;
  short: number;
  errors: string[];
  /** The first few responses with foreign bytes. */
  examples: string[];
}

const load = JSON.parse(process.argv[2] ?? '') as Load;
const local = '127.0.0.1';
const counted: Counted = {
  requests: 0,
  slow: 0,
  aborted: 0,
  bytes: 0,
  foreignBytes: 0,
  foreignResponses: 0,
  short: 0,
  errors: [],
  examples: [],
};

interface Client {
  get(path: string): Promise<Readable>;
  /** Ends the request that is under way. */
  abort(): void;
  close(): void;
}

function client1(port: number, secure: boolean): Client {
  const { Agent, get } = secure ? https : http;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let request: http.ClientRequest | undefined;
  return {
    get: (path) =>
      new Promise((resolve, reject) => {
        request = get({ port, host: local, path, agent, rejectUnauthorized: false }, resolve);
        request.on('error', reject);
      }),
    abort: () => request?.destroy(),
    close: () => agent.destroy(),
  };
}

/** Node's server ends a session in which some 1,000 requests were aborted. */
const mostOfSession = 1000;

function client2(port: number, secure: boolean): Client {
  let session: http2.ClientHttp2Session | undefined;
  let stream: http2.ClientHttp2Stream | undefined;
  let asked = 0;
  return {
    get(path) {
      if (asked++ % mostOfSession === 0) session?.close();
      if (session === undefined || session.closed || session.destroyed) {
        session = http2.connect(`${secure ? 'https' : 'http'}://${local}:${port}`, { rejectUnauthorized: false });
        session.on('error', () => {});
      }
      stream = session.request({ ':path': path });
      stream.on('error', () => {}); // whoever reads is told too
      return Promise.resolve(stream);
    },
    abort: () => stream?.close(http2.constants.NGHTTP2_CANCEL),
    close: () => session?.destroy(),
  };
}

/** Mostly small bodies, from 1 KiB to 16 MiB. */
function sizeOf(random: (below: number) => number): number {
  const lot = random(1000);
  const most = lot < 600 ? 16 << 10 : lot < 900 ? 256 << 10 : lot < 992 ? 2 << 20 : 16 << 20;
  return 1024 + random(most - 1023);
}

async function ask(client: Client, id: number, random: (below: number) => number): Promise<void> {
  const mode = load.modes[random(load.modes.length)];
  const size = sizeOf(random);
  const manner = random(100);
  const slow = manner < 12;
  const abortsAt = manner >= 92 ? random(size) : Number.POSITIVE_INFINITY;
  let at = 0;
  let wrong = 0;
  try {
    const response = await client.get(`/${mode}/${size}/${id}`);
    if (slow) await pause(50);
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      wrong += wrongBytes(chunk, id, at);
      at += chunk.byteLength;
      if (at > abortsAt) break;
      if (slow && random(4) === 0) await pause(2);
    }
    if (at > abortsAt) client.abort();
    else if (at !== size) counted.short++;
  } catch (error) {
    // Of a stream over HTTP/2 that has delivered everything Node 26 may still say that it was closed too early.
    if (at !== size) {
      counted.short++;
      if (counted.errors.length < 20) counted.errors.push(`${mode} ${size} B at ${at}: ${String(error)}`);
    }
  }
  counted.requests++;
  counted.bytes += at;
  if (slow) counted.slow++;
  if (at > abortsAt) counted.aborted++;
  if (wrong === 0) return;
  counted.foreignBytes += wrong;
  counted.foreignResponses++;
  if (counted.examples.length < 20) counted.examples.push(`${mode} ${size} B: ${wrong} wrong`);
}

let next = 0;

async function run(index: number): Promise<void> {
  const random = seeded(load.seed * 1000 + index);
  const secure = (index & 1) === 1;
  const port = load.ports[index & 3] as number;
  const client = (index & 2) === 0 ? client1(port, secure) : client2(port, secure);
  while (next < load.requests) await ask(client, load.seed * load.requests + ++next, random);
  client.close();
}

await Promise.all(Array.from({ length: load.clients }, (_, index) => run(index)));
process.send?.(counted, () => process.exit(0));
