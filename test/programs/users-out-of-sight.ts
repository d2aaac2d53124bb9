// Releases a slice while a part of Node uses its memory that no list shows. Prints whether the memory was freed at once, and
// how many of the bytes that were used then are not the slice's. The argument names the part.
import { AsyncResource } from 'node:async_hooks';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import v8 from 'node:v8';
import { Slice, stats } from '../../lib/index.ts';

const [mine, other] = [0x41, 0x53];
let freed = -1;
const others: Slice[] = [];

/** Releases, and makes slices that would get the memory, of other bytes. */
function release(slice: Slice): void {
  const { byteLength } = slice;
  const before = stats().liveBlocks;
  slice.release();
  freed = before - stats().liveBlocks;
  for (let i = 0; i < 20; i++) {
    others.push(Slice.alloc(byteLength));
    others.at(-1)?.bytes.fill(other);
  }
}

async function foreignIn(stream: AsyncIterable<Buffer>): Promise<number> {
  let foreign = 0;
  for await (const chunk of stream) for (const byte of chunk) if (byte !== mine) foreign++;
  return foreign;
}

/** The parser goes on with the chunk after the handler. */
async function parser(): Promise<number> {
  const size = 60_000;
  const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`;
  const slice = Slice.fromBytes(Buffer.from(head + 'A'.repeat(size)));
  const bound = AsyncResource.bind(() => release(slice));
  const server = http.createServer(() => bound());
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  server.emit('connection', stream);
  await delay(20);
  const [[request]] = await Promise.all([
    once(server, 'request') as Promise<[IncomingMessage]>,
    stream.push(Buffer.from(slice.buffer as ArrayBuffer)),
  ]);
  return foreignIn(request);
}

/** A socket reads into its buffer as long as it lives. */
function socket(stop: (socket: net.Socket) => void): () => Promise<number> {
  return async () => {
    const server = net.createServer((peer) => peer.on('data', () => peer.write(Buffer.alloc(4096, other + 1))));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const slice = Slice.alloc(4096);
    let read = 0;
    const callback = (count: number): boolean => {
      read += count;
      return true;
    };
    const { port } = server.address() as AddressInfo;
    const client = net.connect({ port, onread: { buffer: slice.bytes, callback } });
    await once(client, 'connect');
    stop(client);
    await delay(20);
    release(slice);
    client.resume();
    client.write('go');
    while (read < 4096) await delay(5);
    return others.filter((slice) => slice.bytes.some((byte) => byte !== other)).length;
  };
}

class Side extends Duplex {
  other: Side | undefined;
  done: (() => void) | undefined;

  override _read(): void {
    const { done } = this;
    this.done = undefined;
    done?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (chunk.length === 0) process.nextTick(done);
    else if (this.other !== undefined) {
      this.other.push(Buffer.from(chunk));
      this.other.done = done;
    }
  }
}

/** HTTP/2 keeps what flow control does not let it send, here without any socket, and in a program that uses fetch. */
async function session(): Promise<number> {
  await fetch('data:text/plain,hello');
  const [one, two] = [new Side(), new Side()];
  one.other = two;
  two.other = one;
  const server = http2.createServer();
  const released = new Promise<void>((resolve) => {
    server.on('stream', (stream) => {
      const slice = Slice.alloc(120_000);
      stream.respond({ ':status': 200 });
      stream.end(slice.bytes.fill(mine));
      setTimeout(() => resolve(release(slice)), 50);
    });
  });
  server.emit('connection', two);
  const request = http2.connect('http://x', { createConnection: () => one }).request({ ':path': '/' });
  await released;
  return foreignIn(request);
}

/** A deserializer calls a method of the program, and goes on. */
async function deserializer(): Promise<number> {
  class Writer extends v8.Serializer {
    _writeHostObject(): void {
      this.writeUint32(1);
    }
  }
  const writer = new Writer();
  const views = writer as unknown as { _setTreatArrayBufferViewsAsHostObjects(on: boolean): void };
  views._setTreatArrayBufferViewsAsHostObjects(true);
  writer.writeHeader();
  writer.writeValue([new Uint8Array(1), 'A'.repeat(4000)]);
  const slice = Slice.fromBytes(writer.releaseBuffer());
  class Reader extends v8.Deserializer {
    _readHostObject(): object {
      this.readUint32();
      release(slice);
      return {};
    }
  }
  const reader = new Reader(slice.bytes);
  reader.readHeader();
  const [, text] = reader.readValue() as [object, string];
  return [...text].filter((letter) => letter !== 'A').length;
}

const parts: Record<string, () => Promise<number>> = {
  parser,
  paused: socket((client) => void client.pause()),
  unreferenced: socket((client) => void client.unref()),
  session,
  deserializer,
};
const foreign = await parts[process.argv[2] ?? '']?.();
console.log(JSON.stringify({ freed, foreign }));
process.exit();
