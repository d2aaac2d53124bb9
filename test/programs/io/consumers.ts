/** Every asynchronous consumer of bytes in Node's API, in groups that are loaded as they are needed. */
import type { Consumer } from './consumer.ts';

export type Group = 'fs' | 'net' | 'http' | 'http2' | 'zlib' | 'crypto' | 'web' | 'fetch' | 'threads';

export const groups: Readonly<Record<Group, () => Promise<readonly Consumer[]>>> = {
  fs: async () => (await import('./consumers/fs.ts')).fsConsumers,
  net: async () => (await import('./consumers/net.ts')).netConsumers,
  http: async () => (await import('./consumers/http.ts')).httpConsumers,
  http2: async () => (await import('./consumers/http2.ts')).http2Consumers,
  zlib: async () => (await import('./consumers/zlib.ts')).zlibConsumers,
  crypto: async () => (await import('./consumers/crypto.ts')).cryptoConsumers,
  web: async () => (await import('./consumers/web.ts')).webConsumers,
  fetch: async () => (await import('./consumers/fetch.ts')).fetchConsumers,
  threads: async () => (await import('./consumers/threads.ts')).threadConsumers,
};
