/**
 * Whether Node may be reading or writing memory that JavaScript has seen. Node keeps the JavaScript object alive that it
 * was given, so memory that waits for the collection of that object is never freed too early. Where nothing can be under
 * way it need not wait.
 */

import { executionAsyncResource } from 'node:async_hooks';
import { host, isNode } from '../native/host.ts';

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

const { moduleLoadList } = process as NodeProcess;

let modulesSeen = 0;
let keepsUncounted = false;
let callsBack = false;
let hasSockets = false;

function lookAtModules(list: readonly string[]): void {
  const has = (names: readonly string[]) => names.some((name) => list.includes(`Internal Binding ${name}`));
  modulesSeen = list.length;
  keepsUncounted = has(uncounted);
  callsBack = has(callingBack);
  hasSockets = has(['tcp_wrap', 'pipe_wrap']);
}

/** More are not looked at one by one. */
const mostHandles = 64;

/** A socket with the option `onread.buffer` writes into that buffer for as long as it lives. */
function mayReadIntoBuffers(): boolean {
  const handles = (process as NodeProcess)._getActiveHandles?.();
  if (handles === undefined || handles.length > mostHandles) return true;
  return handles.some((handle) =>
    Object.getOwnPropertySymbols(handle).some(
      (key) => key.description === 'kBuffer' && (handle as { [key: symbol]: unknown })[key] != null,
    ),
  );
}

function isCalledBack(): boolean {
  const name = executionAsyncResource()?.constructor?.name;
  return callers.includes(name);
}

/** Whether memory that JavaScript has seen must wait. Well below 100 ns in a program without sockets. */
export function mayBeInUse(): boolean {
  if (!isNode) return false; // Bun and Deno hold the memory itself while they work on it
  if (host.underWay() !== 0 || moduleLoadList === undefined) return true;
  if (moduleLoadList.length !== modulesSeen) lookAtModules(moduleLoadList);
  return keepsUncounted || (callsBack && isCalledBack()) || (hasSockets && mayReadIntoBuffers());
}
