// The service under load: slow readers and aborted requests over HTTP/1.1, HTTP/2 and TLS, every byte compared, no block
// left, and no more memory than the same service with Buffers.
import { runService, type Served } from '../../test/helpers/io/service.ts';
import type { Proof } from './shared/proof.ts';
import { buildPackage, Failure, type Tally } from './shared/report.ts';

/** Peak memory against the same service with Buffers. */
const bar = 1.2;

function describe(name: string, served: Served): string[] {
  const { requests, slow, aborted, bytes, foreignBytes, foreignResponses, short, liveBlocks, peak, seconds } = served;
  const load = `${requests} requests, ${slow} slow, ${aborted} aborted, ${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const faults = `${foreignBytes} foreign bytes in ${foreignResponses} responses, ${short} short, ${liveBlocks} blocks left`;
  const line = `${name}: ${load} in ${seconds.toFixed(0)} s; ${faults}; peak ${(peak / 1024).toFixed(0)} MiB`;
  return [line, ...[...served.examples, ...served.errors, ...served.crashes].slice(0, 20)];
}

async function serve(options: Parameters<typeof runService>[0]): Promise<Tally> {
  const { slices, buffers, died } = await runService(options);
  if (slices === undefined || buffers === undefined) throw new Failure(died ?? 'no figures');
  const ratio = slices.peak / buffers.peak;
  const clean = slices.foreignBytes + slices.short + slices.liveBlocks + slices.crashes.length === 0;
  return {
    passed: clean && ratio <= bar ? 1 : 0,
    total: 1,
    figures: `${ratio.toFixed(2)} of the memory with Buffers, bar ${bar}`,
    lines: [...describe('Buffers', buffers), ...describe('slices', slices)],
  };
}

export const proof: Proof = {
  about: 'a service under load sends every client its own bytes, in the memory that Buffers need',
  options: {
    requests: { type: 'string', default: '200000' },
    clients: { type: 'string', default: '48' },
    seed: { type: 'string', default: '1' },
    runtime: { type: 'string' },
  },
  async prove(report, args) {
    await buildPackage();
    const [requests, clients] = [args.count('requests', 1) ?? 200_000, args.count('clients', 1) ?? 48];
    const runtime = args.text('runtime');
    const options = { requests, clients, seed: args.count('seed') ?? 1, compare: true };
    await report.proof('service', () => serve({ ...options, ...(runtime !== undefined && { runtime }) }));
  },
};
