/** HTTP/1.1 and HTTPS: bodies of requests and of responses. */
import http from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import type { Writable } from 'node:stream';
import { type Consumer, collect, type Io, listen, local, streamed } from '../consumer.ts';

interface Ends {
  readonly slow?: boolean;
  readonly secure?: boolean;
}

function serve(io: Io, secure: boolean, handler: http.RequestListener): Promise<number> {
  const { key, cert } = io;
  const server = secure ? https.createServer({ key, cert }, handler) : http.createServer(handler);
  server.on('connection', (socket: net.Socket) => io.defer(() => socket.destroy()));
  return listen(io, server);
}

function ask(io: Io, secure: boolean, port: number, method: string): http.ClientRequest {
  const options = { port, host: local, method, agent: false, rejectUnauthorized: false };
  const request = (secure ? https : http).request(options);
  io.defer(() => request.destroy());
  request.on('error', io.over);
  return request;
}

/** The response of a server to a client that reads it. */
async function response(io: Io, { slow = false, secure = false }: Ends): Promise<Writable> {
  return new Promise((resolve, reject) => {
    serve(io, secure, (_, response) => resolve(response)).then((port) => {
      const request = ask(io, secure, port, 'GET');
      request.on('response', (incoming) => collect(io, incoming, slow));
      request.end();
    }, reject);
  });
}

/** The request of a client to a server that reads it. */
async function request(io: Io, { slow = false, secure = false }: Ends): Promise<Writable> {
  const port = await serve(io, secure, (incoming, response) => {
    collect(io, incoming, slow);
    incoming.on('end', () => response.end());
  });
  const request = ask(io, secure, port, 'POST');
  request.on('response', (incoming) => incoming.resume());
  return request;
}

export const httpConsumers: readonly Consumer[] = [
  ...streamed('http.ServerResponse', { framed: true }, (io) => response(io, {}), ['end', 'write', 'queue', 'cork']),
  ...streamed('http.ServerResponse, slow reader', { framed: true }, (io) => response(io, { slow: true })),
  ...streamed('http.ClientRequest', { framed: true }, (io) => request(io, {})),
  ...streamed('http.ClientRequest, slow reader', { framed: true }, (io) => request(io, { slow: true })),
  ...streamed('https.ServerResponse', { framed: true }, (io) => response(io, { secure: true })),
  ...streamed('https.ServerResponse, slow reader', { framed: true }, (io) =>
    response(io, { secure: true, slow: true }),
  ),
  ...streamed('https.ClientRequest', { framed: true }, (io) => request(io, { secure: true }), ['end']),
  ...streamed('https.ClientRequest, slow reader', { framed: true }, (io) => request(io, { secure: true, slow: true }), [
    'end',
  ]),
];
