import { inspect } from 'node:util';
import { expect } from 'chai';
import { Arena, Handle, Pool, pin, Slice, SliceWriter } from '../../../lib/index.ts';

const hex = (address: bigint): string => `0x${address.toString(16)}`;

describe('console.log', () => {
  it('says of a slice what it is, where, how long, and whether it was released', () => {
    const slice = Slice.alloc(64);
    expect(inspect(slice)).to.equal(`Slice { byteLength: 64, address: ${hex(slice.address)}, released: false }`);
    slice.release();
    expect(inspect(slice)).to.equal('Slice { byteLength: 64, released: true }');
  });

  it('says the same of a lease', () => {
    const lease = pin(new Uint8Array(8));
    expect(inspect(lease)).to.equal(`Lease { byteLength: 8, address: ${hex(lease.address)}, released: false }`);
    lease.release();
    expect(inspect(lease)).to.equal('Lease { byteLength: 8, released: true }');
  });

  it('says of a pool, an arena and a writer what they have', () => {
    using pool = new Pool({ byteLength: 16, warmUp: 2 });
    expect(inspect(pool)).to.equal('Pool { byteLength: 16, blocks: 2, idle: 2, released: false }');
    using arena = new Arena({ slabBytes: 1024 });
    arena.alloc(8);
    expect(inspect(arena)).to.equal('Arena { allocatedBytes: 1024, released: false }');
    using writer = new SliceWriter();
    writer.write(new Uint8Array(3));
    expect(inspect(writer)).to.equal('SliceWriter { byteLength: 3 }');
  });

  it('prints a list of slices as it prints any list', () => {
    using slice = Slice.alloc(1);
    expect(inspect([slice])).to.equal(`[ ${inspect(slice)} ]`);
  });

  it('prints an object that only has the prototype, without an error', () => {
    for (const type of [Slice, Arena, Pool, SliceWriter, Handle]) {
      expect(inspect(Object.create(type.prototype))).to.equal(`${type.name} {}`);
    }
  });
});
