/** Other threads and other processes: messages, transfers, pipes. */
import { spawn } from 'node:child_process';
import { BroadcastChannel, MessageChannel, Worker } from 'node:worker_threads';
import { type Bytes, type Consumer, collect, type Io, out, streamed } from '../consumer.ts';

/** Sends back what it gets, a little later, from memory of its own. */
const echo = `const { parentPort, workerData } = require('node:worker_threads');
const answer = (value) => setTimeout(() => parentPort.postMessage(Uint8Array.from(new Uint8Array(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength))), 5);
if (workerData) answer(workerData);
parentPort.on('message', answer);`;

/** Writes what it gets to its stdout. */
const print = `require('node:worker_threads').parentPort.once('message', (bytes) => process.stdout.write(bytes));`;

const pipe = 'process.stdin.pipe(process.stdout);';

interface WorkerOptions {
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly workerData?: Bytes;
  readonly transferList?: ArrayBuffer[];
}

function start(io: Io, code: string, options: WorkerOptions = {}): Worker {
  const worker = new Worker(code, { eval: true, execArgv: [], ...options });
  worker.on('error', io.over);
  io.defer(() => worker.terminate());
  return worker;
}

function echoing(io: Io): Worker {
  return answering(io, start(io, echo));
}

function answering(io: Io, worker: Worker): Worker {
  worker.on('message', (bytes: Uint8Array) => {
    io.took(bytes);
    io.over();
  });
  return worker;
}

function channel(io: Io): MessageChannel['port1'] {
  const { port1, port2 } = new MessageChannel();
  io.defer(() => port1.close());
  io.happened.then(() => {
    port2.on('message', (value: Uint8Array) => {
      io.took(value);
      io.over();
    });
  });
  return port1;
}

function take(io: Io, bytes: Uint8Array): void {
  io.happened.then(() => {
    io.took(bytes);
    io.over();
  });
}

type TransferableBuffer = ArrayBuffer & { transfer?: () => ArrayBuffer };
const transfer = (ArrayBuffer.prototype as TransferableBuffer).transfer;
const moves = { moves: true };
const spawns = { smallest: 65536, largest: 1 << 20 };

export const threadConsumers: readonly Consumer[] = [
  out('Worker.postMessage, copied', spawns, (io) => {
    const worker = echoing(io);
    return (bytes) => worker.postMessage(bytes);
  }),
  out('Worker.postMessage, moved', { ...spawns, ...moves }, (io) => {
    const worker = echoing(io);
    return (bytes) => worker.postMessage(bytes, [bytes.buffer]);
  }),
  out('workerData, copied', spawns, (io) => (bytes) => answering(io, start(io, echo, { workerData: bytes }))),
  out('workerData, moved', { ...spawns, ...moves }, (io) => (bytes) => {
    answering(io, start(io, echo, { workerData: bytes, transferList: [bytes.buffer] }));
  }),
  out('stdout of a worker', { ...spawns, ...moves }, (io) => {
    const worker = start(io, print, { stdout: true });
    collect(io, worker.stdout);
    return (bytes) => worker.postMessage(bytes, [bytes.buffer]);
  }),
  ...streamed(
    'stdin of a worker',
    spawns,
    (io) => {
      const worker = start(io, pipe, { stdin: true, stdout: true });
      collect(io, worker.stdout);
      if (worker.stdin === null) throw new Error('no stdin');
      return worker.stdin;
    },
    ['end', 'queue'],
  ),
  out('MessagePort.postMessage, copied', {}, (io) => {
    const port = channel(io);
    return (bytes) => port.postMessage(bytes);
  }),
  out('MessagePort.postMessage, moved', moves, (io) => {
    const port = channel(io);
    return (bytes) => port.postMessage(bytes, [bytes.buffer]);
  }),
  out('BroadcastChannel.postMessage', {}, (io) => {
    const name = io.path;
    const [sends, receives] = [new BroadcastChannel(name), new BroadcastChannel(name)];
    io.defer(() => {
      sends.close();
      receives.close();
    });
    receives.onmessage = (message) => {
      io.took((message as { data: Uint8Array }).data);
      io.over();
    };
    return (bytes) => sends.postMessage(bytes);
  }),
  out('structuredClone, moved', moves, (io) => (bytes) => {
    take(io, structuredClone(bytes, { transfer: [bytes.buffer] }));
  }),
  ...(transfer === undefined
    ? []
    : [
        out('ArrayBuffer.prototype.transfer', moves, (io) => (bytes) => {
          const { byteOffset, byteLength } = bytes;
          take(io, new Uint8Array(transfer.call(bytes.buffer), byteOffset, byteLength));
        }),
      ]),
  ...streamed('stdin of a child process', {}, (io) => {
    const child = spawn('cat', { stdio: ['pipe', 'pipe', 'ignore'] });
    io.defer(() => child.kill());
    collect(io, child.stdout);
    return child.stdin;
  }),
  ...streamed('stdin of a child process, slow reader', {}, (io) => {
    const child = spawn('sh', ['-c', 'sleep 0.03; cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    io.defer(() => child.kill());
    collect(io, child.stdout);
    return child.stdin;
  }),
  out('ChildProcess.send', spawns, (io) => {
    const code = `process.on('message', (bytes) => process.send(bytes)); process.send('ready')`;
    const options = { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced' } as const;
    const child = spawn(process.execPath, ['-e', code], options as never);
    io.defer(() => child.kill());
    return new Promise((resolve) => {
      child.on('message', (message: Uint8Array | string) => {
        if (typeof message === 'string') resolve((bytes) => child.send(bytes));
        else {
          io.took(message);
          io.over();
        }
      });
    });
  }),
];
