/** An unreferenced socket that was there before cslice, and another one. Prints how many blocks each time were freed at once. */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';

const server = net.createServer(() => {});
await once(server.listen(0, '127.0.0.1'), 'listening');

async function connect(): Promise<void> {
  const client = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(client, 'connect');
  client.unref();
}

await connect();
const { Slice, stats } = await import('../../lib/index.ts');

async function freedAtOnce(): Promise<number> {
  const slice = Slice.alloc(5000);
  slice.bytes[0] = 1;
  await new Promise(setImmediate);
  const before = stats().liveBlocks;
  slice.release();
  return before - stats().liveBlocks;
}

const first = await freedAtOnce();
await connect();
console.log(JSON.stringify([first, await freedAtOnce()]));
process.exit();
