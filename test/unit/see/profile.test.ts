import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { Profile } from 'pprof-format';
import { configure, heapProfile, Slice, withLabel } from '../../../lib/index.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { hasGo } from '../../runtimes/tools.ts';

interface Sample {
  readonly values: number[];
  readonly frames: { name: string; file: string; line: number }[];
  readonly labels: Record<string, string>;
}

function read(profile: Buffer): { types: string[]; samples: Sample[]; period: number } {
  const { sampleType, sample, location, stringTable, period, ...rest } = Profile.decode(gunzipSync(profile));
  const text = (at: unknown) => stringTable.strings[Number(at)] ?? '';
  const frame = (id: unknown) => {
    const { line } = location.find((each) => Number(each.id) === Number(id)) ?? { line: [] };
    const of = rest.function.find((each) => Number(each.id) === Number(line[0]?.functionId));
    return { name: text(of?.name), file: text(of?.filename), line: Number(line[0]?.line) };
  };
  return {
    types: sampleType.map(({ type, unit }) => `${text(type)} ${text(unit)}`),
    period: Number(period),
    samples: sample.map(({ value, locationId, label }) => ({
      values: value.map(Number),
      frames: locationId.map(frame),
      labels: Object.fromEntries(label.map(({ key, str }) => [text(key), text(str)])),
    })),
  };
}

/** What Go says of a profile. */
function pprof(profile: Buffer, ...args: string[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'cslice-'));
  try {
    const file = join(directory, 'profile.pb.gz');
    writeFileSync(file, profile);
    return execFileSync('go', ['tool', 'pprof', ...args, file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function keepMany(count: number, byteLength: number): Slice[] {
  return Array.from({ length: count }, () => Slice.alloc(byteLength));
}

function passMany(count: number, byteLength: number): void {
  for (let i = 0; i < count; i++) Slice.alloc(byteLength).release();
}

describe('heapProfile', () => {
  before('what other tests have recorded is collected', () =>
    collectUntil(() => read(heapProfile()).samples.every(({ values }) => values[2] === 0), 'recorded blocks'),
  );

  afterEach(() => configure({ profile: false, track: false }));

  it('has the sample types of Go in their order, and is valid while nothing is recorded', () => {
    const { types, samples } = read(heapProfile());
    expect(types).to.deep.equal([
      'alloc_objects count',
      'alloc_space bytes',
      'inuse_objects count',
      'inuse_space bytes',
    ]);
    expect(samples.filter(({ values }) => values[2] !== 0)).to.deep.equal([]);
  });

  it('is exact with tracking: what is live, by holder, and what has ended', () => {
    configure({ track: true });
    const kept = withLabel('tenant 7', () => keepMany(10, 100));
    const buffer = kept[0]?.toBuffer();
    kept[0]?.release();
    passMany(5, 1000);
    const { samples } = read(heapProfile());
    const of = (name: string) =>
      samples.filter(({ frames }) =>
        frames.some((frame) => frame.name.endsWith(name) && frame.file === import.meta.filename),
      );
    expect(of('keepMany').map(({ values, labels }) => ({ values, labels }))).to.have.deep.members([
      { values: [9, 900, 9, 900], labels: { kind: 'alloc', holder: 'slice', label: 'tenant 7' } },
      { values: [1, 100, 1, 100], labels: { kind: 'alloc', holder: 'Buffer', label: 'tenant 7' } },
    ]);
    expect(of('passMany').map(({ values, labels }) => ({ values, labels }))).to.deep.equal([
      { values: [5, 5000, 0, 0], labels: { kind: 'alloc' } },
    ]);
    for (const slice of kept) slice.release();
    expect(buffer?.length).to.equal(100);
  });

  it('estimates without a bias what it samples, of small and of large blocks', () => {
    for (const [count, byteLength] of [
      [40_000, 64],
      [2000, 5000],
      [300, 100_000],
    ] as const) {
      configure({ profile: { sampleBytes: 4096 } });
      const kept = keepMany(count, byteLength);
      const { samples, period } = read(heapProfile());
      const live = samples.filter(({ frames, values }) => frames[1]?.name.includes('keepMany') || values[3] !== 0);
      const sum = (at: number) => live.reduce((total, { values }) => total + (values[at] ?? 0), 0);
      expect(period).to.equal(4096);
      const sampled = count * -Math.expm1(-byteLength / 4096);
      const tolerance = Math.max(0.01, 6 / Math.sqrt(sampled)); // six standard deviations
      expect(sum(2) / count, `blocks of ${byteLength}`).to.be.closeTo(1, tolerance);
      expect(sum(3) / (count * byteLength), `bytes of ${byteLength}`).to.be.closeTo(1, tolerance);
      for (const slice of kept) slice.release();
    }
  });

  it('leaves the free list at work', () => {
    configure({ profile: { sampleBytes: 1 << 30 } });
    passMany(2, 72);
    const { address } = Slice.alloc(72);
    expect(address > 0n).to.equal(true);
  });

  it('leaves the frames of the library out', () => {
    configure({ track: true });
    using slice = Slice.fromString('text');
    const { samples } = read(heapProfile());
    for (const { file } of samples.flatMap(({ frames }) => frames))
      expect(file).not.to.match(/\/lib\/(core|record|see|slice)/);
    expect(slice.byteLength).to.equal(5);
  });

  it('opens in Go', function () {
    if (!hasGo) this.skip();
    configure({ track: true });
    const kept = keepMany(3, 1 << 20);
    expect(pprof(heapProfile(), '-top')).to.match(
      /Type: inuse_space[\s\S]*3MB +\d.*keepMany|Type: inuse_space[\s\S]*MB/,
    );
    const raw = pprof(heapProfile(), '-raw');
    expect(raw).to.match(/alloc_objects\/count alloc_space\/bytes inuse_objects\/count inuse_space\/bytes\[dflt\]/);
    expect(raw).to.match(/holder:\[slice\] kind:\[alloc\]/);
    for (const slice of kept) slice.release();
    expect(pprof(heapProfile(), '-top')).to.match(/Type: inuse_space/);
  });

  it("writes Chrome's format: the live bytes as a tree from the outermost frame in", () => {
    configure({ track: true });
    const kept = keepMany(10, 123);
    interface Node {
      callFrame: { functionName: string; url: string; lineNumber: number; columnNumber: number };
      selfSize: number;
      id: number;
      children: Node[];
    }
    const { head, samples } = JSON.parse(heapProfile({ format: 'chrome' })) as {
      head: Node;
      samples: { size: number; nodeId: number }[];
    };
    const all: Node[] = [head];
    for (const node of all) all.push(...node.children);
    expect(head.callFrame.functionName).to.equal('(root)');
    expect(new Set(all.map(({ id }) => id)).size).to.equal(all.length);
    const node = all.find(({ selfSize }) => selfSize === 1230);
    expect(node?.callFrame.url).to.equal(`file://${import.meta.filename}`);
    expect(samples).to.deep.include({
      size: 1230,
      nodeId: node?.id,
      ordinal: 1 + samples.findIndex((s) => s.size === 1230),
    });
    for (const slice of kept) slice.release();
  });

  it('refuses wrong options', () => {
    expectError(() => heapProfile(wrong({ form: 'pprof' })), 'ERR_CSLICE_TYPE', /format/);
    expectError(() => heapProfile(wrong({ format: 'svg' })), 'ERR_CSLICE_RANGE', /pprof.*chrome/);
    expectError(() => heapProfile(wrong({ format: 1 })), 'ERR_CSLICE_TYPE', /format/);
    expectError(() => configure(wrong({ profil: false })), 'ERR_CSLICE_TYPE', /profile/);
    expectError(() => configure({ profile: wrong(true) }), 'ERR_CSLICE_TYPE', /sampleBytes/);
    expectError(() => configure({ profile: wrong({ bytes: 1 }) }), 'ERR_CSLICE_TYPE', /sampleBytes/);
    expectError(() => configure({ profile: { sampleBytes: 0 } }), 'ERR_CSLICE_RANGE', /sampleBytes/);
    expectError(() => configure({ track: wrong(1) }), 'ERR_CSLICE_TYPE', /track/);
    expectError(() => configure({ warn: wrong('all') }), 'ERR_CSLICE_RANGE', /collected/);
    expectError(() => configure({ warn: wrong(true) }), 'ERR_CSLICE_TYPE', /collected/);
  });
});
