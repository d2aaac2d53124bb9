import { expect } from 'chai';
import koffi from 'koffi';
import { Arena, configure, destructor, Handle, liveBlocks, Pool, pin, Slice } from '../../../lib/index.ts';
import { libraryPath } from '../../../lib/native/locate.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { c } from '../../helpers/c-library.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';

const here = import.meta.filename;
const cslice = koffi.load(libraryPath);
const blocks = {
  ref: cslice.func('void *cslice_block_ref(uintptr_t block)'),
  unref: cslice.func('void cslice_block_unref(uintptr_t block)'),
};

function of(slice: Slice) {
  const { address } = slice;
  return liveBlocks().find((block) => block.address === address);
}

describe('liveBlocks', () => {
  before(() => configure({ track: true }));
  after(() => configure({ track: false }));

  it('tells size, kind, label, age and the place in the source of a block', () => {
    using slice = Slice.alloc(64, { label: 'a label' });
    const block = of(slice);
    expect(block).to.include({ byteLength: 64, kind: 'alloc', label: 'a label', name: undefined });
    expect(block?.ageMs).to.be.within(0, 60_000);
    expect(block?.stack[0]?.file).to.equal(here);
    expect(block?.stack[0]?.line).to.equal(27);
    for (const { file } of block?.stack ?? [])
      expect(file).not.to.match(/cslice.*\/lib\/(core|record|see)|\/lib\/slice\.ts/);
  });

  it('names every kind', () => {
    using arena = new Arena();
    arena.alloc(8);
    using pool = new Pool({ byteLength: 8, warmUp: 1 });
    using adopted = Slice.adopt(malloc(8), 8, destructor(c, 'free'));
    using called = Slice.adopt(malloc(8), 8, (address) => free(address));
    using handle = Handle.adopt('thing', 0x1000n, () => {});
    expect(arena.released || pool.stats().idle !== 1 || handle.released).to.equal(false);
    const map = c.func('void *mmap(uintptr_t at, size_t size, int access, int flags, int file, int64_t from)');
    const [readable, privateAnonymous] = [1, process.platform === 'darwin' ? 0x1002 : 0x22];
    const munmap = destructor(c, 'munmap', { signature: 'ptr,size' });
    using mapped = Slice.adopt(map(0, 4096, readable, privateAnonymous, -1, 0), 4096, munmap);
    expect(of(mapped)?.kind).to.equal('map');
    expect(of(adopted)?.kind).to.equal('adopt');
    expect(of(called)?.kind).to.equal('adopt');
    const kinds = liveBlocks().map(({ kind, name, byteLength }) => `${kind} ${name ?? byteLength}`);
    expect(kinds).to.include.members(['arena 65536', 'pool 8', 'handle thing']);
  });

  it('loses a block that was released, collected, disowned or ended by C', async () => {
    const count = () => liveBlocks().length;
    const before = count();
    Slice.alloc(8).release();
    free(Slice.alloc(8).disown());
    (() => void Slice.alloc(8))();
    await collectUntil(() => count() === before, 'a dropped block');
  });

  it('keeps nothing alive', async () => {
    let dropped: WeakRef<Uint8Array> | undefined;
    (() => {
      const slice = Slice.alloc(8);
      dropped = new WeakRef(slice.bytes);
    })();
    await collectUntil(() => dropped?.deref() === undefined, 'the view of a tracked block');
  });

  it('is bounded, with the largest first', () => {
    const slices = [8, 4096, 100].map((byteLength) => Slice.alloc(byteLength));
    expect(liveBlocks({ limit: 2 }).map(({ byteLength }) => byteLength)).to.have.length(2);
    expect(liveBlocks({ limit: 0 })).to.have.length(0);
    const sizes = liveBlocks().map(({ byteLength }) => byteLength);
    expect(sizes).to.deep.equal([...sizes].sort((a, b) => b - a));
    for (const slice of slices) slice.release();
  });

  it('follows a resize, in place and by a copy', () => {
    using slice = Slice.alloc(64);
    slice.resize(5000);
    expect(of(slice)?.byteLength).to.equal(5000);
    const buffer = slice.toBuffer();
    slice.resize(6000);
    expect(of(slice)?.byteLength).to.equal(6000);
    expect(buffer.length).to.equal(5000);
  });

  it('refuses options that it does not know', () => {
    expectError(() => liveBlocks(wrong({ most: 1 })), 'ERR_CSLICE_TYPE', /limit/);
    expectError(() => liveBlocks({ limit: -1 }), 'ERR_CSLICE_RANGE', /limit/);
    expectError(() => liveBlocks({ limit: wrong('1') }), 'ERR_CSLICE_TYPE', /limit/);
  });
});

describe('slice.holders', () => {
  const names = (slice: Slice) => slice.holders().map(({ holder }) => holder);

  context('with tracking', () => {
    before(() => configure({ track: true }));
    after(() => configure({ track: false }));

    it('names each holder with the line that made it', () => {
      using slice = Slice.alloc(64);
      const buffer = slice.toBuffer();
      using lease = slice.lease();
      using part = slice.subslice(8);
      const shared = slice.toSharedBuffer();
      const holders = slice.holders();
      expect(holders.map(({ holder }) => holder)).to.deep.equal([
        'slice',
        'Buffer',
        'lease',
        'subslice',
        'SharedArrayBuffer',
      ]);
      const lines = holders.map(({ stack }) => stack[0]?.line ?? 0);
      expect(lines.map((line) => line - (lines[0] ?? 0))).to.deep.equal([0, 1, 2, 3, 4]);
      for (const { stack, count } of holders) expect([stack[0]?.file, count]).to.deep.equal([here, 1]);
      expect(buffer.length + part.byteLength + shared.byteLength).to.equal(184);
      expect(lease.released).to.equal(false);
    });

    it('names views by their class, and pins', () => {
      using slice = Slice.alloc(64);
      const view = slice.view(Float64Array);
      using pinned = pin(view);
      expect(slice.holders().map(({ holder, type }) => type ?? holder)).to.deep.equal([
        'slice',
        'ArrayBuffer',
        'Float64Array',
        'pin',
      ]);
      pinned.release();
      expect(names(slice)).not.to.include('pin');
    });

    it('forgets what was released, and what was collected', async () => {
      using slice = Slice.alloc(64);
      slice.lease().release();
      slice.subslice().release();
      (() => void slice.toBuffer())();
      await collectUntil(() => names(slice).length === 1, 'a dropped Buffer');
      expect(names(slice)).to.deep.equal(['slice']);
    });

    it('says who still holds a block whose slice was released', () => {
      const slice = Slice.alloc(64);
      const { address } = slice;
      const buffer = slice.toBuffer();
      slice.release();
      const block = liveBlocks().find((each) => each.address === address);
      expect(block?.holders.map(({ holder }) => holder)).to.deep.equal(['Buffer']);
      expect(buffer.length).to.equal(64);
    });

    it('counts references of C that nobody here knows', () => {
      using slice = Slice.alloc(64);
      blocks.ref(slice.block);
      expect(slice.holders().at(-1)).to.include({ holder: 'C', count: 1 });
      blocks.unref(slice.block);
      expect(names(slice)).to.deep.equal(['slice']);
    });

    it('names loans', async () => {
      using slice = Slice.alloc(64);
      await slice.lend(async () => {
        await undefined;
        expect(names(slice)).to.include('loan');
      });
      expect(names(slice)).not.to.include('loan');
    });
  });

  it('says without tracking what is known', () => {
    using slice = Slice.alloc(64);
    expect(names(slice)).to.deep.equal(['slice']);
    slice.bytes[0] = 1;
    using lease = slice.lease();
    expect(names(slice)).to.deep.equal(['slice', 'view', 'C']);
    lease.release();
    const released = Slice.alloc(8);
    released.release();
    expectError(() => released.holders(), 'ERR_CSLICE_RELEASED');
  });
});
