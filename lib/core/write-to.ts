/** Writing a block to a Node stream. */

import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { CSliceError, show, typeError, unreadable } from '../errors.ts';
import { refer } from './block.ts';
import { runDestructors } from './destructor.ts';
import { lend } from './holds.ts';
import type { Reference } from './reference.ts';

const require = createRequire(import.meta.url);

/** Whether an object's method is the one of a class of Node's, and neither a subclass's nor one put in its place. */
function isUnchanged(object: object, prototype: object, methods: readonly string[]): boolean {
  return methods.every((name) => Reflect.get(object, name) === Reflect.get(prototype, name));
}

function isLast(writable: object): boolean {
  try {
    return isLastOfNode(writable);
  } catch (cause) {
    throw unreadable('writable', cause);
  }
}

/**
 * Whether the stream calls back only once the bytes have left the process or its memory: a socket, a file, an HTTP/1
 * message. Others, such as a PassThrough, call back when they have passed the chunk on.
 */
function isLastOfNode(writable: object): boolean {
  const { Socket } = ifLoaded<typeof import('node:net')>('net');
  const { WriteStream } = ifLoaded<typeof import('node:fs')>('fs');
  const { OutgoingMessage } = ifLoaded<typeof import('node:http')>('http');
  for (const streamClass of [Socket, WriteStream]) {
    if (streamClass === undefined || !(writable instanceof streamClass)) continue;
    return isUnchanged(writable, streamClass.prototype, ['write', '_write', '_writev']);
  }
  if (OutgoingMessage === undefined || !(writable instanceof OutgoingMessage)) return false;
  const { socket } = writable;
  return (
    isUnchanged(writable, OutgoingMessage.prototype, ['write', '_send']) && socket !== null && isLastOfNode(socket)
  );
}

/** A module of Node that nothing has loaded has made no stream either. */
function ifLoaded<T extends object>(name: string): Partial<T> {
  const { moduleLoadList } = process as { moduleLoadList?: readonly string[] };
  return moduleLoadList?.includes(`NativeModule ${name}`) ? require(`node:${name}`) : {};
}

/** Resolves when the stream has called back for the chunk; rejects when it fails or is destroyed before. */
function write(writable: Writable, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error | null): void => {
      writable.off('close', onClose);
      if (error == null) {
        writable.off('error', finish);
        resolve();
      } else {
        reject(error); // and 'error', which may come after this, has its listener
      }
    };
    const onClose = (): void =>
      finish(new CSliceError('ERR_CSLICE_STREAM', 'The stream was closed before it had written the slice'));
    writable.on('close', onClose);
    writable.on('error', finish);
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
    await lend(reference, Buffer.from(reference.show()), (chunk) => write(writable, chunk));
    return;
  }
  const own = refer(reference, 0, reference.byteLength, 'stream');
  await write(writable, Buffer.from(own.show()));
  if (last) own.endNow();
  runDestructors();
}
