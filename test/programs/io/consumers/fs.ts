/** Files: callbacks, promises, FileHandles and streams. */
import fs from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Consumer, type Io, into, out, streamed, type Traits } from '../consumer.ts';

const file: Traits = { file: true, pool: true };
const inPool: Traits = { pool: true };

function opened(io: Io, flags: string): number {
  const fd = fs.openSync(io.path, flags);
  io.defer(() => fs.closeSync(fd));
  return fd;
}

async function handle(io: Io, flags: string): Promise<fs.promises.FileHandle> {
  const file = await fs.promises.open(io.path, flags);
  io.defer(() => file.close());
  return file;
}

/** A file with the content that is to be read into the memory. */
function written(io: Io): Io {
  fs.writeFileSync(io.path, io.content);
  return io;
}

function settle(io: Io, promise: Promise<unknown>): void {
  promise.then(() => io.over(), io.over);
}

interface ReadResult {
  readonly bytesRead: number;
  readonly buffer?: ArrayBufferView;
  readonly buffers?: readonly ArrayBufferView[];
}

function settleRead(io: Io, promise: Promise<ReadResult>): void {
  promise.then(({ bytesRead, buffer, buffers }) => io.filled(undefined, bytesRead, buffer ?? buffers ?? []), io.over);
}

export const fsConsumers: readonly Consumer[] = [
  out('fs.write', file, (io) => {
    const fd = opened(io, 'w');
    return (bytes) => fs.write(fd, bytes, 0, bytes.byteLength, 0, io.over);
  }),
  out('fs.writev', file, (io) => {
    const fd = opened(io, 'w');
    return (bytes) => {
      const half = bytes.byteLength >> 1;
      fs.writev(fd, [bytes.subarray(0, half), bytes.subarray(half)], 0, io.over);
    };
  }),
  out('fs.writeFile', file, (io) => (bytes) => fs.writeFile(io.path, bytes, io.over)),
  out('fs.writeFile to a descriptor', file, (io) => {
    const fd = opened(io, 'w');
    return (bytes) => fs.writeFile(fd, bytes, io.over);
  }),
  out('fs.appendFile', file, (io) => (bytes) => fs.appendFile(io.path, bytes, io.over)),
  out('fs.promises.writeFile', file, (io) => (bytes) => settle(io, fs.promises.writeFile(io.path, bytes))),
  // Parts of more than 512 KiB are written piece by piece, and Node spins where one is released in between: docs/node-io.md.
  out('fs.promises.writeFile of an iterable', { ...file, largest: 65_536 }, (io) => (bytes) => {
    settle(io, fs.promises.writeFile(io.path, [bytes]));
  }),
  out('fs.promises.appendFile', file, (io) => (bytes) => settle(io, fs.promises.appendFile(io.path, bytes))),
  out('FileHandle.write', file, async (io) => {
    const target = await handle(io, 'w');
    return (bytes) => settle(io, target.write(bytes));
  }),
  out('FileHandle.writev', file, async (io) => {
    const target = await handle(io, 'w');
    return (bytes) => {
      const half = bytes.byteLength >> 1;
      settle(io, target.writev([bytes.subarray(0, half), bytes.subarray(half)]));
    };
  }),
  out('FileHandle.writeFile', file, async (io) => {
    const target = await handle(io, 'w');
    return (bytes) => settle(io, target.writeFile(bytes));
  }),
  out('FileHandle.appendFile', file, async (io) => {
    const target = await handle(io, 'a');
    return (bytes) => settle(io, target.appendFile(bytes));
  }),
  ...streamed(
    'fs.createWriteStream',
    file,
    (io) => {
      const stream = fs.createWriteStream(io.path);
      stream.on('close', () => io.over());
      return stream;
    },
    ['end', 'write', 'queue', 'cork'],
  ),
  ...streamed('FileHandle.createWriteStream', file, async (io) => {
    const stream = (await fs.promises.open(io.path, 'w')).createWriteStream();
    stream.on('close', () => io.over());
    return stream;
  }),
  out('pipeline from Readable.from to a file', file, (io) => (bytes) => {
    settle(io, pipeline(Readable.from([bytes]), fs.createWriteStream(io.path)));
  }),

  into('fs.read', inPool, (io) => {
    const fd = opened(written(io), 'r');
    return (bytes) => fs.read(fd, bytes, 0, bytes.byteLength, 0, io.filled);
  }),
  into('fs.read with options', inPool, (io) => {
    const fd = opened(written(io), 'r');
    return (bytes) => fs.read(fd, { buffer: bytes, position: 0 }, io.filled);
  }),
  into('fs.readv', inPool, (io) => {
    const fd = opened(written(io), 'r');
    return (bytes) => {
      const half = bytes.byteLength >> 1;
      fs.readv(fd, [bytes.subarray(0, half), bytes.subarray(half)], 0, io.filled);
    };
  }),
  into('FileHandle.read', inPool, async (io) => {
    const source = await handle(written(io), 'r');
    return (bytes) => settleRead(io, source.read(bytes, 0, bytes.byteLength, 0));
  }),
  into('FileHandle.readv', inPool, async (io) => {
    const source = await handle(written(io), 'r');
    return (bytes) => {
      const half = bytes.byteLength >> 1;
      settleRead(io, source.readv([bytes.subarray(0, half), bytes.subarray(half)], 0));
    };
  }),
];
