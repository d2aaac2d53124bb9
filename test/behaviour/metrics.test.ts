import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Attributes, metrics } from '@opentelemetry/api';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { expect } from 'chai';
import * as promClient from 'prom-client';
import { Slice, stats } from '../../lib/index.ts';
import { type PrometheusClient, registerOpenTelemetry, registerPrometheus } from '../../lib/metrics.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { runForJson } from '../helpers/run.ts';

const { Counter, Registry } = promClient;

/** The series of a scrape in Prometheus's text format, by name and labels. */
async function scrape(port: number): Promise<Record<string, number>> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect(response.headers.get('content-type')).to.equal(Registry.PROMETHEUS_CONTENT_TYPE);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const [, series = '', value] = /^(.*) (\S+)$/.exec(line) ?? [];
      return [series, Number(value)];
    }),
  );
}

describe('metrics for Prometheus', () => {
  it('come with a scrape over HTTP, beside those of others, and say what stats() says then', async () => {
    const register = new Registry();
    new Counter({ name: 'requests_total', help: 'Requests', registers: [register] }).inc(3);
    using registration = registerPrometheus({ register });
    const server = createServer(async (_, response) => {
      response.setHeader('content-type', register.contentType);
      response.end(await register.metrics());
    }).listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      using slice = Slice.alloc(1_000_000);
      const first = await scrape(port);
      expect(first).to.include({
        requests_total: 3,
        cslice_live_bytes: stats().liveBytes,
        cslice_live_blocks: stats().liveBlocks,
        cslice_blocks_allocated_total: stats().allocatedBlocks,
        'cslice_blocks_released_total{reason="collection"}': stats().releasedByCollection,
      });
      slice.release();
      const second = await scrape(port);
      const added = (series: string) => (second[series] as number) - (first[series] as number);
      expect(added('cslice_live_bytes')).to.equal(-1_000_000);
      expect(added('cslice_blocks_released_total{reason="scope"}')).to.equal(1);
      expect(second).to.have.property('cslice_peak_bytes').that.is.at.least(1_000_000);
      registration.release();
      expect(await scrape(port)).to.deep.equal({ requests_total: 3 });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('of one scrape are of one moment', async () => {
    const register = new Registry();
    using _ = registerPrometheus({ register });
    const values = Object.fromEntries((await register.getMetricsAsJSON()).map(({ name, values }) => [name, values]));
    const sum = (name: string) =>
      (wrong(values[name]) as { value: number }[]).reduce((total, { value }) => total + value, 0);
    expect(sum('cslice_live_blocks') + sum('cslice_blocks_released_total')).to.equal(
      sum('cslice_blocks_allocated_total'),
    );
  });

  it('are registered once, however often that is asked for', async () => {
    const register = new Registry();
    const first = registerPrometheus({ register });
    expect(registerPrometheus({ register, client: promClient })).to.equal(first);
    first.release();
    first.release();
    expect(await register.getMetricsAsJSON()).to.deep.equal([]);
    using again = registerPrometheus({ register });
    expect(again).not.to.equal(first);
    expect(await register.getMetricsAsJSON()).to.have.lengthOf(8);
  });

  it('go to the registry of prom-client itself without options', async () => {
    using _ = registerPrometheus();
    expect(await promClient.register.metrics()).to.include('cslice_live_bytes ');
  });

  it('are refused whole where the registry has another metric of such a name', () => {
    const register = new Registry();
    const other = new Counter({ name: 'cslice_peak_bytes', help: 'Another', registers: [register] });
    expectError(
      () => registerPrometheus({ register }),
      'ERR_CSLICE_STATE',
      /another metric with the name cslice_peak_bytes/,
    );
    expect(register.getMetricsAsArray()).to.have.lengthOf(1);
    expect(register.getSingleMetric('cslice_peak_bytes')).to.equal(other);
  });

  it('are not counted twice: a worker thread reports none, unless it is asked to', () => {
    expect(runForJson('metrics/worker.ts')).to.deep.equal([0, 8]);
  });

  it('need the right arguments', () => {
    expectError(() => registerPrometheus(wrong(null)), 'ERR_CSLICE_TYPE', /^options must be an object, got null/);
    expectError(
      () => registerPrometheus(wrong({ registry: 1 })),
      'ERR_CSLICE_TYPE',
      /has no "registry"; it may have client, register/,
    );
    expectError(
      () => registerPrometheus({ client: wrong({}) as PrometheusClient }),
      'ERR_CSLICE_TYPE',
      /^client must be the module/,
    );
    expectError(
      () => registerPrometheus({ register: wrong(1) }),
      'ERR_CSLICE_TYPE',
      /^register must be a registry of prom-client/,
    );
    expectError(
      () => registerPrometheus({ everyThread: wrong(1) }),
      'ERR_CSLICE_TYPE',
      /^everyThread must be a boolean/,
    );
  });
});

/** A reader that collects when it is asked to. */
class Reader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}

  /** The data points by instrument, with the unit of each. */
  async read(): Promise<Record<string, { unit: string; points: [attributes: Attributes, value: unknown][] }>> {
    const { resourceMetrics, errors } = await this.collect();
    expect(errors).to.deep.equal([]);
    const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return Object.fromEntries(
      all.map(({ descriptor: { name, unit }, dataPoints }) => [
        name,
        { unit, points: dataPoints.map(({ attributes, value }) => [attributes, value]) },
      ]),
    );
  }
}

describe('metrics for OpenTelemetry', () => {
  it('are observed by the real SDK, in the units of its conventions', async () => {
    const reader = new Reader();
    const provider = new MeterProvider({ readers: [reader] });
    using registration = registerOpenTelemetry({ meter: provider.getMeter('test') });
    using slice = Slice.alloc(1_000_000);
    const read = await reader.read();
    const { liveBytes, retainedBytes, liveBlocks, allocatedBlocks, releasedByScope } = stats();
    expect(read['cslice.memory.usage']).to.deep.equal({
      unit: 'By',
      points: [
        [{ 'cslice.state': 'live' }, liveBytes],
        [{ 'cslice.state': 'retained' }, retainedBytes],
      ],
    });
    expect(read['cslice.block.count']).to.deep.equal({
      unit: '{block}',
      points: [[{ 'cslice.state': 'live' }, liveBlocks]],
    });
    expect(read['cslice.block.allocated']?.points).to.deep.equal([[{}, allocatedBlocks]]);
    expect(read['cslice.block.released']?.points).to.deep.include([{ 'cslice.reason': 'scope' }, releasedByScope]);
    expect(read['cslice.memory.peak']?.unit).to.equal('By');
    slice.release();
    const usage = (await reader.read())['cslice.memory.usage']?.points;
    expect(usage).to.deep.include([{ 'cslice.state': 'live' }, stats().liveBytes]);
    registration.release();
    using unseen = Slice.alloc(5000);
    const after = (await reader.read())['cslice.memory.usage']?.points[0]?.[1];
    expect(after, 'nothing is observed any more').to.equal(stats().liveBytes - unseen.byteLength);
    await provider.shutdown();
  });

  it('are registered once with a meter', async () => {
    const reader = new Reader();
    const provider = new MeterProvider({ readers: [reader] });
    const meter = provider.getMeter('test');
    using first = registerOpenTelemetry({ meter });
    expect(registerOpenTelemetry({ meter })).to.equal(first);
    expect((await reader.read())['cslice.block.released']?.points).to.have.lengthOf(5);
    await provider.shutdown();
  });

  it('go to the global provider of the API without options', async () => {
    const reader = new Reader();
    const provider = new MeterProvider({ readers: [reader] });
    metrics.setGlobalMeterProvider(provider);
    try {
      using _ = registerOpenTelemetry();
      expect(await reader.read()).to.have.property('cslice.memory.usage');
    } finally {
      metrics.disable();
      await provider.shutdown();
    }
  });

  it('cost nothing where no provider was set', () => {
    using _ = registerOpenTelemetry();
  });

  it('need the right arguments', () => {
    expectError(() => registerOpenTelemetry(wrong(1)), 'ERR_CSLICE_TYPE', /^options must be an object, got 1/);
    expectError(() => registerOpenTelemetry({ meter: wrong({}) }), 'ERR_CSLICE_TYPE', /^meter must be a Meter/);
    expectError(
      () => registerOpenTelemetry(wrong({ api: 1 })),
      'ERR_CSLICE_TYPE',
      /has no "api"; it may have meter, everyThread/,
    );
  });
});
