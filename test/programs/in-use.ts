// When memory counts as in use, and what is said to be under way, in a process whose list of loaded parts of Node is ours.
// Prints a JSON object.
import { AsyncResource } from 'node:async_hooks';
import { stat } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Deserializer } from 'node:v8';
import { createGzip } from 'node:zlib';
import '../../lib/native/symbols.ts'; // opens the library

const loaded: string[] = [];
Object.defineProperty(process, 'moduleLoadList', { value: loaded });
let handles: object[] | undefined = []; // those of this process read into no buffer
Object.defineProperty(process, '_getActiveHandles', { value: () => handles });
const { currentJob, currentScope, mayBeInUse, underWay, whatIsUnderWay } = await import('../../lib/core/in-use.ts');

const outcomes: Record<string, unknown> = {};
let lists = 0;

/** Node has loaded these parts of itself, and others: the list is read where its length has changed. */
function where(...names: string[]): void {
  loaded.splice(0, loaded.length, ...names.map((name) => (name.includes(' ') ? name : `Internal Binding ${name}`)));
  lists++;
  while (loaded.length < 10 * lists) loaded.push('another');
}

const fetchLoaded = 'NativeModule internal/deps/undici/undici';

/** Whether memory may be in use that was first seen just now. */
const isNewInUse = (): boolean => mayBeInUse(currentScope(), underWay());

/** What `action` returns while a method of `process` answers so. */
function answering<T>(method: string, answer: unknown, action: () => T): T {
  const before = Reflect.get(process, method);
  Reflect.set(process, method, () => answer);
  try {
    return action();
  } finally {
    Reflect.set(process, method, before);
  }
}

/** What `action` returns where a part of Node calls it whose resource has this class. */
function calledBy<T>(name: string, action: () => T): T {
  const resource = Object.defineProperty(class extends AsyncResource {}, 'name', { value: name });
  return new resource(name).runInAsyncScope(action);
}

async function untilIdle(): Promise<void> {
  while (underWay() > 0) await turn();
}

const fails = (): never => {
  throw new Error('code of the program has run');
};

// Operations and jobs
await untilIdle();
where('fs');
const scope = currentScope();
outcomes.idle = [mayBeInUse(scope, 0), mayBeInUse(scope - 1, 5)];
const done = new Promise((resolve) => stat('.', resolve));
const here = currentScope();
outcomes.operation = [underWay(), ...[1, 0, 2].map((count) => mayBeInUse(here, count)), mayBeInUse(here - 1, 1)];
const within = new AsyncResource('within').runInAsyncScope(() => mayBeInUse(here, 1));
outcomes.scopes = [within, mayBeInUse(here, 1), mayBeInUse(currentScope(), 1)];
await done;
await untilIdle();
const first = currentJob();
const same = currentJob() === first;
await turn();
const second = currentJob();
await turn();
outcomes.jobs = [same, second > first, currentJob() > second];

// Parts of Node
const isOurs = (method: unknown): boolean => !String(method).includes('[native code]');
const guarded = (...names: string[]): boolean[] => {
  where(...names);
  isNewInUse();
  const { _handle: half } = createGzip() as unknown as { _handle: { write: unknown } };
  return [isOurs(half.write), isOurs(Deserializer.prototype.readUint32)];
};
outcomes.guards = [guarded('fs'), guarded('fs', 'zlib'), guarded('serdes')];
await turn(); // in the job in which they got their guards, memory waits
for (const name of ['quic', 'sqlite', 'ffi']) {
  where(name);
  outcomes[name] = isNewInUse();
}
where('fs', 'zlib', 'serdes', 'http_parser', 'tcp_wrap');
outcomes.others = isNewInUse();
loaded.push('Internal Binding sqlite');
outcomes['loaded later'] = isNewInUse();

const callers = ['HTTPServerAsyncResource', 'HTTPClientAsyncResource', 'TLSWrap', 'JSStream', 'another'];
for (const name of ['http_parser', 'js_stream', 'fs']) {
  where(name);
  outcomes[`called, with ${name}`] = callers.map((caller) => calledBy(caller, isNewInUse));
}

where('http_parser');
const calledWith = (resource: object): boolean => {
  const scope = new AsyncResource('hidden');
  Object.setPrototypeOf(scope, Object.create(AsyncResource.prototype, Object.getOwnPropertyDescriptors(resource)));
  return scope.runInAsyncScope(isNewInUse);
};
const failing = { get: (): never => fails() };
outcomes['hidden in callers'] = [
  Object.defineProperty({}, 'constructor', failing),
  { constructor: Object.defineProperty(class {}, 'name', failing) },
  { constructor: new Proxy(class {}, { getOwnPropertyDescriptor: fails }) },
].map(calledWith);

// Sockets
const { createServer } = await import('node:net');
const server = createServer();
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
await untilIdle();
const plain = {};
const reading = { [Symbol('kBuffer')]: new Uint8Array(1) };
const notReading = { [Symbol('kBuffer')]: null, [Symbol('other')]: 1 };
const isUsedBy = (active: object[] | undefined): boolean => {
  handles = active;
  return isNewInUse();
};
for (const name of ['tcp_wrap', 'pipe_wrap', 'fs']) {
  where(name);
  outcomes[`sockets, with ${name}`] = [[], [plain, notReading], [plain, reading]].map(isUsedBy);
}
where('tcp_wrap');
const many = (count: number): object[] => Array.from({ length: count }, () => plain);
const trapped = new Proxy({}, { getPrototypeOf: fails, ownKeys: fails, getOwnPropertyDescriptor: fails });
const withGetter = Object.defineProperty({}, Symbol('kBuffer'), { get: fails });
const withGetters = Object.defineProperties({}, { constructor: { get: fails }, fd: { get: fails } });
outcomes['hidden in sockets'] = [trapped, withGetter, withGetters].map((handle) => isUsedBy([handle]));
outcomes['many sockets'] = [isUsedBy(many(64)), isUsedBy(many(65)), isUsedBy(undefined)];
const { stdin, stdout, stderr } = process;
outcomes['a socket without fetch'] = isUsedBy([plain]);
where(fetchLoaded, 'http2', 'tcp_wrap');
outcomes['sockets with fetch'] = [isUsedBy([stdin, stdout, stderr]), isUsedBy([stdout, plain])];
where(fetchLoaded, 'quic');
outcomes['others with fetch'] = isUsedBy([]);
await new Promise((resolve) => server.close(resolve));

// What is told
const told = (resources: string[] | undefined): string =>
  answering('getActiveResourcesInfo', resources, whatIsUnderWay);
where('fs');
isNewInUse();
outcomes.told = [
  told(['Timeout', 'B', 'Immediate', 'A', 'B', 'TTYWrap']),
  told(['Timeout', 'Immediate', 'TTYWrap']),
  told([]),
  told(undefined),
  calledBy('TLSWrap', () => told([])),
];
where('quic', 'sqlite', 'http_parser');
isNewInUse();
outcomes['told of parts'] = [told([]), calledBy('TLSWrap', () => told(['FSReqCallback']))];
where(fetchLoaded, 'http2');
isNewInUse();
outcomes['told of parts that fetch has loaded'] = told([]);
where('http2');
outcomes.http2 = isNewInUse();
where(fetchLoaded, 'http2');
outcomes['http2 before fetch'] = isNewInUse();
console.log(JSON.stringify(outcomes));
