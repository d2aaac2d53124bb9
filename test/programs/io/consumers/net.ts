/** Sockets: TCP, Unix, TLS and UDP. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import type { Writable } from 'node:stream';
import tls from 'node:tls';
import { type Consumer, collect, type Io, into, listen, local, out, streamed } from '../consumer.ts';

/** A server whose connections are read to their end. */
function sink(io: Io, slow: boolean): net.Server {
  return net.createServer((socket) => {
    io.defer(() => socket.destroy());
    collect(io, socket, slow);
  });
}

async function connected(io: Io, options: net.NetConnectOpts): Promise<net.Socket> {
  const socket = net.connect(options);
  io.defer(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

async function tcp(io: Io, slow: boolean): Promise<Writable> {
  return connected(io, { port: await listen(io, sink(io, slow)), host: local });
}

async function secure(io: Io, slow: boolean): Promise<Writable> {
  const { key, cert } = io;
  const server = tls.createServer({ key, cert }, (socket) => {
    io.defer(() => socket.destroy());
    collect(io, socket, slow);
  });
  const port = await listen(io, server);
  const socket = tls.connect({ port, host: local, rejectUnauthorized: false });
  io.defer(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

/** What the server is sent on a connection of the client's making, when the event has happened. */
function sender(io: Io): Promise<number> {
  return listen(
    io,
    net.createServer((socket) => {
      io.defer(() => socket.destroy());
      socket.on('error', () => {});
      io.happened.then(() => socket.end(io.content));
    }),
  );
}

async function receiver(io: Io): Promise<{ readonly socket: dgram.Socket; readonly port: number }> {
  const server = dgram.createSocket('udp4');
  const socket = dgram.createSocket('udp4');
  io.defer(() => server.close());
  io.defer(() => socket.close());
  server.on('message', (message) => {
    io.took(message);
    io.over();
  });
  server.bind(0, local);
  await once(server, 'listening');
  return { socket, port: server.address().port };
}

function failed(io: Io): (error: Error | null) => void {
  return (error) => {
    if (error) io.over(error);
  };
}

const datagram = { largest: 100 }; // the larger sizes of the matrix do not fit

export const netConsumers: readonly Consumer[] = [
  ...streamed('net.Socket', {}, (io) => tcp(io, false), ['end', 'write', 'queue', 'cork']),
  ...streamed('net.Socket, slow reader', {}, (io) => tcp(io, true), ['end', 'write', 'queue', 'cork']),
  ...streamed('net.Socket, still connecting', {}, async (io) => {
    const socket = net.connect({ port: await listen(io, sink(io, false)), host: local });
    io.defer(() => socket.destroy());
    return socket;
  }),
  ...streamed('Unix socket, slow reader', {}, async (io) => {
    const server = sink(io, true);
    io.defer(() => server.close());
    server.listen(io.path);
    await once(server, 'listening');
    return connected(io, { path: io.path });
  }),
  ...streamed('tls.TLSSocket', {}, (io) => secure(io, false), ['end', 'write', 'queue', 'cork']),
  ...streamed('tls.TLSSocket, slow reader', {}, (io) => secure(io, true)),
  ...streamed('tls.TLSSocket, shaking hands', {}, async (io) => {
    const { key, cert } = io;
    const server = tls.createServer({ key, cert }, (socket) => {
      io.defer(() => socket.destroy());
      collect(io, socket);
    });
    const port = await listen(io, server);
    const socket = tls.connect({ port, host: local, rejectUnauthorized: false });
    io.defer(() => socket.destroy());
    return socket;
  }),
  out('dgram.Socket.send', datagram, async (io) => {
    const { socket, port } = await receiver(io);
    return (bytes) => socket.send(bytes, port, local, failed(io));
  }),
  out('dgram.Socket.send of a list', datagram, async (io) => {
    const { socket, port } = await receiver(io);
    return (bytes) => {
      const half = bytes.byteLength >> 1;
      socket.send([bytes.subarray(0, half), bytes.subarray(half)], port, local, failed(io));
    };
  }),
  out('dgram.Socket.send to a name', datagram, async (io) => {
    const { socket, port } = await receiver(io);
    return (bytes) => socket.send(bytes, port, 'localhost', failed(io)); // waits for the look-up
  }),
  out('dgram.Socket.send, connected', datagram, async (io) => {
    const { socket, port } = await receiver(io);
    socket.connect(port, local);
    await once(socket, 'connect');
    return (bytes) => socket.send(bytes, failed(io));
  }),
  into('net.Socket with onread', {}, async (io) => {
    const port = await sender(io);
    return (bytes) => {
      const callback = (count: number, buffer: Uint8Array): boolean => {
        io.took(buffer.subarray(0, count));
        return true;
      };
      const socket = net.connect({ port, host: local, onread: { buffer: bytes, callback } });
      watch(io, socket);
    };
  }),
];

function watch(io: Io, socket: net.Socket): void {
  io.defer(() => socket.destroy());
  socket.on('error', io.over);
  socket.on('close', () => io.over());
}
