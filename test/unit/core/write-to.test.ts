import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { createServer as createHttpServer, get } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { PassThrough, Writable } from 'node:stream';
import { expect } from 'chai';
import { Pool, Slice, stats } from '../../../lib/index.ts';
import { watched } from '../../helpers/blocks.ts';
import { collectUntil, settle } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { temporary } from '../../helpers/fixture.ts';

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

function bodyOf(port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
    }).on('error', reject);
  });
}

describe('slice.writeTo', () => {
  beforeEach(() => settle(stats));

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

  it('takes a stream whose methods were replaced for one that passes bytes on', async () => {
    const file = createWriteStream(temporary('replaced'));
    const chunks: Buffer[] = [];
    file.write = wrong((chunk: Buffer, done: () => void) => {
      chunks.push(chunk);
      setImmediate(done);
      return true;
    });
    const { slice, ended } = watched(1000);
    slice.bytes.set(pattern(1000));
    await slice.writeTo(file);
    slice.release();
    expect(ended.length).to.equal(0);
    expect(chunks[0]?.equals(pattern(1000))).to.equal(true);
    file.end();
    await once(file, 'close');
  });

  it('refuses a stream that throws when it is looked at', () => {
    using slice = Slice.alloc(8);
    const hostile = (name: string) =>
      new Proxy(createWriteStream(temporary('hostile')), {
        get(stream, key) {
          if (key === name) throw new Error('no property');
          return Reflect.get(stream, key, stream);
        },
      });
    expectError(() => slice.writeTo(hostile('on')), 'ERR_CSLICE_TYPE', /writable cannot be read: no property/);
    return slice.writeTo(hostile('_writev')).then(
      () => expect.fail('it must be refused'),
      (error) => expect(error).to.include({ code: 'ERR_CSLICE_TYPE' }),
    );
  });

  it('leaves the bytes to a stream that passes them on', async () => {
    const { slice, ended } = watched(1000);
    slice.bytes.set(pattern(1000));
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
      expect(destroyed).to.be.instanceOf(Error);
      slice.release();
    })();
    await collectUntil(() => stats().liveBlocks === before, 'the block has ended');
  });

  it('resolves at once for an empty slice', async () => {
    using slice = Slice.alloc(0);
    await slice.writeTo(new Writable({ write: () => {} }));
  });

  it('throws at once for what is not a stream, and for a released slice', () => {
    const slice = Slice.alloc(8);
    for (const value of [undefined, null, 5, {}, { write: () => {} }]) {
      expectError(() => slice.writeTo(wrong(value)), 'ERR_CSLICE_TYPE', /writable/);
    }
    slice.release();
    expectError(() => slice.writeTo(new PassThrough()), 'ERR_CSLICE_RELEASED');
  });
});
