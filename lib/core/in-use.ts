/**
 * Whether Node may be reading or writing memory that JavaScript has seen. Node keeps the JavaScript object alive that it
 * was given, so memory that waits for the collection of that object is never freed too early. Where nothing can be under
 * way it need not wait.
 */

import { executionAsyncResource } from 'node:async_hooks';
import { isNode, loopCounts } from '../native/host.ts';
import { guardDeserializer, guardZlib } from './node-guards.ts';
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

interface NodeProcess {
  readonly moduleLoadList?: readonly string[];
  _getActiveHandles?(): object[];
}

const { moduleLoadList, _getActiveHandles } = process as NodeProcess;

let modulesSeen = 0;
let keepsUncounted = false;
let callsBack = false;
let hasSockets = false;

/** `fetch` loads HTTP/2 without using it, so there it counts as under way only while the thread has sockets. */
let fetchIsLoaded = false;

function lookAtModules(list: readonly string[]): void {
  const has = (names: readonly string[]) => names.some((name) => list.includes(`Internal Binding ${name}`));
  modulesSeen = list.length;
  fetchIsLoaded = list.includes('NativeModule internal/deps/undici/undici');
  keepsUncounted = has(fetchIsLoaded ? uncounted.filter((name) => name !== 'http2') : uncounted);
  callsBack = has(callingBack);
  hasSockets = has(['tcp_wrap', 'pipe_wrap']);
  if (has(['zlib'])) guardZlib();
  if (has(['serdes'])) guardDeserializer();
}

/** More are not looked at one by one. */
const mostHandles = 64;

/** Whether a socket may have an address: of the option `onread.buffer`, into which it reads as long as it lives. */
function mayBeKeptBySockets(): boolean {
  if (loopCounts?.[0] === 0) return false; // a socket that reads is an active handle
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
  const name = classOf(executionAsyncResource());
  return name === hidden || callers.includes(name as string);
}

// Operations end between jobs only. So where a buffer was first seen in this job, and as many operations are under way now
// as then, they are the same ones, and none of them can have the buffer.

let job = 0;
let endAwaited = false;
const ended = Promise.resolve();

function endJob(): void {
  job++;
  endAwaited = false;
}

/** The number of this job, and {@link underWay}, say when a buffer was first seen. */
export function currentJob(): number {
  if (!endAwaited) {
    endAwaited = true;
    ended.then(endJob);
  }
  return job;
}

/** How many operations Node has under way in this thread; -1: unknown. */
export function underWay(): number {
  return loopCounts === undefined ? -1 : (loopCounts[loopCounts.length - 1] as number);
}

/** Whether memory must wait that JavaScript has first seen in `seenJob`. Some ns in a program without sockets. */
export function mayBeInUse(seenJob: number, underWayThen: number): boolean {
  if (!isNode) return false; // Bun and Deno hold the memory itself while they work on it
  if (moduleLoadList === undefined) return true;
  if (moduleLoadList.length !== modulesSeen) lookAtModules(moduleLoadList);
  const underWayNow = underWay();
  if (underWayNow < 0 || (underWayNow > 0 && (seenJob !== job || underWayNow !== underWayThen))) return true;
  return keepsUncounted || (callsBack && isCalledBack()) || (hasSockets && mayBeKeptBySockets());
}

/** For a warning: what may be using memory that has to wait. */
export function whatIsUnderWay(): string {
  const kinds = new Set(process.getActiveResourcesInfo?.() ?? []);
  for (const idle of ['Timeout', 'Immediate', 'TTYWrap']) kinds.delete(idle);
  if (callsBack && isCalledBack()) kinds.add(String(classOf(executionAsyncResource())));
  if (keepsUncounted)
    for (const name of uncounted) if (moduleLoadList?.includes(`Internal Binding ${name}`)) kinds.add(name);
  return kinds.size === 0 ? 'an operation is under way' : `under way are ${[...kinds].sort().join(', ')}`;
}
