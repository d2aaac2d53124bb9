/**
 * Two parts of Node go on with an input between two calls of JavaScript, and do not expect that it was detached meanwhile:
 *
 * - zlib asks for the rest of its input after each chunk of output. Node 20 aborts the process then, and later versions
 *   throw an exception that no code can catch.
 * - `v8.Deserializer` keeps the address of its input, and reads whatever is there.
 *
 * With these guards both fail as they do for any bad input. They are put in place once such a part has been loaded, at the
 * first release of a slice whose views were seen; the second at once where it has been loaded before.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';

const require = createRequire(import.meta.url);

/** Returns whether it has acted now. */
function once(action: () => void): () => boolean {
  let done = false;
  return () => {
    if (done) return false;
    done = true;
    action();
    return true;
  };
}

type Write = (flush: number, input: ArrayBufferView | null, offset: number, length: number, ...rest: unknown[]) => void;

/** Node's native half of a compressor. All of a kind share a prototype, through which every chunk is written. */
interface Handle {
  write: Write;
  onerror?(message: string, errno: number, code: string): void;
}

interface Compressor {
  readonly _handle?: Handle;
  close(): void;
}

const compressors = ['DeflateRaw', 'BrotliCompress', 'BrotliDecompress', 'ZstdCompress', 'ZstdDecompress'];

/** A compressor whose input was detached fails by its callback or by an 'error' event. */
export const guardZlib: () => boolean = once(() => {
  const zlib: Record<string, (() => Compressor) | undefined> = require('node:zlib');
  for (const name of compressors) {
    const compressor = zlib[`create${name}`]?.();
    if (compressor?._handle !== undefined) guardHandles(Object.getPrototypeOf(compressor._handle));
    compressor?.close();
  }
});

const noInput = -5; // zlib's Z_BUF_ERROR

function guardHandles(prototype: Handle): void {
  const { write } = prototype;
  if (typeof write !== 'function') return;
  prototype.write = function (this: Handle, flush, input, offset, length, ...rest) {
    if (input !== null && offset + length > input.byteLength) {
      this.onerror?.('The input was released while it was being read', noInput, 'Z_BUF_ERROR');
      return;
    }
    write.call(this, flush, input, offset, length, ...rest);
  };
}

interface Deserializer {
  readonly buffer: ArrayBufferView;
}

type Method = (this: Deserializer, ...args: unknown[]) => unknown;

let deserializing = 0;

/** Whether a deserializer is at work, which calls methods of the program and then goes on at the address that it has. */
export function isDeserializing(): boolean {
  return deserializing > 0;
}

/** A deserializer whose input was detached throws. */
export const guardDeserializer: () => boolean = once(() => {
  const prototype: Record<string, Method | undefined> = require('node:v8').Deserializer.prototype;
  for (const name of Object.getOwnPropertyNames(prototype).filter((name) => /read/i.test(name))) {
    const read = prototype[name];
    if (typeof read !== 'function' || name === '_readHostObject') continue;
    prototype[name] = function (this: Deserializer, ...args) {
      if (this.buffer.byteLength === 0) throw new TypeError('The input was released while it was being read');
      deserializing++;
      try {
        return read.apply(this, args);
      } finally {
        deserializing--;
      }
    };
  }
});

/** What makes sessions of HTTP/2. */
const makers = ['connect', 'createServer', 'createSecureServer', 'performServerHandshake'];

let usesHttp2 = false;

/** Whether the program has made a session or a server of HTTP/2 since {@link watchHttp2}. */
export function madeHttp2(): boolean {
  return usesHttp2;
}

/** Has the makers of HTTP/2 tell that they are used, for whoever imports them from now on, or has imported them as a module. */
export const watchHttp2: () => boolean = once(() => {
  const http2: Record<string, unknown> = require('node:http2');
  for (const name of makers) {
    const make = http2[name];
    if (typeof make !== 'function') continue;
    const watched = function (this: unknown, ...args: unknown[]): unknown {
      usesHttp2 = true;
      return Reflect.apply(make, this, args);
    };
    http2[name] = Object.defineProperties(watched, { name: { value: name }, length: { value: make.length } });
  }
  syncBuiltinESMExports();
});
