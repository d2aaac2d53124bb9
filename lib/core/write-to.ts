/** Writing a block to a Node stream. */

import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { types } from 'node:util';
import { CSliceError, show, typeError, unreadable } from '../errors.ts';
import { refer } from './block.ts';
import { runDestructors } from './destructor.ts';
import { lend } from './holds.ts';
import { classOf, ownSymbolValue, ownValue } from './own-value.ts';
import type { Reference } from './reference.ts';

const require = createRequire(import.meta.url);

/**
 * Whether an object has the methods of a class of Node's as they are, without one of its own or of a subclass. Runs no
 * code of the object's: a getter could answer otherwise the next time.
 */
function isUnchanged(object: object, prototype: object, methods: readonly string[]): boolean {
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
  if (
    net !== undefined &&
    isUnchanged(writable, net.Socket.prototype, ['write', '_write', '_writev', '_writeGeneric'])
  ) {
    const handle = ownSymbolValue(writable, 'kHandle');
    return typeof handle === 'object' && handle !== null && handles.includes(classOf(handle));
  }
  const fs = ifLoaded<typeof import('node:fs')>('fs');
  if (fs !== undefined && isUnchanged(writable, fs.WriteStream.prototype, ['write', '_write', '_writev'])) {
    return ownSymbolValue(writable, 'kFs') === fs;
  }
  const http = ifLoaded<typeof import('node:http')>('http');
  if (http === undefined) return false;
  const socket = ownSymbolValue(writable, 'kSocket') ?? ownValue(writable, 'socket'); // from Node 24 on; before
  const isMessage = isUnchanged(writable, http.OutgoingMessage.prototype, ['write', '_send', '_writeRaw']);
  return isMessage && typeof socket === 'object' && socket !== null && isLast(socket);
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
export async function writeTo(writable: Writable, live: () => Reference): Promise<void> {
  const last = isLast(writable);
  const reference = live();
  if (reference.byteLength === 0) return;
  if (last && reference.isPooled) {
    // A pool's block stays with its renter, and can be rented again.
    const chunkOf = (lent: Reference): Buffer => Buffer.from(lent.show());
    await lend(live, chunkOf, (chunk) => write(writable, chunk, last));
    return;
  }
  const own = refer(reference, 0, reference.byteLength, 'stream');
  await write(writable, Buffer.from(own.show()), last);
  if (last) own.endNow();
  runDestructors();
}
