import { once } from 'node:events';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';

/** Takes the bytes away from the buffer under a view. Returns a view of where they are now. */
export type Mover = (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;

type Method = (this: ArrayBuffer, byteLength?: number) => ArrayBuffer;

/** A method of ArrayBuffer that Node 20 does not have. */
export function ownMethod(name: string): Method | undefined {
  return (ArrayBuffer.prototype as unknown as Record<string, Method | undefined>)[name];
}

interface ByteSource {
  start?: (controller: ReadableByteStreamController) => void;
  pull?: (controller: ReadableByteStreamController) => void;
}

function byteStream(source: ByteSource): ReadableStream<Uint8Array> {
  return new ReadableStream({ ...source, type: 'bytes' } as never);
}

async function enqueue(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  let controller: ReadableByteStreamController | undefined;
  const stream = byteStream({
    start(given) {
      controller = given;
    },
  });
  controller?.enqueue(bytes);
  const { value } = await stream.getReader().read();
  return value as Uint8Array;
}

async function readInto(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const { byteLength } = bytes;
  const stream = byteStream({
    pull(controller) {
      controller.byobRequest?.respond(byteLength);
    },
  });
  const { value } = await stream.getReader({ mode: 'byob' }).read(bytes);
  return value as Uint8Array;
}

/** Takes a buffer's bytes away by a transfer list. */
export const byTransferList: Readonly<Record<string, (buffer: ArrayBuffer) => ArrayBuffer>> = {
  'structuredClone()': (buffer) => structuredClone(buffer, { transfer: [buffer] }),
  'structuredClone() of a view': (buffer) => structuredClone(new Uint8Array(buffer), { transfer: [buffer] }).buffer,
  'postMessage() of a MessagePort': (buffer) => {
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage(buffer, [buffer]);
      return receiveMessageOnPort(port2)?.message;
    } finally {
      port1.close();
    }
  },
};

function viaTransferList([name, move]: [string, (buffer: ArrayBuffer) => ArrayBuffer]): [string, Mover] {
  return [name, async ({ buffer }) => new Uint8Array(move(buffer))];
}

/** To a thread and back. */
async function throughWorker(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const program =
    "const { parentPort: p } = require('worker_threads'); p.once('message', (m) => p.postMessage(m, [m.buffer]))";
  const worker = new Worker(program, { eval: true });
  try {
    worker.postMessage(bytes, [bytes.buffer]);
    const [message] = await once(worker, 'message');
    return message;
  } finally {
    await worker.terminate();
  }
}

/** The same by way of what a thread starts with. */
async function throughWorkerData(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const program = "const { parentPort: p, workerData: m } = require('worker_threads'); p.postMessage(m, [m.buffer])";
  const worker = new Worker(program, { eval: true, workerData: bytes, transferList: [bytes.buffer] });
  const [[message]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  return message;
}

function viaMethod(name: string): Record<string, Mover> {
  const method = ownMethod(name);
  return method === undefined ? {} : { [`${name}()`]: async ({ buffer }) => new Uint8Array(method.call(buffer)) };
}

/** Every way that this runtime has. */
export const movers: Readonly<Record<string, Mover>> = {
  ...Object.fromEntries(Object.entries(byTransferList).map(viaTransferList)),
  'postMessage() of a Worker': throughWorker,
  'workerData of a Worker': throughWorkerData,
  'enqueue() of a byte stream': enqueue,
  'read() of a BYOB reader': readInto,
  ...viaMethod('transfer'),
  ...viaMethod('transferToFixedLength'),
};

const keeper = `
  const { parentPort } = require('worker_threads');
  let kept;
  parentPort.on('message', (message) => {
    if (message === 'drop') kept = undefined;
    else if (message === 'collect') globalThis.gc();
    else kept = message;
    parentPort.postMessage(kept === undefined ? 'nothing' : new Uint8Array(kept));
  });
`;

/** A thread that keeps the buffer that was moved to it. */
export class Keeper {
  readonly #worker = new Worker(keeper, { eval: true });

  async #ask(message: unknown, transferList: ArrayBuffer[] = []): Promise<unknown> {
    this.#worker.postMessage(message, transferList);
    const [answer] = await once(this.#worker, 'message');
    return answer;
  }

  /** Moves the buffer there. Returns a copy of what the thread sees. */
  keep(buffer: ArrayBuffer): Promise<unknown> {
    return this.#ask(buffer, [buffer]);
  }

  async drop(): Promise<void> {
    await this.#ask('drop');
    for (let i = 0; i < 4; i++) await this.#ask('collect');
  }

  /** Collects there. Returns a copy of what the thread sees afterwards. */
  collect(): Promise<unknown> {
    return this.#ask('collect');
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
