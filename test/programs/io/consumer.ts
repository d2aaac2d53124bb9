/** What a consumer is: one asynchronous operation of the runtime that takes an ArrayBufferView. */
import { once } from 'node:events';
import type net from 'node:net';
import type { Readable, Writable } from 'node:stream';

/** The address at which the servers of the cells listen. */
export const local = '127.0.0.1';

export type Bytes = Uint8Array<ArrayBuffer>;

/** What a consumer is given beside the bytes. Its functions hold neither the bytes nor what leads to them. */
export interface Io {
  /** The size of the cell. */
  readonly size: number;
  /** For operations that write into the memory: what they are to write. */
  readonly content: Bytes;
  /** A file of this cell alone. */
  readonly path: string;
  /** A key and a self-signed certificate, in PEM. */
  readonly key: string;
  readonly cert: string;
  /** Settles shortly after the event: when slow readers start to read. */
  readonly happened: Promise<void>;
  /** Bytes that have arrived. Copies them. */
  took(chunk: Uint8Array): void;
  /** The operation has ended, or failed. Only the first call counts. */
  over(error?: unknown): void;
  /** What `fs.read` and its kind call. */
  filled(error: unknown, count: number, into: ArrayBufferView | readonly ArrayBufferView[]): void;
  /** Runs at the end of the cell. */
  defer(close: () => unknown): void;
}

/** Starts the operation. Must not hold the bytes itself: a closure over them would hide what the runtime forgets. */
export type Start = (bytes: Bytes) => unknown;

export interface Traits {
  /** The operation works in libuv's threads. They are kept busy first, so that it has not begun when the event comes. */
  readonly pool?: boolean;
  /** What arrived is in `io.path`. */
  readonly file?: boolean;
  /** The operation moves the buffer away. Memory of a pool or an arena may refuse. */
  readonly moves?: boolean;
  /** Hands on the very bytes that it was given, after it has said that it is done with them. */
  readonly passes?: boolean;
  /** Announces the length of what follows within the same stream of bytes. */
  readonly framed?: boolean;
  /** Sizes that it takes. */
  readonly largest?: number;
  readonly smallest?: number;
  /** What the memory is to hold, for a pattern. Default: the pattern itself. */
  readonly encode?: (pattern: Bytes) => Bytes;
  /** What is to arrive. Default: the pattern. */
  readonly expect?: (pattern: Bytes) => Bytes;
  /** That, or its start, from what has arrived. Default: what has arrived. */
  readonly decode?: (arrived: Bytes) => Bytes;
  /** An operation that writes bytes of its own choice. */
  readonly random?: boolean;
  /** What arrives for a pattern, as a whole or not at all. */
  readonly result?: (bytes: Uint8Array) => Uint8Array;
}

export interface Consumer extends Traits {
  readonly name: string;
  readonly direction: 'out' | 'in';
  readonly open: (io: Io) => Start | Promise<Start>;
  /** For a consumer that is a stream: opens it alone. */
  readonly stream?: (io: Io) => Writable | Promise<Writable>;
}

type Open = Consumer['open'];

/** An operation that reads the memory. */
export function out(name: string, traits: Traits, open: Open): Consumer {
  return { name, direction: 'out', ...traits, open };
}

/** An operation that writes to the memory. */
export function into(name: string, traits: Traits, open: Open): Consumer {
  return { name, direction: 'in', ...traits, open };
}

type Form = 'end' | 'write' | 'queue' | 'cork';

/** Ways to hand bytes to a Writable. A queued chunk is still in JavaScript's hands when the event comes. */
const forms: Readonly<Record<Form, (writable: Writable) => Start>> = {
  end: (writable) => (bytes) => writable.end(bytes),
  write: (writable) => (bytes) => {
    writable.write(bytes);
    writable.end();
  },
  queue: (writable) => (bytes) => {
    const third = Math.ceil(bytes.byteLength / 3);
    writable.write(bytes.subarray(0, third));
    writable.write(bytes.subarray(third, 2 * third));
    writable.end(bytes.subarray(2 * third));
  },
  cork: (writable) => (bytes) => {
    const half = bytes.byteLength >> 1;
    writable.cork();
    writable.write(bytes.subarray(0, half));
    writable.write(bytes.subarray(half));
    process.nextTick(corkEnd, writable);
  },
};

function corkEnd(writable: Writable): void {
  writable.uncork();
  writable.end();
}

/** A Writable in several forms, each a consumer. */
export function streamed(
  name: string,
  traits: Traits,
  open: (io: Io) => Writable | Promise<Writable>,
  use: readonly Form[] = ['end', 'write', 'queue'],
): Consumer[] {
  return use.map((form, i) => ({
    name: `${name}, ${form}`,
    direction: 'out',
    ...traits,
    open: async (io) => {
      const writable = await open(io);
      writable.on('error', io.over);
      return forms[form](writable);
    },
    ...(i === 0 && { stream: open }),
  }));
}

/** Lets everything that is readable arrive, and the operation end with it. */
export function collect(io: Io, readable: Readable, slow = false): void {
  readable.on('error', io.over);
  const read = (): void => {
    readable.on('data', io.took);
    readable.on('end', () => io.over());
    readable.on('close', () => io.over());
  };
  if (slow) io.happened.then(read);
  else read();
}

/** Lets the bytes of a promise arrive, and the operation end with it. */
export function arrive(io: Io, promise: Promise<ArrayBuffer | Uint8Array>): void {
  promise.then((value) => {
    io.took(value instanceof Uint8Array ? value : new Uint8Array(value));
    io.over();
  }, io.over);
}

/** Lets everything that a stream of the web gives arrive, and the operation end with it. */
export async function drain(io: Io, stream: ReadableStream, slow = false): Promise<void> {
  try {
    if (slow) await io.happened;
    const reader = stream.getReader();
    for (let step = await reader.read(); !step.done; step = await reader.read()) io.took(step.value as Uint8Array);
    io.over();
  } catch (error) {
    io.over(error);
  }
}

/** Ends the operation if the promise is rejected. */
export function fail(io: Io, promise: Promise<unknown>): void {
  promise.catch(io.over);
}

/** The port of this machine at which the server listens from now on, until the end of the cell. */
export async function listen(io: Io, server: net.Server): Promise<number> {
  server.listen(0, local);
  io.defer(() => server.close());
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

/** A function or class that only some versions have. */
export function optional<T>(holder: object | undefined, name: string): T | undefined {
  return (holder as Record<string, T> | undefined)?.[name];
}
