/** Every asynchronous consumer of bytes in Node's API. */
import type { Consumer } from './consumer.ts';
import { cryptoConsumers } from './consumers/crypto.ts';
import { fsConsumers } from './consumers/fs.ts';
import { httpConsumers } from './consumers/http.ts';
import { netConsumers } from './consumers/net.ts';
import { threadConsumers } from './consumers/threads.ts';
import { webConsumers } from './consumers/web.ts';
import { zlibConsumers } from './consumers/zlib.ts';

export const groups: Readonly<Record<string, readonly Consumer[]>> = {
  fs: fsConsumers,
  net: netConsumers,
  http: httpConsumers,
  zlib: zlibConsumers,
  crypto: cryptoConsumers,
  web: webConsumers,
  threads: threadConsumers,
};

export const consumers: readonly Consumer[] = Object.values(groups).flat();
