/**
 * HTTP/2: bodies of requests and of responses. The module is loaded with the first cell: cslice looks at whether it is, and
 * the other consumers run in a process without it.
 */
import { once } from 'node:events';
import type { ClientHttp2Session, Http2Server, Http2Session } from 'node:http2';
import { createRequire } from 'node:module';
import type { Readable, Writable } from 'node:stream';
import { type Bytes, type Consumer, collect, type Io, listen, local, out, streamed } from '../consumer.ts';

const require = createRequire(import.meta.url);
const http2 = (): typeof import('node:http2') => require('node:http2');

interface Ends {
  readonly slow?: boolean;
  readonly secure?: boolean;
}

async function serve2(io: Io, secure: boolean): Promise<{ readonly server: Http2Server; readonly url: string }> {
  const { key, cert } = io;
  const server = secure ? http2().createSecureServer({ key, cert }) : http2().createServer();
  server.on('session', (session: Http2Session) => {
    session.on('error', () => {});
    io.defer(() => session.destroy());
  });
  const port = await listen(io, server);
  return { server, url: `${secure ? 'https' : 'http'}://${local}:${port}` };
}

function connect2(io: Io, url: string): ClientHttp2Session {
  const session = http2().connect(url, { rejectUnauthorized: false });
  session.on('error', io.over);
  io.defer(() => session.destroy());
  return session;
}

type Answer = (server: Http2Server, take: (writable: Writable) => void) => void;

const compatible: Answer = (server, take) => server.on('request', (_, response) => take(response as never));
const streaming: Answer = (server, take) =>
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200 });
    take(stream);
  });
const pushing: Answer = (server, take) =>
  server.on('stream', (stream) => {
    stream.pushStream({ ':path': '/pushed' }, (error, pushed) => {
      if (error) throw error;
      pushed.respond({ ':status': 200 });
      take(pushed);
    });
    stream.respond({ ':status': 200 });
    stream.end();
  });

async function response2(io: Io, answer: Answer, { slow = false, secure = false }: Ends): Promise<Writable> {
  const { server, url } = await serve2(io, secure);
  const session = connect2(io, url);
  return new Promise((resolve) => {
    answer(server, resolve);
    const stream = session.request({ ':path': '/' });
    if (answer === pushing) {
      session.on('stream', (pushed: Readable) => collect(io, pushed, slow));
      stream.resume();
    } else collect(io, stream, slow);
    stream.end();
  });
}

async function request2(io: Io, { slow = false, secure = false }: Ends): Promise<Writable> {
  const { server, url } = await serve2(io, secure);
  server.on('stream', (stream) => {
    collect(io, stream, slow);
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end();
    });
  });
  const stream = connect2(io, url).request({ ':path': '/', ':method': 'POST' });
  stream.resume();
  return stream;
}

/** A ping carries eight bytes. */
function ping(pattern: Bytes): Bytes {
  return pattern.slice(0, 8);
}

export const http2Consumers: readonly Consumer[] = [
  ...streamed('Http2ServerResponse', {}, (io) => response2(io, compatible, {})),
  ...streamed('Http2ServerResponse, slow reader', {}, (io) => response2(io, compatible, { slow: true })),
  ...streamed('Http2Stream', {}, (io) => response2(io, streaming, {})),
  ...streamed('Http2Stream, slow reader', {}, (io) => response2(io, streaming, { slow: true })),
  ...streamed('Http2Stream, pushed', {}, (io) => response2(io, pushing, { slow: true }), ['end']),
  ...streamed('Http2Stream over TLS, slow reader', {}, (io) => response2(io, streaming, { secure: true, slow: true })),
  ...streamed('ClientHttp2Stream', {}, (io) => request2(io, {})),
  ...streamed('ClientHttp2Stream, slow reader', {}, (io) => request2(io, { slow: true })),
  out('Http2Session.ping', { largest: 100, encode: ping, expect: ping }, async (io) => {
    const { url } = await serve2(io, false);
    const session = connect2(io, url);
    await once(session, 'connect');
    const reply = (error: Error | null, _: number, payload: Uint8Array): void => {
      if (error === null) io.took(payload);
      io.over(error);
    };
    return (bytes) => session.ping(bytes, reply);
  }),
  out('Http2Session.goaway', { largest: 100 }, async (io) => {
    const { server, url } = await serve2(io, false);
    server.on('session', (session) => {
      session.on('goaway', (_code: number, _last: number, data?: Uint8Array) => {
        if (data !== undefined) io.took(data);
        io.over();
      });
    });
    const session = connect2(io, url);
    await once(session, 'connect');
    return (bytes) => session.goaway(0, 0, bytes);
  }),
];
