import { once } from 'node:events';
import fs, { createWriteStream, readFileSync, WriteStream } from 'node:fs';
import { createServer as createHttpServer, get, OutgoingMessage } from 'node:http';
import { type AddressInfo, createConnection, createServer, Socket } from 'node:net';
import { PassThrough, Writable } from 'node:stream';
import { expect } from 'chai';
import { configure, Pool, Slice, stats } from '../../../lib/index.ts';
import { watched } from '../../helpers/blocks.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { runtime } from '../../helpers/engine.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { temporary } from '../../helpers/fixture.ts';

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

function bodyOf(port: number, path = ''): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    get({ port, path: `/${path}`, host: '127.0.0.1', agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
    }).on('error', reject);
  });
}

describe('slice.writeTo', () => {
  if (runtime === 'node') {
    // Bun's response throws at a write after the end.
    it('keeps a rented block until its bytes are sent, although the response tells an error of another write', async () => {
      const size = 4 << 20;
      using pool = new Pool({ byteLength: size, capacity: 2 });
      let written: Promise<void> | undefined;
      const server = createHttpServer((_request, response) => {
        response.on('error', () => {});
        const rented = pool.rent();
        rented.bytes.fill(0x41);
        response.writeHead(200, { 'content-length': size });
        written = rented.writeTo(response);
        rented.release();
        response.end();
        response.write('after the end');
        setTimeout(() => {
          pool.rent().bytes.fill(0x53);
          client.resume();
        }, 20);
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const client = createConnection((server.address() as AddressInfo).port, '127.0.0.1').pause();
      client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      const chunks: Buffer[] = [];
      client.on('data', (chunk: Buffer) => chunks.push(chunk));
      await once(client, 'close');
      await written;
      const body = Buffer.concat(chunks).subarray(-size);
      expect([body.length, body.findIndex((byte) => byte !== 0x41)]).to.deep.equal([size, -1]);
      await new Promise((resolve) => server.close(resolve));
    });
  }

  it('writes every byte to a file, although the slice is released meanwhile, and leaves no block', async () => {
    const before = stats().liveBlocks;
    const path = temporary('written');
    const file = createWriteStream(path);
    const slice = Slice.fromBytes(pattern(1 << 20));
    const written = slice.writeTo(file);
    slice.release();
    await written;
    expect(stats().liveBlocks).to.equal(before);
    file.end();
    await once(file, 'close');
    expect(readFileSync(path).equals(pattern(1 << 20))).to.equal(true);
  });

  it('writes every byte to a slow socket, with its memory free at the end', async () => {
    const before = stats().liveBlocks;
    const received: Buffer[] = [];
    const server = createServer((socket: Socket) => {
      socket.on('data', (chunk) => received.push(chunk)).pause();
      setTimeout(() => socket.resume(), 50);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { createConnection } = await import('node:net');
    const socket = createConnection((server.address() as { port: number }).port, '127.0.0.1');
    await once(socket, 'connect');
    const slice = Slice.fromBytes(pattern(8 << 20));
    const written = slice.writeTo(socket);
    slice.release();
    await written;
    expect(stats().liveBlocks).to.equal(before);
    socket.end();
    await once(socket, 'close');
    server.close();
    expect(Buffer.concat(received).equals(pattern(8 << 20))).to.equal(true);
  });

  it('writes an HTTP response, and a rented block can be rented again when the bytes have left', async () => {
    using pool = new Pool({ byteLength: 1 << 20 });
    const rents: boolean[] = [];
    const server = createHttpServer(async (_request, response) => {
      const slice = pool.rent();
      const { address } = slice;
      slice.bytes.set(pattern(1 << 20));
      const written = slice.writeTo(response);
      slice.release();
      response.end();
      await written;
      using again = pool.rent();
      rents.push(again.address === address);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    for (let i = 0; i < 3; i++) {
      const answer = await bodyOf((server.address() as { port: number }).port);
      expect(answer.equals(pattern(1 << 20))).to.equal(true);
    }
    server.close();
    expect(rents).to.deep.equal([true, true, true]);
  });

  describe('takes for a stream that passes bytes on', () => {
    const path = (): string => temporary('passing');

    /** After the write, the memory must still be there for whatever else the stream does with it. */
    async function expectWaiting(stream: Writable): Promise<void> {
      const { slice, ended } = watched(1000);
      slice.copyFrom(pattern(1000));
      await slice.writeTo(stream);
      slice.release();
      expect(ended.length).to.equal(0);
      stream.destroy();
    }

    it('a file whose method was replaced, by a value, a getter or a subclass', async () => {
      const chunks: Buffer[] = [];
      const write = (chunk: Buffer, done: () => void): boolean => {
        chunks.push(chunk);
        setImmediate(done);
        return true;
      };
      const byValue = createWriteStream(path());
      byValue.write = wrong(write);
      await expectWaiting(byValue);
      expect(chunks[0]?.equals(pattern(1000))).to.equal(true);
      const original = WriteStream.prototype.write;
      let reads = 0;
      const byGetter = Object.defineProperty(createWriteStream(path()), 'write', {
        get: () => (reads++ === 1 ? original : write), // the second read is the one that a check might make
      });
      await expectWaiting(byGetter);
      for (const name of ['write', '_write', '_writev']) {
        const type = class extends WriteStream {};
        Object.defineProperty(type.prototype, name, { value: Reflect.get(WriteStream.prototype, name) });
        await expectWaiting(Reflect.construct(type, [path()]));
      }
    });

    it('a file with functions of the program in place of node:fs, which may write later', async () => {
      const later: Promise<unknown>[] = [];
      const write: typeof fs.write = wrong(
        (fd: number, bytes: Buffer, at: number, size: number, _: unknown, done: (...all: unknown[]) => void) => {
          later.push(new Promise((resolve) => fs.write(fd, bytes, at, size, 0, resolve)));
          done(null, size, bytes);
        },
      );
      const { open, close, writev } = fs;
      const stream = createWriteStream(path(), { fs: { open, close, writev, write } });
      await once(stream, 'open');
      await expectWaiting(stream);
      await Promise.all(later);
    });

    it('a Proxy of a file, none of whose traps is asked for what tells that', async () => {
      const asked: unknown[] = [];
      const file = createWriteStream(path());
      const proxy = new Proxy(file, {
        getPrototypeOf: (target) => {
          asked.push('getPrototypeOf');
          return Reflect.getPrototypeOf(target);
        },
        getOwnPropertyDescriptor: (target, key) => {
          asked.push(key);
          return Reflect.getOwnPropertyDescriptor(target, key);
        },
        get: (target, key) => Reflect.get(target, key, target),
      });
      await expectWaiting(proxy);
      const byUs = asked.filter((key) => /write|kFs|getPrototypeOf/.test(String(key)));
      expect(byUs).to.deep.equal([]);
    });

    it('a response whose methods were replaced, or that has no socket of its own', async () => {
      const names = ['write', '_send', '_writeRaw', 'none'];
      const server = createHttpServer(async (request, response) => {
        const name = (request.url ?? '').slice(1);
        if (name !== 'none') Reflect.set(response, name, Reflect.get(response, name));
        const { slice, ended } = watched(1000);
        slice.copyFrom(pattern(1000));
        await slice.writeTo(response);
        slice.release();
        response.end(String(ended.length));
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as { port: number };
      const told = [];
      for (const name of names) told.push((await bodyOf(port, name)).subarray(1000).toString());
      server.close();
      expect(told).to.deep.equal(['0', '0', '0', '1']);
      const { slice, ended } = watched(1000);
      const message = new OutgoingMessage(); // keeps the bytes until it gets a socket
      Reflect.set(message, '_header', '');
      slice.writeTo(message);
      slice.release();
      expect(ended.length).to.equal(0);
    });

    /** A connection to a server that reads whatever comes. */
    async function withSocket(use: (socket: Socket) => Promise<void>): Promise<void> {
      const server = createServer((socket: Socket) => void socket.resume()).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const socket = createConnection((server.address() as { port: number }).port, '127.0.0.1');
      await once(socket, 'connect');
      try {
        await use(socket);
      } finally {
        socket.destroy();
        server.close();
      }
    }

    /** How many blocks have ended after the write and the release of one. */
    async function endedAfter(socket: Socket): Promise<number> {
      const { slice, ended } = watched(1000);
      await slice.writeTo(socket);
      slice.release();
      return ended.length;
    }

    it('a socket whose method was replaced', async () => {
      for (const name of ['write', '_write', '_writev', '_writeGeneric']) {
        await withSocket(async (socket) => {
          expect(await endedAfter(socket), 'as it is').to.equal(1);
          Reflect.set(socket, name, Reflect.get(socket, name));
          expect(await endedAfter(socket), name).to.equal(0);
        });
      }
    });

    /** The same while a property of `object` is another function, which does what it did. */
    async function whereChanged(object: object, name: string, count: () => Promise<number>): Promise<number> {
      const before = Object.getOwnPropertyDescriptor(object, name);
      const original = Reflect.get(object, name);
      Reflect.set(object, name, function (this: unknown, ...args: unknown[]): unknown {
        return Reflect.apply(original, this, args);
      });
      try {
        return await count();
      } finally {
        if (before === undefined) Reflect.deleteProperty(object, name);
        else Object.defineProperty(object, name, before);
      }
    }

    it('a socket whose class was changed', async () => {
      for (const name of ['write', '_write', '_writev', '_writeGeneric']) {
        await withSocket(async (socket) => {
          expect(await whereChanged(Socket.prototype, name, () => endedAfter(socket)), name).to.equal(0);
          expect(await endedAfter(socket), 'as it is').to.equal(1);
        });
      }
    });

    it('a file whose class or module was changed', async () => {
      const toFile = async (): Promise<number> => {
        const { slice, ended } = watched(1000);
        const file = createWriteStream(path());
        await slice.writeTo(file);
        slice.release();
        file.destroy();
        return ended.length;
      };
      expect(await toFile(), 'as it is').to.equal(1);
      for (const name of ['write', '_write', '_writev']) {
        expect(await whereChanged(WriteStream.prototype, name, toFile), name).to.equal(0);
      }
      for (const name of ['write', 'writev']) expect(await whereChanged(fs, name, toFile), name).to.equal(0);
      expect(await toFile(), 'as it is again').to.equal(1);
    });

    it('a socket whose handle the program has made', async () => {
      await withSocket(async (socket) => {
        expect(await endedAfter(socket), 'of Node').to.equal(1);
        const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'kHandle') as symbol;
        const handle: object = Reflect.get(socket, key);
        class Later {
          writeBuffer(): number {
            return 0;
          }
        }
        for (const other of [new Later(), new Proxy(new Later(), {})]) {
          Reflect.set(socket, key, other);
          expect(await endedAfter(socket), 'of the program').to.equal(0);
        }
        Reflect.set(socket, key, handle);
      });
    });

    it('a socket without a handle, which fails as it does for any bytes', async () => {
      using slice = Slice.alloc(8);
      const { code } = await slice.writeTo(new Socket()).catch((error) => error);
      expect(code).to.equal('ERR_SOCKET_CLOSED');
    });
  });

  it('refuses a stream that throws when it is looked at', () => {
    using slice = Slice.alloc(8);
    const hostile = new Proxy(createWriteStream(temporary('hostile')), {
      get(stream, key) {
        if (key === 'on') throw new Error('no property');
        return Reflect.get(stream, key, stream);
      },
    });
    expectError(() => slice.writeTo(hostile), 'ERR_CSLICE_TYPE', /writable cannot be read: no property/);
  });

  it('leaves the bytes to a stream that passes them on', async () => {
    const { slice, ended } = watched(1000);
    slice.copyFrom(pattern(1000));
    const pass = new PassThrough();
    await slice.writeTo(pass);
    slice.release();
    const chunk = pass.read() as Buffer;
    expect(chunk.equals(pattern(1000))).to.equal(true);
    expect(ended.length).to.equal(0);
  });

  it('rejects when the stream fails or is destroyed half-way, and the block ends', async () => {
    const before = stats().liveBlocks;
    await (async () => {
      const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) });
      const stuck = new Writable({ write: () => {} });
      const slice = Slice.alloc(100);
      const failure = await slice.writeTo(failing).catch((error) => error);
      expect(failure.message).to.equal('disk full');
      setImmediate(() => stuck.destroy());
      const destroyed = await slice.writeTo(stuck).catch((error) => error);
      expect(destroyed).to.include({
        code: 'ERR_CSLICE_STREAM',
        message: 'The stream was closed before it had written the slice',
      });
      slice.release();
    })();
    await collectUntil(() => stats().liveBlocks === before, 'the block has ended');
  });

  it('leaves no listener on the stream', async () => {
    const pass = new PassThrough();
    const listeners = (): number => pass.listenerCount('close') + pass.listenerCount('error');
    const before = listeners();
    using slice = Slice.alloc(100);
    const written = slice.writeTo(pass);
    expect(listeners()).to.equal(before + 2);
    await written;
    expect(listeners()).to.equal(before);
  });

  it('does not lend a rented block again that a stream has passed on', async () => {
    using pool = new Pool({ byteLength: 100 });
    const rented = pool.rent();
    rented.bytes.fill(1);
    const pass = new PassThrough();
    await rented.writeTo(pass);
    rented.release();
    using again = pool.rent();
    again.bytes.fill(2);
    expect((pass.read() as Buffer).every((byte) => byte === 1)).to.equal(true);
  });

  it('is named among what holds the block', async () => {
    configure({ track: true });
    try {
      using slice = Slice.alloc(100);
      const pass = new PassThrough();
      await slice.writeTo(pass);
      expect(slice.holders().map(({ holder }) => holder)).to.include('stream');
      pass.destroy();
    } finally {
      configure({ track: false });
    }
  });

  it('writes a range, of a rented slice too, and refuses one that the slice does not have', async () => {
    const chunks: Buffer[] = [];
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(Buffer.from(chunk));
        done();
      },
    });
    using slice = Slice.fromBytes(pattern(100));
    using pool = new Pool({ byteLength: 100 });
    using rented = pool.rent();
    rented.copyFrom(pattern(100));
    const path = temporary('range');
    const file = createWriteStream(path);
    for (const each of [slice, rented]) {
      await each.writeTo(stream, 10);
      await each.writeTo(stream, 10, 20);
      await each.writeTo(stream, 20, 20);
      await each.writeTo(file, 90);
      await each.writeTo(file, 3, 5);
      for (const [start, end] of [[101], [-1], [5, 4], [0, 101], [0.5]]) {
        expectError(() => each.writeTo(stream, start, end), 'ERR_CSLICE_RANGE', /^(start|end) must be an integer from/);
      }
    }
    const all = pattern(100);
    const expected = [all.subarray(10), all.subarray(10, 20)];
    expect(Buffer.concat(chunks).equals(Buffer.concat([...expected, ...expected]))).to.equal(true);
    const ends = [all.subarray(90), all.subarray(3, 5)];
    expect(readFileSync(path).equals(Buffer.concat([...ends, ...ends]))).to.equal(true);
    file.destroy();
  });

  it('resolves at once for an empty slice', async () => {
    using slice = Slice.alloc(0);
    await slice.writeTo(new Writable({ write: () => {} }));
  });

  it('throws at once for what is not a stream, and for a released slice', () => {
    const slice = Slice.alloc(8);
    for (const value of [undefined, null, 5, {}, { write: () => {} }, { on: () => {} }]) {
      expectError(() => slice.writeTo(wrong(value)), 'ERR_CSLICE_TYPE', /^writable must be a Node stream, got/);
    }
    slice.release();
    expectError(() => slice.writeTo(new PassThrough()), 'ERR_CSLICE_RELEASED');
  });
});
