/** Writing a block to a Node stream. */

import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { types } from 'node:util';
import { CSliceError, show, typeError, unreadable } from '../errors.ts';
import { refer } from './block.ts';
import { checkRange } from './check.ts';
import { runDestructors } from './destructor.ts';
import { lend } from './holds.ts';
import { classOf, ownSymbolValue, ownValue } from './own-value.ts';
import type { Reference } from './reference.ts';

const require = createRequire(import.meta.url);

/** What writes in an object of Node's, as it was when this library first looked. */
const known = new WeakMap<object, readonly unknown[]>();

function isAsKnown(object: object, methods: readonly string[]): boolean {
  const now = methods.map((name) => {
    let at: object | null = object;
    while (at !== null && !types.isProxy(at) && !Object.hasOwn(at, name)) at = Object.getPrototypeOf(at);
    return ownValue(at, name);
  });
  const before = known.get(object);
  if (before === undefined) known.set(object, now);
  return before === undefined || now.every((method, i) => method === before[i]);
}

/**
 * Whether an object has the methods of a class of Node's as they are, without one of its own, of a subclass, or that was put
 * into the class. Runs no code of the object's: a getter could answer otherwise the next time.
 */
function isUnchanged(object: object, prototype: object, methods: readonly string[]): boolean {
  if (!isAsKnown(prototype, methods)) return false;
  for (let at: object | null = object; at !== prototype; at = Object.getPrototypeOf(at)) {
    if (at === null || types.isProxy(at)) return false;
    const own: object = at;
    if (methods.some((name) => Object.hasOwn(own, name))) return false;
  }
  return true;
}

/** What a socket writes by, if Node has made that. */
const handles: readonly unknown[] = ['TCP', 'Pipe', 'TTY', 'TLSWrap'];

/**
 * Whether the stream calls back only once the bytes have left the process or its memory: a socket, a file, an HTTP/1
 * message. Others, such as a PassThrough, or a file with functions of the program's in place of `node:fs`, call back when
 * they have passed the chunk on.
 */
function isLast(writable: object): boolean {
  const net = ifLoaded<typeof import('node:net')>('net');
  if (net !== undefined && !hasOwnWrite(net.Socket) && isUnchanged(writable, net.Socket.prototype, ofSockets)) {
    const handle = ownSymbolValue(writable, 'kHandle');
    return typeof handle === 'object' && handle !== null && handles.includes(classOf(handle));
  }
  const fs = ifLoaded<typeof import('node:fs')>('fs');
  if (fs !== undefined && !hasOwnWrite(fs.WriteStream) && isUnchanged(writable, fs.WriteStream.prototype, ofFiles)) {
    return ownSymbolValue(writable, 'kFs') === fs && isAsKnown(fs, ofFs);
  }
  const http = ifLoaded<typeof import('node:http')>('http');
  if (http === undefined) return false;
  const socket = ownSymbolValue(writable, 'kSocket') ?? ownValue(writable, 'socket'); // from Node 24 on; before
  const isMessage = isUnchanged(writable, http.OutgoingMessage.prototype, ofMessages);
  return isMessage && typeof socket === 'object' && socket !== null && isLast(socket);
}

const ofSockets: readonly string[] = ['write', '_write', '_writev', '_writeGeneric'];
const ofFiles: readonly string[] = ['write', '_write', '_writev'];
const ofFs: readonly string[] = ['write', 'writev'];
const ofMessages: readonly string[] = ['write', '_send', '_writeRaw'];

/** Classes of Node's that inherit `write`: one of their own is the program's, which may have come before this library. */
function hasOwnWrite({ prototype }: { readonly prototype: object }): boolean {
  return Object.hasOwn(prototype, 'write');
}

/** A module of Node. Undefined: nothing has loaded it, so it has made no stream either. */
function ifLoaded<T extends object>(name: string): T | undefined {
  const { moduleLoadList } = process as { moduleLoadList?: readonly string[] };
  return moduleLoadList?.includes(`NativeModule ${name}`) ? require(`node:${name}`) : undefined;
}

/**
 * Resolves when the stream has called back for the chunk; rejects when it fails or is destroyed before. One that writes the
 * bytes itself (`last`) calls back or closes once it is done with them. An error that it tells before may be that of another
 * write, and it goes on with this one.
 */
function write(writable: Writable, chunk: Buffer, last: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let told: Error | undefined;
    const finish = (error?: Error | null): void => {
      writable.off('close', onClose);
      if (error == null) {
        writable.off('error', onError);
        resolve();
      } else {
        reject(error); // and 'error', which may come after this, has its listener
      }
    };
    const onError = (error: Error): void => {
      if (last) told ??= error;
      else finish(error);
    };
    const onClose = (): void =>
      finish(told ?? new CSliceError('ERR_CSLICE_STREAM', 'The stream was closed before it had written the slice'));
    writable.on('close', onClose);
    writable.on('error', onError);
    writable.write(chunk, finish);
  });
}

export function checkWritable(writable: Writable): Writable {
  try {
    if (typeof writable?.write === 'function' && typeof writable.on === 'function') return writable;
  } catch (cause) {
    throw unreadable('writable', cause);
  }
  throw typeError(`writable must be a Node stream, got ${show(writable)}`);
}

/** `live` gives the reference of a slice that is not released: asked once no more properties of the stream are read. */
export async function writeTo(writable: Writable, live: () => Reference, start?: number, end?: number): Promise<void> {
  const last = isLast(writable);
  const reference = live();
  const [from, to] = checkRange(reference, start, end);
  if (from === to) return;
  if (last && reference.isPooled) {
    // A pool's block stays with its renter, and can be rented again.
    const chunkOf = (lent: Reference): Buffer => Buffer.from(lent.show(), from, to - from);
    await lend(live, chunkOf, (chunk) => write(writable, chunk, last));
    return;
  }
  const own = refer(reference, from, to - from, 'stream');
  await write(writable, Buffer.from(own.show()), last);
  if (last) own.endNow();
  runDestructors();
}

/** As they are at the import. What Node loads later is noted at the first look. */
function noteWriters(): void {
  const net = ifLoaded<typeof import('node:net')>('net');
  if (net !== undefined) isAsKnown(net.Socket.prototype, ofSockets);
  const fs = ifLoaded<typeof import('node:fs')>('fs');
  if (fs !== undefined) isAsKnown(fs, ofFs);
  const http = ifLoaded<typeof import('node:http')>('http');
  if (http !== undefined) isAsKnown(http.OutgoingMessage.prototype, ofMessages);
}

noteWriters();
