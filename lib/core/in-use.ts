/**
 * Whether Node may be reading or writing memory that JavaScript has seen. Node keeps the JavaScript object alive that it
 * was given, so memory that waits for the collection of that object is never freed too early. Where nothing can be under
 * way it need not wait.
 */

import { AsyncResource, executionAsyncId, executionAsyncResource } from 'node:async_hooks';
import { types } from 'node:util';
import { host, isNode, loopCounts } from '../native/host.ts';
import { isCalledFrom } from '../record/stack.ts';
import { guardDeserializer, guardZlib, isDeserializing, madeHttp2, watchHttp2 } from './node-guards.ts';
import { classOf, hidden, ownSymbolValue, ownValue } from './own-value.ts';

/**
 * Parts of Node that keep addresses without an operation that libuv counts. They count as under way once they are loaded.
 * HTTP/2 keeps back what flow control does not let it send; `node:sqlite` and `node:ffi` call JavaScript in the midst of
 * a synchronous operation.
 */
const uncounted: readonly string[] = ['http2', 'quic', 'sqlite', 'ffi'];

/** Parts of Node that call JavaScript while they work through a chunk that JavaScript gave them. */
const callingBack: readonly string[] = ['http_parser', 'js_stream'];

/** What the current job was called by, while such a part of Node is on the stack. */
const callers: readonly string[] = ['HTTPServerAsyncResource', 'HTTPClientAsyncResource', 'TLSWrap', 'JSStream'];

/** Where they call from, on the stack. */
const callingFiles = /\bnode:(_http_common|_tls_wrap|internal\/js_stream_socket)\b/;

interface NodeProcess {
  readonly moduleLoadList?: readonly string[];
  _getActiveHandles?(): object[];
}

const { moduleLoadList, _getActiveHandles } = process as NodeProcess;

/** How many modules Node had loaded when we last looked. */
let modulesSeen = 0;
let keepsUncounted = false;
let callsBack = false;
let hasSockets = false;

let fetchIsLoaded = false;

/** Whether something other than `fetch` has loaded HTTP/2. */
let usesHttp2 = false;

/**
 * `fetch` loads HTTP/2 without using it, and from Node 24 on `node:http` loads `fetch`. So there HTTP/2 counts as under way
 * only once the program has made a server or a session, or while the thread has sockets.
 */
function lookForHttp2(list: readonly string[]): void {
  fetchIsLoaded = list.includes('NativeModule internal/deps/undici/undici');
  if (!list.includes('Internal Binding http2')) return;
  if (fetchIsLoaded) watchHttp2();
  else usesHttp2 = true;
}

function guardDeserializers(list: readonly string[]): boolean {
  return list.includes('Internal Binding serdes') && guardDeserializer();
}

/** Looks, where Node has loaded something since the last time. A hook of async_hooks may load modules meanwhile. */
function lookAtModules(list: readonly string[]): void {
  while (modulesSeen !== list.length) {
    modulesSeen = list.length;
    const has = (names: readonly string[]) => names.some((name) => list.includes(`Internal Binding ${name}`));
    lookForHttp2(list);
    keepsUncounted = has(fetchIsLoaded && !usesHttp2 ? uncounted.filter((name) => name !== 'http2') : uncounted);
    callsBack = has(callingBack);
    hasSockets = has(['tcp_wrap', 'pipe_wrap']);
    if (has(['zlib'])) guardZlib();
    if (guardDeserializers(list) && someSeen) unguardedIn = currentJob();
  }
}

if (isNode && moduleLoadList !== undefined) {
  lookForHttp2(moduleLoadList);
  guardDeserializers(moduleLoadList); // none of them can have a view yet
}

/** The job in which deserializers got their guards, after views were made: one may be at work without. */
let unguardedIn: number | undefined;

/** Whether code outside of this library has ever got a view. */
let someSeen = false;

const noFile = 0xffff_ffff;

/** More are not looked at one by one. */
const mostHandles = 64;

/** The pipe to the process that has forked this one. Node alone reads from it, until it is closed. */
const { channel } = process;
const { fd: channelFd = noFile } = (channel ?? {}) as { readonly fd?: number };

/**
 * Whether a socket may have an address: of the option `onread.buffer`, into which it reads as long as it lives. Node lists no
 * sockets that are paused or unreferenced.
 */
function mayBeKeptBySockets(): boolean {
  const sockets = host.sockets(ownValue(process, 'channel') === channel ? channelFd : noFile);
  if (sockets === undefined || sockets < 0) return true;
  if (sockets === 0 && loopCounts?.[0] === 0) return false;
  const handles = _getActiveHandles === undefined ? undefined : Reflect.apply(_getActiveHandles, process, []);
  if (handles === undefined || handles.length > mostHandles) return true;
  return handles.some((handle) => (fetchIsLoaded && !isStandard(handle)) || readsIntoBuffer(handle));
}

function isStandard(handle: object): boolean {
  const fd = ownValue(handle, 'fd');
  return fd === 0 || fd === 1 || fd === 2;
}

function readsIntoBuffer(handle: object): boolean {
  return ownSymbolValue(handle, 'kBuffer') != null;
}

function isCalledBack(): boolean {
  const resource = executionAsyncResource();
  const name = classOf(resource);
  if (name === hidden || callers.includes(name as string)) return true;
  return mayHide(resource) && isCalledFrom(callingFiles);
}

/**
 * Whether code of the program runs in a scope of its own, such as of `AsyncResource.bind`, or of a promise in a context of
 * `vm`: what called it is below that.
 */
function mayHide(resource: object): boolean {
  if (types.isPromise(resource)) return true;
  for (let at: object | null = resource; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    if (at === null || types.isProxy(at) || at === AsyncResource.prototype) return true;
  }
  return false;
}

let job = 0;

const none = Number.NEGATIVE_INFINITY;

/** The async scope in which the end of this job was first awaited. */
let awaitedIn = none;

/** Async scopes later than this, nothing has told the end: it is awaited once more. */
const patience = 1000;

/** Of V8, whatever the program has put in the place of `Promise`. */
const ended: Promise<void> = (async () => {})();
Object.defineProperty(ended, 'constructor', { value: undefined });
const { then } = ended;

function endJob(): void {
  job++;
  awaitedIn = none;
}

/**
 * The number of this job. The first call in a job makes a promise, and looks at what Node has loaded: hooks of the program's
 * (`async_hooks`, promise hooks) run in it. A debugger that stops a script may drop the promise, so that the number stays.
 */
export function currentJob(): number {
  const id = executionAsyncId();
  if (id > awaitedIn + patience) {
    awaitedIn = id;
    Reflect.apply(then, ended, [endJob]);
  }
  if (isNode && moduleLoadList !== undefined) lookAtModules(moduleLoadList);
  return job;
}

/** Comes first in what hooks must not interrupt: they run now, and not in the rest of it. */
export function letHooksRun(): void {
  currentJob();
}

// Operations end between jobs only, and each callback has an async scope of its own. So where a buffer was first seen in this scope, and as many operations are under way
// now as then, they are the same ones, and none of them can have the buffer.

let scope = 0;
let ofJob = none;
let ofId = none;

/** The number of this part of a job, and {@link underWay}, say when a buffer was first seen. */
export function currentScope(): number {
  const now = currentJob();
  const id = executionAsyncId();
  someSeen = true;
  if (ofJob !== now || ofId !== id) scope++;
  ofJob = now;
  ofId = id;
  return scope;
}

/** How many operations Node has under way in this thread; -1: unknown. */
export function underWay(): number {
  return loopCounts === undefined ? -1 : (loopCounts[loopCounts.length - 1] as number);
}

/** Whether memory must wait that JavaScript has first seen in that scope. Some ns in a program without sockets. */
export function mayBeInUse(seenIn: number, underWayThen: number): boolean {
  if (!isNode) return false; // Bun and Deno hold the memory itself while they work on it
  if (moduleLoadList === undefined) return true;
  lookAtModules(moduleLoadList);
  const underWayNow = underWay();
  if (underWayNow < 0 || (underWayNow > 0 && (seenIn !== currentScope() || underWayNow !== underWayThen))) return true;
  return (
    keepsUncounted ||
    madeHttp2() ||
    isDeserializing() ||
    unguardedIn === job ||
    (callsBack && isCalledBack()) ||
    (hasSockets && mayBeKeptBySockets())
  );
}

/** For a warning: what may be using memory that has to wait. */
export function whatIsUnderWay(): string {
  const kinds = new Set(process.getActiveResourcesInfo?.() ?? []);
  for (const idle of ['Timeout', 'Immediate', 'TTYWrap']) kinds.delete(idle);
  if (callsBack && isCalledBack()) kinds.add(String(classOf(executionAsyncResource())));
  if (madeHttp2()) kinds.add('http2');
  if (keepsUncounted)
    for (const name of uncounted) if (moduleLoadList?.includes(`Internal Binding ${name}`)) kinds.add(name);
  return kinds.size === 0 ? 'an operation is under way' : `under way are ${[...kinds].sort().join(', ')}`;
}
