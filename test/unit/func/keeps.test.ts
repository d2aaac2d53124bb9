import { expect } from 'chai';
import { destructor, func, Handle, Slice, stats } from '../../../lib/index.ts';
import { testFailAllocation } from '../../../lib/native/symbols.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { c } from '../../helpers/c-library.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { expectError } from '../../helpers/expect-error.ts';
import { freed, objects, objectsPath } from '../../helpers/objects.ts';
import { runForJson } from '../../helpers/run.ts';

const prototype = 'object *obj_new(object *parent, int name)';

function open(name: string): Handle<'object'> {
  return func(objects(), prototype, { returns: 'handle', free: 'obj_free' })(null, name.charCodeAt(0));
}

/** Memory that needs `parent`. */
function make(parent: Handle<'object'> | null, free: 'obj_free' | ((address: bigint) => void) = 'obj_free'): Slice {
  const make = func(objects(), prototype, { returns: 'bytes', size: 16, free, keeps: ['parent'] });
  return make(parent, 'c'.charCodeAt(0));
}

describe('memory that keeps a handle', () => {
  beforeEach(() => void freed());

  const raw = (): ((address: bigint) => void) => {
    const free = func(objects(), 'void obj_free(object *object)');
    return (address) => void free(address);
  };

  for (const [kind, free] of [
    ['a function of the library', () => 'obj_free' as const],
    ['a function of JavaScript', raw],
  ] as const) {
    describe(`and is freed by ${kind}`, () => {
      it('goes before it, whichever is released first', () => {
        for (const order of [
          [0, 1],
          [1, 0],
        ]) {
          const parent = open('p');
          const child = make(parent, free());
          for (const i of order) [parent, child][i]?.release();
          expect(freed(), order.join()).to.equal('cp');
        }
      });

      it('goes before it when both are dropped', async () => {
        (() => {
          for (let i = 0; i < 20; i++) make(open('p'), free());
        })();
        await collectUntil(() => stats().liveHandles.object === undefined, 'all have been freed');
        const order = freed();
        expect([...order].sort().join('')).to.equal('c'.repeat(20) + 'p'.repeat(20));
        let children = 0;
        for (const name of order) {
          children += name === 'c' ? 1 : -1;
          expect(children, order).to.be.at.least(0);
        }
      });

      it('goes before it when a Buffer with a reference of its own is the last to go', async () => {
        const parent = open('p');
        const child = make(parent, free());
        let buffer: Buffer | undefined = child.toBuffer();
        child.release();
        parent.release();
        expect([freed(), buffer.byteLength]).to.deep.equal(['', 16]);
        buffer = undefined;
        await collectUntil(() => stats().liveHandles.object === undefined, 'both have been freed');
        expect(freed()).to.equal('cp');
      });

      it('cannot be disowned, since what it keeps would never go', () => {
        const parent = open('p');
        const child = make(parent, free());
        parent.release();
        expectError(() => child.disown(), 'ERR_CSLICE_TYPE', /keeps other objects/);
        const whole = child.subslice();
        child.release();
        expectError(() => whole.disown(), 'ERR_CSLICE_TYPE', /keeps other objects/);
        whole.release();
        expect(freed()).to.equal('cp');
      });
    });
  }

  it('can be disowned where it keeps nothing after all', () => {
    const address = make(null).disown();
    expect(freed()).to.equal('');
    raw()(address);
    expect(freed()).to.equal('c');
  });

  it('releases everything when C has no memory left', () => {
    const before = stats().liveBlocks;
    for (let n = 1; n < 10; n++) {
      const parent = open('p');
      const keep = make(parent);
      testFailAllocation(n);
      try {
        make(parent).release();
      } catch {
      } finally {
        testFailAllocation(0);
      }
      parent.release();
      keep.release();
      expect(freed(), `allocation ${n}`).to.equal('ccp');
    }
    expect([stats().liveBlocks, stats().liveHandles]).to.deep.equal([before, {}]);
  });

  it('goes before it at the end of their thread, and before memory that the handle keeps', () => {
    expect(runForJson('func/kept-at-end.ts', { args: [objectsPath(), 'kept'] })).to.deep.equal(['cps']);
  });

  it('keeps it past the end of their thread, if it was moved to another one', () => {
    const order = runForJson('func/kept-at-end.ts', { args: [objectsPath(), 'moved'] });
    expect(order).to.deep.equal(['', 'c', 'cps']);
  });
});

describe('a handle that keeps newer ones', () => {
  it('goes before them at the end of the thread', () => {
    expect(runForJson('func/kept-at-end.ts', { args: [objectsPath(), 'linked'] })).to.deep.equal(['pnos']);
  });
});

describe('what a function keeps for a handle (by)', () => {
  const prototype = 'int memcmp(const KeptT *h, const void *data, size_t size)';

  /** A handle and a slice, and the blocks that are live when the destructor of the handle runs. */
  function given(): { handle: Handle<'KeptT'>; slice: Slice; seen: number[] } {
    const seen: number[] = [];
    const handle = Handle.adopt('KeptT', malloc(16), (address) => {
      seen.push(stats().liveBlocks);
      free(address);
    });
    return { handle, slice: Slice.alloc(5000), seen };
  }

  it('outlives the object, although its handle is released while C works in the background', async () => {
    const before = stats().liveBlocks;
    const { handle, slice, seen } = given();
    const compare = func(c, prototype, { keeps: ['data'], by: 'h' });
    const result = compare.async(handle, slice, 0);
    handle.release();
    slice.release();
    expect(await result).to.equal(0);
    expect(seen).to.deep.equal([before + 1]);
    expect(stats().liveBlocks).to.equal(before);
  });

  it('is held once, however often a call is told to keep it, and all of it goes with the object', () => {
    const before = stats().liveBlocks;
    const { handle, slice, seen } = given();
    const compare = func(c, prototype, { keeps: ['data'], by: 'h' });
    const others = Array.from({ length: 20 }, () => Slice.alloc(5000));
    for (let round = 0; round < 3; round++) for (const each of [slice, ...others]) compare(handle, each, 0);
    const [own] = slice.holders().filter(({ holder }) => holder !== 'slice');
    expect(own?.count).to.equal(1);
    for (const each of [slice, ...others]) each.release();
    expect(stats().liveBlocks).to.equal(before + 21);
    handle.release();
    expect([seen, stats().liveBlocks]).to.deep.equal([[before + 21], before]);
  });

  it('outlives the object, although its handle is released by a function of the declaration', () => {
    const before = stats().liveBlocks;
    const { handle, slice, seen } = given();
    const failed = (): boolean => {
      handle.release();
      slice.release();
      return false;
    };
    const compare = func(c, prototype, { keeps: ['data'], by: 'h', failed });
    expect(compare(handle, slice, 0)).to.equal(0);
    expect(seen).to.deep.equal([before + 1]);
    expect(stats().liveBlocks).to.equal(before);
  });
});

describe('the table of handles', () => {
  it('has room again for what was dropped', async () => {
    const free = destructor(objects(), 'obj_free');
    const makeMany = (count: number): void => {
      const address = func(objects(), prototype);
      for (let i = 0; i < count; i++) Handle.adopt('object', address(null, 1) as bigint, free);
    };
    makeMany(3000);
    await collectUntil(() => stats().liveHandles.object === undefined, 'all have been freed');
    testFailAllocation(1);
    try {
      makeMany(1500);
    } finally {
      testFailAllocation(0);
    }
    await collectUntil(() => stats().liveHandles.object === undefined, 'all have been freed');
    freed();
  });
});
