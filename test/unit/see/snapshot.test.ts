import { once } from 'node:events';
import { getHeapSnapshot } from 'node:v8';
import { expect } from 'chai';
import { configure, Handle, Slice } from '../../../lib/index.ts';

/** The names of all objects in a heap snapshot, with how many have each. */
async function objectNames(): Promise<Map<string, number>> {
  const chunks: Buffer[] = [];
  const stream = getHeapSnapshot();
  stream.on('data', (chunk) => chunks.push(Buffer.from(chunk)));
  await once(stream, 'end');
  const { snapshot, nodes, strings } = JSON.parse(Buffer.concat(chunks).toString()) as {
    snapshot: { meta: { node_fields: string[]; node_types: [string[]] } };
    nodes: number[];
    strings: string[];
  };
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const object = types[0].indexOf('object');
  const names = new Map<string, number>();
  for (let at = 0; at < nodes.length; at += fields.length) {
    if (nodes[at + fields.indexOf('type')] !== object) continue;
    const name = strings[nodes[at + fields.indexOf('name')] ?? 0] ?? '';
    names.set(name, (names.get(name) ?? 0) + 1);
  }
  return names;
}

describe('heap snapshots', () => {
  after(() => configure({ track: false }));

  it('name what is tracked by what holds it, and how much that is', async function () {
    this.timeout(60_000);
    configure({ track: true });
    const slices = Array.from({ length: 3 }, () => Slice.alloc(98_765));
    const buffers = slices.map((slice) => slice.toBuffer());
    const view = slices[0]?.view(Float64Array, 0, 8);
    using handle = Handle.adopt('database', 0x1000n, () => {});
    const names = await objectNames();
    expect(names.get('cslice slice: 98765 bytes (alloc)')).to.equal(3);
    expect(names.get('cslice Buffer: 98765 bytes (alloc)')).to.equal(3);
    expect(names.get('cslice view: 98765 bytes (alloc)')).to.be.at.least(1);
    expect(names.get('cslice handle: database')).to.equal(1);
    expect(names.get('Slice')).to.be.at.least(3);
    expect([buffers.length, view?.length, handle.released]).to.deep.equal([3, 8, false]);
    for (const slice of slices) slice.release();
  });
});
