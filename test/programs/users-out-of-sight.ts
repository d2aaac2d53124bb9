// Releases a slice while a part of Node uses its memory that no list shows. Prints whether the memory was freed at once, and
// how many of the bytes that were used then are not the slice's. The argument names the part.
import { AsyncResource, createHook } from 'node:async_hooks';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import vm from 'node:vm';
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
async function parser(within: (work: () => void) => void): Promise<number> {
  const size = 60_000;
  const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`;
  const slice = Slice.fromBytes(Buffer.from(head + 'A'.repeat(size)));
  const server = http.createServer(() => within(() => release(slice)));
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  server.emit('connection', stream);
  await delay(20);
  const [[request]] = await Promise.all([
    once(server, 'request') as Promise<[IncomingMessage]>,
    stream.push(Buffer.from(slice.buffer as ArrayBuffer)),
  ]);
  return foreignIn(request);
}

function bound(work: () => void): void {
  AsyncResource.bind(work)();
}

/** A promise of a context with microtasks of its own, which run at the end of its script. */
function inContext(work: () => void): void {
  createHook({ init() {}, before() {}, after() {} }).enable(); // so that the promise is the resource
  const context = vm.createContext({ work }, { microtaskMode: 'afterEvaluate' });
  vm.runInContext('Promise.resolve().then(() => work()); 1', context);
}

/** A socket reads into its buffer as long as it lives. With `close`, it gets the descriptor that this closes. */
function socket(stop: (socket: net.Socket) => void, close?: () => void): () => Promise<number> {
  return async () => {
    const server = net.createServer((peer) => peer.on('data', () => peer.write(Buffer.alloc(4096, other + 1))));
    const path = close === undefined ? undefined : join(tmpdir(), `cslice-${process.pid}.sock`);
    await once(path === undefined ? server.listen(0, '127.0.0.1') : server.listen(path), 'listening');
    close?.();
    await delay(20);
    const slice = Slice.alloc(4096);
    let read = 0;
    const callback = (count: number): boolean => {
      read += count;
      return true;
    };
    const onread = { buffer: slice.bytes, callback };
    const to = path === undefined ? { port: (server.address() as AddressInfo).port } : { path };
    const client = net.connect({ ...to, onread });
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
  const http2 = await import('node:http2'); // where fetch has not loaded it, all memory waits from here
  void Slice.alloc(8).bytes; // cslice notices it now
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

/** A deserializer calls a method of the program, and goes on. `early`: with a view from before `node:v8` was loaded. */
async function deserializer(early?: Slice): Promise<number> {
  early?.bytes.fill(0);
  const v8 = await import('node:v8');
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
  const bytes = writer.releaseBuffer();
  const slice = early ?? Slice.alloc(bytes.length);
  slice.copyFrom(bytes);
  class Reader extends v8.Deserializer {
    _readHostObject(): object {
      this.readUint32();
      void Slice.alloc(8).bytes; // the first view since then
      release(slice);
      return {};
    }
  }
  const reader = new Reader(slice.bytes);
  reader.readHeader();
  const [, text] = reader.readValue() as [object, string];
  return [...text].filter((letter) => letter !== 'A').length;
}

/** In a process with a channel. */
async function inChild(work: () => Promise<number>): Promise<number> {
  if (process.send !== undefined) return work();
  const child = fork(process.argv[1] as string, process.argv.slice(2));
  await once(child, 'exit');
  return process.exit();
}

const unreference = (client: net.Socket): void => void client.unref();

const parts: Record<string, () => Promise<number>> = {
  parser: () => parser(bound),
  'parser in a context': () => parser(inContext),
  'descriptor 0': socket(unreference, () => closeSync(0)),
  channel: () => inChild(socket(unreference, () => process.disconnect())),
  paused: socket((client) => void client.pause()),
  unreferenced: socket(unreference),
  session,
  deserializer: () => deserializer(),
  'late deserializer': () => deserializer(Slice.alloc(8192)),
};
const foreign = await parts[process.argv[2] ?? '']?.();
console.log(JSON.stringify({ freed, foreign }));
process.exit();
