// Proves the service under load: slow readers and aborted requests over HTTP/1.1, HTTP/2 and TLS, every byte compared, no block
// left, and no more memory than the same service with Buffers. Build the package first.
//   tsx scripts/prove-service.ts [--requests 200000] [--clients 48] [--seed 1] [--runtime path]
import { parseArgs } from 'node:util';
import { runService, type Served } from '../test/helpers/io/service.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '200000' },
    clients: { type: 'string', default: '48' },
    seed: { type: 'string', default: '1' },
    runtime: { type: 'string' },
  },
});

/** Peak memory against the same service with Buffers. */
const bar = 1.2;

function show(name: string, served: Served): void {
  const { requests, slow, aborted, bytes, foreignBytes, foreignResponses, short, liveBlocks, peak, seconds } = served;
  const load = `${requests} requests, ${slow} slow, ${aborted} aborted, ${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const faults = `${foreignBytes} foreign bytes in ${foreignResponses} responses, ${short} short, ${liveBlocks} blocks left`;
  console.log(`${name}: ${load} in ${seconds.toFixed(0)} s; ${faults}; peak ${(peak / 1024).toFixed(0)} MiB`);
  for (const line of [...served.examples, ...served.errors, ...served.crashes].slice(0, 20)) console.log(`  ${line}`);
}

const { slices, buffers, died } = await runService({
  requests: Number(values.requests),
  clients: Number(values.clients),
  seed: Number(values.seed),
  compare: true,
  ...(values.runtime !== undefined && { runtime: values.runtime }),
});
if (buffers !== undefined) show('Buffers', buffers);
if (slices === undefined || buffers === undefined) {
  console.log(`service: FAILED, ${died}`);
  process.exit(1);
}
show('slices', slices);
const ratio = slices.peak / buffers.peak;
const clean = slices.foreignBytes + slices.short + slices.liveBlocks + slices.crashes.length === 0;
console.log(`service: ${clean ? 'clean' : 'FAILED'}, ${ratio.toFixed(2)} of the memory with Buffers, bar ${bar}`);
process.exitCode = clean && ratio <= bar ? 0 : 1;
