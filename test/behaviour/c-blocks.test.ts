import { constants } from 'node:buffer';
import { expect } from 'chai';
import koffi from 'koffi';
import { CCallError } from '../../lib/errors.ts';
import {
  type CFunction,
  configure,
  copyBytes,
  func as declare,
  type Ownership,
  Slice,
  stats,
} from '../../lib/index.ts';
import { testFailAllocation } from '../../lib/native/symbols.ts';
import { free } from '../helpers/blocks.ts';
import { collectUntil } from '../helpers/collect.ts';
import { expectError, wrong } from '../helpers/expect-error.ts';
import { blocksLibraryPath } from '../helpers/interop.ts';
import { run, runForJson } from '../helpers/run.ts';

type Library = ReturnType<typeof koffi.load>;

let library: Library | undefined;

function blocks(): Library {
  library ??= koffi.load(blocksLibraryPath());
  return library;
}

function func(prototype: string): ReturnType<Library['func']> {
  return blocks().func(prototype);
}

const newBlock = (byteLength: number): bigint => func('void *blk_new(size_t size)')(byteLength);
const keep = (block: bigint): void => func('void blk_keep(void *block)')(block);
const forget = (): void => func('void blk_forget()')();
const byteOfKept = (i: number): number => func('int blk_byte(size_t i)')(i);
const setByteOfKept = (i: number, byte: number): void => func('void blk_set(size_t i, int byte)')(i, byte);
const ended = (): number => func('uint64_t blk_ended()')();
const pretend = (byteLength: number | bigint): bigint => func('void *blk_pretend(uint64_t size)')(byteLength);

function live(): number {
  return stats().liveBlocks;
}

describe('Slice.fromBlock', () => {
  it('takes over the reference to a block that C made, and sees its bytes without a copy', () => {
    const before = live();
    const block = newBlock(100);
    expect(live()).to.equal(before + 1);
    const slice = Slice.fromBlock(block);
    expect(slice.byteLength).to.equal(100);
    expect(slice.copy()).to.deep.equal(Uint8Array.from({ length: 100 }, (_, i) => i));
    expect(slice.block).to.equal(block);
    expect(live()).to.equal(before + 1);
    const { bytes } = slice;
    slice.release();
    slice.release();
    expect(bytes.byteLength).to.equal(0);
    expect(live()).to.equal(before);
  });

  it('can be handed back to C, which frees it, in guard mode as well', () => {
    for (const guard of [false, { sample: 1 }] as const) {
      configure({ guard });
      try {
        const address = Slice.fromBlock(newBlock(100)).disown();
        expect(copyBytes(address, 3)).to.deep.equal(Uint8Array.of(0, 1, 2));
        free(address);
      } finally {
        configure({ guard: false });
      }
    }
  });

  it('counts the end of the block as one by scope, and one by collection where nobody releases it', async () => {
    const before = stats();
    Slice.fromBlock(newBlock(8)).release();
    expect(stats().releasedByScope).to.equal(before.releasedByScope + 1);
    (() => {
      Slice.fromBlock(newBlock(8));
      Slice.fromBlock(newBlock(8)).bytes.fill(1);
    })();
    await collectUntil(() => live() === before.liveBlocks, 'both have been collected');
    expect(stats().releasedByCollection).to.equal(before.releasedByCollection + 2);
  });

  it('runs the function of an adopted block once, with its size', () => {
    const before = ended();
    const slice = Slice.fromBlock(pretend(8));
    expect(slice.copy()).to.deep.equal(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const part = slice.subslice(2, 4);
    slice.release();
    expect(ended()).to.equal(before);
    part.release();
    expect(ended()).to.equal(before + 1);
    expect(func('uint64_t blk_ended_size()')()).to.equal(8);
  });

  it('shares the block with C that has taken a reference: it lives as long as either', () => {
    const before = live();
    const slice = Slice.fromBlock(newBlock(16));
    keep(slice.block);
    slice.bytes[3] = 99;
    expect(byteOfKept(3)).to.equal(99);
    setByteOfKept(4, 88);
    expect(slice.bytes[4]).to.equal(88);
    slice.release();
    expect(live()).to.equal(before + 1);
    expect(byteOfKept(3)).to.equal(99);
    const byC = stats().releasedByC;
    forget();
    expect(live()).to.equal(before);
    expect(stats().releasedByC).to.equal(byC + 1);
  });

  it('shows the progress of a thread of C that fills the block, and lets it go on after the release', () => {
    const before = live();
    const slice = Slice.fromBlock(newBlock(1 << 20));
    keep(slice.block);
    expect(func('int blk_fill_in_thread(void *block)')(slice.block)).to.equal(0);
    slice.release();
    expect(func('int blk_join()')()).to.equal(0);
    expect(byteOfKept(0)).to.equal(42);
    expect(byteOfKept((1 << 20) - 1)).to.equal(42);
    forget();
    expect(live()).to.equal(before);
  });

  it('takes a block without bytes, at any address and at none', () => {
    const before = live();
    for (const block of [newBlock(0), func('void *blk_empty()')()]) {
      const slice = Slice.fromBlock(block);
      expect(slice.byteLength).to.equal(0);
      expect(slice.bytes.byteLength).to.equal(0);
      expect(slice.copy()).to.deep.equal(new Uint8Array());
      expect(slice.text()).to.equal('');
      using part = slice.subslice();
      expect(part.byteLength).to.equal(0);
      slice.release();
    }
    expect(live()).to.equal(before);
  });

  it('refuses NULL and what is not an address', () => {
    const before = stats();
    for (const block of [0n, -1n, 1n << 64n]) expectError(() => Slice.fromBlock(block), 'ERR_CSLICE_RANGE', /block/);
    for (const block of [undefined, null, 8, '8', {}, new Uint8Array(8)]) {
      expectError(() => Slice.fromBlock(wrong(block)), 'ERR_CSLICE_TYPE', /block/);
    }
    expect(stats()).to.deep.equal(before);
  });

  it('refuses a block that is longer than any view, and leaves it with the caller', () => {
    const { status, signal, stdout, stderr } = run('interop/oversized.ts', {
      args: [blocksLibraryPath(), String(constants.MAX_LENGTH + 1)],
    });
    expect([status, signal], stderr).to.deep.equal([0, null]);
    expect(JSON.parse(stdout)).to.deep.equal({ code: 'ERR_CSLICE_RANGE', liveBlocks: 1, afterUnref: 0 });
  });

  it('needs no memory of C', () => {
    const before = live();
    const block = newBlock(8);
    testFailAllocation(1);
    try {
      Slice.fromBlock(block).release();
    } finally {
      testFailAllocation(0);
    }
    expect(live()).to.equal(before);
  });

  it('keeps a job that never yields bounded while it drops blocks of C', () => {
    const result = runForJson<{ peakMebibytes: number; liveBlocks: number }>('interop/flood.ts', {
      args: [blocksLibraryPath(), '2000', String(1 << 20)],
    });
    expect(result.peakMebibytes).to.be.at.most(350);
    expect(result.liveBlocks).to.equal(0);
  });
});

describe('slice.block', () => {
  it('is the block under every slice that owns one, subslices included', () => {
    using slice = Slice.alloc(16);
    using part = slice.subslice(8);
    expect(part.block).to.equal(slice.block);
    keep(part.block);
    expect(func('uint64_t blk_size()')()).to.equal(16);
    slice.bytes[5] = 5;
    expect(byteOfKept(5)).to.equal(5);
    forget();
  });

  it('throws for a borrowed slice and for a released one', () => {
    const slice = Slice.alloc(8);
    using borrowed = Slice.borrow(slice.address, 8, slice);
    expectError(() => borrowed.block, 'ERR_CSLICE_TYPE', /borrowed/);
    slice.release();
    expectError(() => slice.block, 'ERR_CSLICE_RELEASED');
  });

  it('lets C hold back a resize and a disown', () => {
    using slice = Slice.alloc(8);
    keep(slice.block);
    expectError(() => slice.resize(16), 'ERR_CSLICE_STATE');
    expectError(() => slice.disown(), 'ERR_CSLICE_STATE');
    forget();
    slice.resize(16);
    expect(slice.byteLength).to.equal(16);
  });
});

describe('a function that returns a block', () => {
  const openPrototype = 'int blk_open(size_t size, _Out_ void **block)';

  function open(
    options: Partial<Ownership> = {},
  ): CFunction<typeof openPrototype, { returns: 'block'; from: 'block' }> {
    return declare(blocks(), openPrototype, wrong({ returns: 'block', from: 'block', ...options }));
  }

  function make(): CFunction<'void *blk_new(size_t size)', { returns: 'block' }> {
    return declare(blocks(), 'void *blk_new(size_t size)', { returns: 'block' });
  }

  it('makes a slice of a block that C returns', () => {
    const before = live();
    {
      using slice = make()(10);
      expect(slice.copy(8)).to.deep.equal(Uint8Array.of(8, 9));
    }
    expect(live()).to.equal(before);
  });

  it('makes a slice of a block in an out parameter, or gives it back when the call failed all the same', () => {
    const before = live();
    open()(10).release();
    for (const size of [0, 11]) {
      const error = expectError(() => open()(size), 'ERR_CSLICE_CALL', /blk_open/);
      expect(error).to.be.instanceOf(CCallError);
      expect(live()).to.equal(before);
    }
  });

  it('gives the block back when the functions of the declaration throw', () => {
    const before = live();
    const thrower = (): never => {
      throw new Error('thrown');
    };
    for (const options of [{ failed: thrower }, { message: thrower }]) {
      expect(() => open(options)(11)).to.throw(Error, 'thrown');
      expect(live(), Object.keys(options).join()).to.equal(before);
    }
  });

  it('throws for NULL, and refuses a declaration that does not fit', () => {
    const before = live();
    expectError(() => make()(2n ** 63n), 'ERR_CSLICE_CALL', /blk_new/);
    expectError(() => wrong(make())(), 'ERR_CSLICE_TYPE');
    expectError(() => declare(blocks(), 'int blk_byte(size_t i)', { returns: 'block' }), 'ERR_CSLICE_TYPE');
    expect(live()).to.equal(before);
  });
});
