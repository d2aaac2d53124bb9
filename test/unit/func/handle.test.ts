import { inspect } from 'node:util';
import { expect } from 'chai';
import { destructor, func, Handle, Slice, stats } from '../../../lib/index.ts';
import { collectManyTimes, collectUntil } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { freed, objects, objectsPath } from '../../helpers/objects.ts';
import { runForJson } from '../../helpers/run.ts';

function makeObject(name: string, parent: bigint | null = null): bigint {
  const make = func(objects(), 'object *obj_new(object *parent, int name)');
  return make(parent, name.charCodeAt(0)) as bigint;
}

function adopt(name: string, ...keeps: (Handle | Slice)[]): Handle<'object'> {
  return Handle.adopt('object', makeObject(name), destructor(objects(), 'obj_free'), { keeps });
}

describe('Handle', () => {
  beforeEach(() => void freed());

  it('has an address and a name until its release, which runs the destructor once', () => {
    const handle = adopt('a');
    const { address } = handle;
    expect([typeof address, handle.name, handle.released]).to.deep.equal(['bigint', 'object', false]);
    expect(inspect(handle)).to.equal(`object at 0x${address.toString(16)} (open)`);
    handle.release();
    handle.release();
    expect(freed()).to.equal('a');
    expect(inspect(handle)).to.equal('object (released)');
    expect([handle.name, handle.released]).to.deep.equal(['object', true]);
    expectError(() => handle.address, 'ERR_CSLICE_RELEASED', /This object has been released/);
    expectError(() => handle.lease(), 'ERR_CSLICE_RELEASED');
  });

  it('is released by a scope, and collected when it is dropped', async () => {
    {
      using handle = adopt('s');
      expect(handle.released).to.equal(false);
    }
    expect(freed()).to.equal('s');
    (() => {
      for (let i = 0; i < 50; i++) adopt('d');
    })();
    expect(stats().liveHandles).to.deep.equal({ object: 50 });
    await collectUntil(() => stats().liveHandles.object === undefined, 'all have been freed');
    expect(freed()).to.equal('d'.repeat(50));
  });

  it('is counted by its name, and never as a block', () => {
    const before = stats();
    using handle = adopt('c');
    const after = stats();
    expect(after.liveHandles).to.deep.equal({ object: 1 });
    expect([after.liveBlocks, after.liveBytes]).to.deep.equal([before.liveBlocks, before.liveBytes]);
    handle.release();
    expect(stats().liveHandles).to.deep.equal({});
  });

  it('ends after everything that keeps it, in whatever order they are released', () => {
    for (const order of [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]) {
      const a = adopt('a');
      const b = adopt('b', a);
      const c = adopt('c', b, a);
      for (const i of order) [a, b, c][i]?.release();
      expect(freed(), order.join()).to.equal('cba');
    }
  });

  it('ends after everything that keeps it when all are dropped at once', async () => {
    (() => {
      let last = adopt('a');
      for (const name of 'bcdefghij') last = adopt(name, last);
    })();
    await collectUntil(() => stats().liveHandles.object === undefined, 'all have been freed');
    expect(freed()).to.equal('jihgfedcba');
  });

  it('lives while only what keeps it can be reached', async () => {
    const child = adopt('c', adopt('p'));
    await collectManyTimes();
    expect(freed()).to.equal('');
    child.release();
    await collectUntil(() => stats().liveHandles.object === undefined, 'the forgotten parent has been freed');
    expect(freed()).to.equal('cp');
  });

  it('keeps slices, whose memory goes after its destructor', () => {
    const ended: number[] = [];
    const slice = Slice.adopt(makeObject('s'), 1, () => ended.push(freed().length));
    const handle = adopt('h', slice);
    slice.release();
    expect(ended).to.deep.equal([]);
    handle.release();
    expect(ended).to.deep.equal([1]);
  });

  it('waits for its leases, which end by their release or by collection', async () => {
    const handle = adopt('l');
    const lease = handle.lease();
    expect(lease.address).to.equal(handle.address);
    handle.release();
    expect(freed()).to.equal('');
    lease.release();
    lease.release();
    expect(freed()).to.equal('l');
    expectError(() => lease.address, 'ERR_CSLICE_RELEASED');
    (() => adopt('m').lease())();
    await collectUntil(() => stats().liveHandles.object === undefined, 'a forgotten lease ends');
    expect(freed()).to.equal('m');
  });

  it('runs a destructor of JavaScript with the address, and a throwing one stops nothing', () => {
    const calls: unknown[] = [];
    const address = makeObject('j');
    const parent = adopt('p');
    const child = Handle.adopt(
      'other',
      address,
      (at, size) => {
        calls.push(at, size);
        throw new Error('in the destructor');
      },
      { keeps: [parent] },
    );
    parent.release();
    child.release();
    expect(calls).to.deep.equal([address, 0]);
    expect(freed()).to.equal('p');
    func(objects(), 'void obj_free(void *object)')(address);
    freed();
  });

  it('ends a chain of any length, since no destructor runs inside of another', () => {
    let last = Handle.adopt('link', 1n, null);
    const first = last;
    let depth = 0;
    for (let i = 0; i < 100_000; i++) {
      const parent = last;
      last = Handle.adopt('link', 1n, () => void depth++, { keeps: [parent] });
      parent.release();
    }
    expect([first.released, stats().liveHandles.link]).to.deep.equal([true, 100_001]);
    last.release();
    expect([depth, stats().liveHandles.link]).to.deep.equal([100_000, undefined]);
  });

  it('runs its destructor after the public call, never in the middle of another destructor', () => {
    const order: string[] = [];
    const other = Handle.adopt('other', 1n, () => void order.push('other'));
    const slice = Slice.adopt(makeObject('m'), 1, () => void order.push('slice'));
    const handle = Handle.adopt('one', 1n, () => {
      other.release();
      slice.release();
      order.push('one');
    });
    handle.release();
    expect(order).to.deep.equal(['one', 'other', 'slice']);
  });

  it('is made from a reused token without mixing up names, destructors and what is kept', () => {
    for (let i = 0; i < 3000; i++) {
      const parent = adopt('p');
      const other = Handle.adopt(`kind${i % 3}`, 1n, null, { keeps: [parent] });
      parent.release();
      expect(stats().liveHandles).to.deep.equal({ object: 1, [`kind${i % 3}`]: 1 });
      other.release();
    }
    expect(freed().length).to.equal(3000);
  });

  it('refuses what is not a handle, before it takes anything', () => {
    const free = destructor(objects(), 'obj_free');
    const keep = adopt('k');
    for (const [args, code] of [
      [[5, 1n, free], 'ERR_CSLICE_TYPE'],
      [['', 1n, free], 'ERR_CSLICE_RANGE'],
      [['x', 0n, free], 'ERR_CSLICE_RANGE'],
      [['x', -1n, free], 'ERR_CSLICE_RANGE'],
      [['x', 1n << 64n, free], 'ERR_CSLICE_RANGE'],
      [['x', 1, free], 'ERR_CSLICE_TYPE'],
      [['x', null, free], 'ERR_CSLICE_TYPE'],
      [['x', 1n, 'obj_free'], 'ERR_CSLICE_TYPE'],
      [['x', 1n, undefined], 'ERR_CSLICE_TYPE'],
      [['x', 1n, free, null], 'ERR_CSLICE_TYPE'],
      [['x', 1n, free, { keep: [] }], 'ERR_CSLICE_TYPE'],
      [['x', 1n, free, { keeps: keep }], 'ERR_CSLICE_TYPE'],
      [['x', 1n, free, { keeps: [keep, 'text'] }], 'ERR_CSLICE_TYPE'],
    ] as const) {
      expectError(() => wrong(Handle.adopt)(...args), code);
    }
    expect(() => new (wrong(Handle))('x', {})).to.throw(/Handle.adopt/);
    expect(stats().liveHandles).to.deep.equal({ object: 1 });
    keep.release();
    expect(freed()).to.equal('k');
    expectError(() => adopt('q', keep), 'ERR_CSLICE_RELEASED');
  });

  for (const how of ['terminate', 'return']) {
    it(`runs its native destructor when its thread ends (${how}), the newest first`, () => {
      const { count, names } = runForJson<{ count: number; names: string }>('func/terminated.ts', {
        args: [objectsPath(), how],
      });
      expect([count, names]).to.deep.equal([600, 'baz']);
    });
  }
});
