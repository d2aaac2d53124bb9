import { once } from 'node:events';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';

/** Takes a buffer's bytes away by a transfer list. Returns what arrived, if anything did. */
export const byTransferList: Record<string, (buffer: ArrayBuffer) => ArrayBuffer | undefined> = {
  structuredClone: (buffer) => structuredClone(buffer, { transfer: [buffer] }),
  'structuredClone of a view': (buffer) => structuredClone(new Uint8Array(buffer), { transfer: [buffer] }).buffer,
  'postMessage of a MessagePort': (buffer) => {
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage(buffer, [buffer]);
      return receiveMessageOnPort(port2)?.message;
    } finally {
      port1.close();
    }
  },
};

/** The same by the postMessage() of a worker, and by its workerData. */
export const byWorker: Record<string, (buffer: ArrayBuffer) => Promise<unknown>> = {
  'postMessage of a Worker': async (buffer) => {
    const program =
      "const { parentPort } = require('worker_threads'); parentPort.once('message', (m) => parentPort.postMessage(m))";
    const worker = new Worker(program, { eval: true });
    try {
      worker.postMessage(buffer, [buffer]);
      const [message] = await once(worker, 'message');
      return message;
    } finally {
      await worker.terminate();
    }
  },
  'workerData of a Worker': async (buffer) => {
    const program = "const { parentPort, workerData } = require('worker_threads'); parentPort.postMessage(workerData)";
    const worker = new Worker(program, { eval: true, workerData: buffer, transferList: [buffer] });
    const [message] = await once(worker, 'message');
    return message;
  },
};

type Method = (this: ArrayBuffer) => ArrayBuffer;

function ownMethod(name: string): Method | undefined {
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
  const stream = byteStream({
    pull(controller) {
      controller.byobRequest?.respond(64);
    },
  });
  const { value } = await stream.getReader({ mode: 'byob' }).read(bytes);
  return value as Uint8Array;
}

/** What gets past the methods of a guarded buffer: it asks V8, not the buffer. Undefined: this runtime has it not. */
export const byForce: Record<string, ((bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>) | undefined> = {
  'ArrayBuffer.prototype.transfer': viaPrototype('transfer'),
  'ArrayBuffer.prototype.transferToFixedLength': viaPrototype('transferToFixedLength'),
  'enqueue() of a byte stream': enqueue,
  'read() of a BYOB reader': readInto,
};

function viaPrototype(name: string): ((bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>) | undefined {
  const method = ownMethod(name);
  return method && (async (bytes) => new Uint8Array(method.call(bytes.buffer)));
}
