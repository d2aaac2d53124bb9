// A server that answers with pages made by C, in two forms: through koffi alone, and with cslice. Twelve clients ask at once.
// The first form frees a page while the socket still sends it, and C uses the memory again for the next client.
//
//   node --import=tsx examples/node-io/server.ts

import { once } from 'node:events';
import { createServer, get, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { destructor, Slice } from 'cslice';
import koffi from 'koffi';

const c = koffi.load(null);
const malloc = c.func('void *malloc(size_t size)');
const memset = c.func('void *memset(void *memory, int byte, size_t size)');
const free = c.func('void free(void *memory)');
const freed = destructor(c, 'free');

const host = '127.0.0.1';
const clients = 12;
const size = 6 << 20;

/** A page of C memory that belongs to one client: every byte is its number. */
function render(client: number): bigint {
  const page: bigint = malloc(size);
  memset(page, client, size);
  return page;
}

type Answer = (client: number, response: ServerResponse) => void;

const answers: Readonly<Record<string, Answer>> = {
  koffi(client, response) {
    const page = render(client);
    response.end(Buffer.from(koffi.view(page, size)));
    free(page); // the socket is still sending it
  },
  cslice(client, response) {
    using page = Slice.adopt(render(client), size, freed);
    response.end(page.toBuffer()); // the Buffer keeps the page for as long as the socket needs it
  },
};

/** What one client gets. */
function ask(port: number, client: number): Promise<'right' | 'foreign' | 'short'> {
  return new Promise((resolve) => {
    let length = 0;
    let foreign = false;
    const request = get({ host, port, path: `/${client}`, agent: false }, (response) => {
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        foreign ||= chunk.some((byte) => byte !== client);
      });
      response.on('error', () => {}); // a connection that ended early is a short response
      response.on('close', () => resolve(foreign ? 'foreign' : length === size ? 'right' : 'short'));
    });
    request.on('error', () => resolve('short'));
  });
}

async function serve(answer: Answer): Promise<string> {
  const server = createServer((request, response) => answer(Number(request.url?.slice(1)), response));
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const results = await Promise.all(Array.from({ length: clients }, (_, i) => ask(port, i + 1)));
  server.close();
  const count = (kind: string): number => results.filter((result) => result === kind).length;
  return `${count('right')} right, ${count('foreign')} with bytes of other clients, ${count('short')} short`;
}

for (const [name, answer] of Object.entries(answers)) console.log(`${name}: ${await serve(answer)}`);
