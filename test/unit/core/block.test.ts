import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { open } from 'node:fs/promises';
import { expect } from 'chai';
import {
  adoptKeeping,
  allocate,
  allocateUninitialized,
  attach,
  disown,
  permanent,
  referenceOf,
  release,
  writeBytes,
} from '../../../lib/core/block.ts';
import { collectGarbage } from '../../../lib/core/collect.ts';
import { type NativeDestructor, runDestructors } from '../../../lib/core/destructor.ts';
import {
  configure,
  type Destructor,
  destructor,
  Pool,
  pin,
  Slice,
  stats,
  withBudget,
  withLabel,
} from '../../../lib/index.ts';
import { direct, isBun } from '../../../lib/native/host.ts';
import { testFailAllocation } from '../../../lib/native/symbols.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { c } from '../../helpers/c-library.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { temporary } from '../../helpers/fixture.ts';

const native: Destructor = destructor(c, 'free');

/** Reads nothing of what it is given. */
const keeping: Destructor = destructor(c, 'clock');

function expectMessage(action: () => unknown, message: string): void {
  const told = expectError(action, 'ERR_CSLICE_NOMEM').message;
  expect(told).to.equal(`Cannot ${message}: the C allocator has no memory left`);
}

/** What a channel tells of `action`. */
function told(name: string, action: () => void): unknown[] {
  const messages: unknown[] = [];
  const listener = (message: unknown): void => void messages.push(message);
  subscribe(name, listener);
  try {
    action();
  } finally {
    unsubscribe(name, listener);
  }
  return messages;
}

describe('a block that C has no memory for', () => {
  before(() => Slice.adopt(malloc(8), 8, native).release()); // the first one needs memory for the thread, too

  afterEach(() => testFailAllocation(0));

  const address = malloc(64);
  const notAdopted = (): void => {
    throw new Error('was never adopted');
  };
  const actions: Record<string, () => unknown> = {
    'allocate 2000 bytes': () => Slice.alloc(2000),
    'allocate 2001 bytes': () => Slice.alloc(2001, { alignment: 64 }),
    'allocate 2002 bytes': () => Slice.alloc(2002, { zero: false }),
    'allocate 3 bytes': () => Slice.fromString('ab'),
    'adopt 64 bytes': () => Slice.adopt(address, 64, native),
    'adopt 63 bytes': () => Slice.adopt(address, 63, notAdopted),
  };
  for (const [message, action] of Object.entries(actions)) {
    it(`is an error: cannot ${message}`, () => {
      configure({ reuseBytes: 0 });
      try {
        testFailAllocation(1);
        expectMessage(action, message);
      } finally {
        configure({ reuseBytes: 4 << 20 });
      }
    });
  }

  it('is an error of pin() and attach()', () => {
    for (const action of [() => pin(new Uint8Array(8)), () => Slice.attach(new SharedArrayBuffer(8))]) {
      testFailAllocation(1);
      expectMessage(action, 'hold a buffer');
    }
  });

  it('is an error of resize(), which leaves the slice as it was', () => {
    using slice = Slice.alloc(64);
    slice.bytes.fill(7);
    testFailAllocation(1);
    expectMessage(() => slice.resize(4096), 'resize a slice to 4096 bytes');
    testFailAllocation(0);
    expect(slice.copy()).to.deep.equal(new Uint8Array(64).fill(7));
  });

  it('is told of as a want of memory, and not of a limit', () => {
    using slice = Slice.alloc(5000);
    const actions = [() => Slice.alloc(2000), () => Slice.alloc(2000, { alignment: 64 }), () => slice.resize(2000)];
    for (const action of actions) {
      const failing = (): void => {
        testFailAllocation(1);
        expectError(action, 'ERR_CSLICE_NOMEM');
        testFailAllocation(0);
      };
      expect(told('cslice:memory:pressure', failing)).to.deep.equal([{ byteLength: 2000, reason: 'memory' }]);
      expect(told('cslice:memory:limit', failing)).to.deep.equal([]);
    }
  });

  it('does not cost an adopted one its destructor, and keeps none of one that was not adopted', () => {
    const before = stats().liveBlocks;
    const ended: number[] = [];
    const letGo = (): void => void ended.push(0);
    for (let n = 1; n < 10; n++) {
      testFailAllocation(n);
      try {
        const reference = adoptKeeping(address, 8, keeping as NativeDestructor, letGo);
        testFailAllocation(0);
        release(reference);
        runDestructors();
        expect([ended.length, n > 1, stats().liveBlocks - before]).to.deep.equal([1, true, 0]);
        return;
      } catch (error) {
        testFailAllocation(0);
        expect(error).to.include({ code: 'ERR_CSLICE_NOMEM' });
        expect((error as Error).message).to.equal('Cannot adopt 8 bytes: the C allocator has no memory left');
        expect([ended.length, stats().liveBlocks - before]).to.deep.equal([0, 0]);
      }
    }
    expect.fail('it still fails');
  });

  it('is there after a collection that finds some', () => {
    using before = Slice.alloc(2000);
    expect(before.byteLength).to.equal(2000);
    configure({ limitBytes: stats().liveBytes + 100_000 });
    try {
      (() => void Array.from({ length: 10 }, () => Slice.alloc(9000)))();
      using slice = Slice.alloc(90_000);
      expect(slice.byteLength).to.equal(90_000);
      (() => void Slice.alloc(9000))();
      slice.resize(95_000);
      expect(slice.byteLength).to.equal(95_000);
      slice.release();
      for (const guard of [false, { sample: 1 }] as const) {
        configure({ guard });
        (() => void Array.from({ length: 10 }, () => Slice.alloc(9000)))();
        using aligned = Slice.alloc(90_000, { alignment: 64 });
        expect(aligned.address % 64n).to.equal(0n);
      }
    } finally {
      configure({ guard: false });
      configure({ limitBytes: 0 });
    }
  });
});

describe('a block that the limit or a budget forbids', () => {
  /** What is told of the refusal of `action`. */
  const refusals = (action: () => unknown): unknown[] =>
    told('cslice:memory:limit', () => void expectError(action, 'ERR_CSLICE_LIMIT'));

  it('is told of once, with the size and the label', () => {
    configure({ limitBytes: stats().liveBytes + 10_000 });
    try {
      expect(refusals(() => Slice.alloc(20_000))).to.deep.equal([{ byteLength: 20_000, label: undefined }]);
      expectError(() => Slice.alloc(20_000), 'ERR_CSLICE_LIMIT', /^Cannot allocate 20000 bytes: that would pass/);
      using slice = Slice.alloc(5000);
      expectError(() => slice.resize(20_000), 'ERR_CSLICE_LIMIT', /^Cannot resize a slice to 20000 bytes: that would/);
      expect(slice.byteLength).to.equal(5000);
    } finally {
      configure({ limitBytes: 0 });
    }
  });

  it('is refused by the code that says why, although a subscriber has allocated meanwhile', () => {
    configure({ limitBytes: stats().liveBytes + 10_000 });
    const allocate = (): void => Slice.alloc(16).release();
    subscribe('cslice:memory:limit', allocate);
    try {
      expectError(() => Slice.alloc(20_000), 'ERR_CSLICE_LIMIT');
    } finally {
      unsubscribe('cslice:memory:limit', allocate);
      configure({ limitBytes: 0 });
    }
  });

  it('gets what a collection frees of its budget, and a resize that, too', () => {
    withLabel('small', { budgetBytes: 10_000 }, () => {
      (() => void Slice.alloc(9000))();
      using slice = Slice.alloc(8000);
      expect(refusals(() => Slice.alloc(4000))).to.deep.equal([{ byteLength: 4000, label: 'small' }]);
      expect(refusals(() => slice.resize(12_000))).to.deep.equal([{ byteLength: 12_000, label: 'small' }]);
      (() => void Slice.alloc(1500))();
      slice.resize(9500);
      expect(slice.byteLength).to.equal(9500);
      expect(refusals(() => Slice.alloc(4000, { label: 'other' })).length).to.equal(1);
    });
  });
});

describe('an allocation for which memory is short', () => {
  /** At a limit that leaves little room, calls `first` once garbage has been collected for want of it. */
  function underPressure(first: () => void, action: () => void): void {
    const big = Slice.alloc(500_000);
    let done = false;
    const listener = (): void => {
      if (done) return;
      done = true;
      big.release();
      first();
    };
    configure({ limitBytes: stats().liveBytes + 10_000 });
    subscribe('cslice:memory:pressure', listener);
    try {
      action();
    } finally {
      unsubscribe('cslice:memory:pressure', listener);
      configure({ limitBytes: 0 });
      big.release();
    }
    expect(done).to.equal(true);
  }

  it('stays within the budget that a subscriber has used up meanwhile, as does a resize', () => {
    const kept: Slice[] = [];
    const use = (): void => void kept.push(Slice.alloc(80_000));
    const actions: (() => void)[] = [
      () => void kept.push(Slice.alloc(80_000)),
      () => void kept.push(Slice.alloc(80_000, { alignment: 64, label: 'of its own' })),
      () => kept.push(Slice.alloc(100)) && kept.at(-1)?.resize(80_000),
    ];
    for (const action of actions) {
      underPressure(use, () => withBudget(100_000, () => void expectError(action, 'ERR_CSLICE_LIMIT', /the budget/)));
      expect(kept.reduce((sum, { byteLength }) => sum + byteLength, 0)).to.be.within(80_000, 80_100);
      for (const slice of kept.splice(0)) slice.release();
    }
  });

  it('leaves a pool within its capacity, and none in one that a subscriber has released', () => {
    const rented: Slice[] = [];
    const pool = new Pool({ byteLength: 50_000, capacity: 1 });
    underPressure(
      () => rented.push(pool.rent()),
      () => expectError(() => pool.rent(), 'ERR_CSLICE_EXHAUSTED'),
    );
    expect(pool.stats()).to.include({ blocks: 1, misses: 1 });
    for (const slice of rented) slice.release();
    pool.release();
    collectGarbage(); // what was seen may wait for that
    const before = stats().liveBlocks;
    const other = new Pool({ byteLength: 50_000 });
    underPressure(
      () => other.release(),
      () => expectError(() => other.rent(), 'ERR_CSLICE_RELEASED'),
    );
    expect(stats().liveBlocks).to.equal(before);
  });
});

describe('what a block may not be', () => {
  const whole = (action: 'resize' | 'disown', slice: Slice): void => {
    if (action === 'resize') slice.resize(8);
    else slice.disown();
  };

  for (const action of ['resize', 'disown'] as const) {
    it(`${action}: borrowed, of a pool, a part, lent`, async () => {
      using owner = Slice.alloc(64);
      using borrowed = Slice.borrow(owner.address, 64, owner);
      expectError(
        () => whole(action, borrowed),
        'ERR_CSLICE_TYPE',
        new RegExp(`^Cannot ${action} borrowed memory: its owner frees it$`),
      );
      const pool = new Pool({ byteLength: 64 });
      using rented = pool.rent();
      expectError(
        () => whole(action, rented),
        'ERR_CSLICE_TYPE',
        new RegExp(`^Cannot ${action} a block of a pool: it goes back to the pool$`),
      );
      using part = owner.subslice(8, 24);
      expectError(
        () => whole(action, part),
        'ERR_CSLICE_STATE',
        new RegExp(`^Cannot ${action} these 16 bytes: they are a part of a block$`),
      );
      using same = owner.subslice();
      expectError(() => whole(action, same), 'ERR_CSLICE_STATE', /others hold the block: release its leases/);
      const lent = Slice.alloc(32);
      await lent.lend(() =>
        expectError(
          () => whole(action, lent),
          'ERR_CSLICE_STATE',
          new RegExp(
            `^Cannot ${action} these 32 bytes: they are lent: await what lend\\(\\) or writeTo\\(\\) returned$`,
          ),
        ),
      );
      lent.release();
    });
  }

  it('held for C: the memory of WebAssembly', () => {
    const { buffer } = new (wrong(globalThis).WebAssembly.Memory)({ initial: 1 });
    if (!direct) return; // pin() holds the buffer there, and finds out that it may move
    expectError(() => attach(buffer, 4096, 8), 'ERR_CSLICE_TYPE', /^the memory of WebAssembly cannot be held for C/);
  });

  it('resize: adopted', () => {
    using adopted = Slice.adopt(malloc(8), 8, native);
    expectError(
      () => adopted.resize(16),
      'ERR_CSLICE_STATE',
      /^Cannot resize a slice to 16 bytes: it is not of Slice\.alloc/,
    );
  });

  it('disown: one whose memory keeps other objects', () => {
    const address = malloc(8);
    const reference = adoptKeeping(address, 8, native as NativeDestructor, () => {});
    expectError(() => disown(() => reference), 'ERR_CSLICE_TYPE', /^Cannot disown memory that keeps other objects/);
    release(reference);
  });

  it('disown: one that others hold', () => {
    using slice = Slice.alloc(64);
    using lease = slice.lease();
    expectError(
      () => slice.disown(),
      'ERR_CSLICE_STATE',
      /^Cannot disown 64 bytes: others hold the block: release its/,
    );
    expect(lease.released).to.equal(false);
  });

  if (isBun) {
    // The others detach what an operation has.
    it('disown: one whose view an operation of the runtime has', async () => {
      await using file = await open(temporary('disown'), 'w');
      const slice = Slice.alloc(64);
      const { bytes } = slice;
      const written = file.write(bytes);
      expectError(() => slice.disown(), 'ERR_CSLICE_STATE', /^Cannot disown 64 bytes/);
      expect([bytes.length, slice.released]).to.deep.equal([64, false]);
      await written;
      slice.release();
    });
  }

  it('taken over: no block', () => {
    const memory = malloc(64);
    try {
      expectError(
        () => Slice.fromBlock(memory),
        'ERR_CSLICE_RANGE',
        /^block must be of this copy of cslice, and no longer/,
      );
    } finally {
      free(memory);
    }
  });
});

describe('the reference whose bytes a buffer shows', () => {
  it('is told for the buffer of live borrowed memory, and for no other', () => {
    using owner = Slice.alloc(8);
    const slice = Slice.borrow(owner.address, 8, owner);
    const { buffer } = slice;
    expect(BigInt(referenceOf(buffer)?.address ?? 0)).to.equal(slice.address);
    expect(referenceOf(new ArrayBuffer(8))).to.equal(undefined);
    slice.release();
    expect(referenceOf(buffer)).to.equal(undefined);
  });
});

describe('what holds a block, without tracking', () => {
  const holders = (holder: string, count = 1): object => ({ holder, count, type: undefined, stack: [] });

  it('is told without the lines that made it, as is what a label alone is known of', () => {
    for (const slice of [Slice.alloc(64), withLabel('holders', () => Slice.alloc(64))]) {
      expect(slice.holders()).to.deep.equal([holders('slice')]);
      slice.bytes[0] = 1;
      expect(slice.holders()).to.deep.equal([holders('slice'), holders('view')]);
      const leases = [slice.lease(), slice.lease()];
      expect(slice.holders()).to.deep.equal([holders('slice'), holders('view'), holders('C', 2)]);
      for (const lease of leases) lease.release();
      const buffer = slice.toBuffer();
      expect(slice.holders()).to.deep.equal([holders('slice'), holders('view'), holders('Buffer')]);
      expect(buffer.length).to.equal(64);
      slice.release();
    }
  });

  it('is the slice alone where the memory has another owner', () => {
    const address = malloc(8);
    using slice = Slice.borrow(address, 8);
    expect(slice.holders()).to.deep.equal([holders('slice')]);
    free(address);
  });
});

describe('a block of the library itself', () => {
  it('is of the free list where it may be, and not where its bytes are aligned by more than 16', () => {
    const kept = (): number => stats().freeListBytes;
    for (const slice of Array.from({ length: 200 }, () => Slice.alloc(72))) slice.release();
    for (const options of [{ alignment: 16 }, { alignment: 8 }, { zero: false }]) {
      const before = kept();
      using slice = Slice.alloc(72, options);
      expect([slice.byteLength, before - kept()]).to.deep.equal([72, 72]);
    }
    const before = kept();
    for (let i = 0; i < 20; i++) {
      using aligned = Slice.alloc(72, { alignment: 4096 });
      expect([aligned.address % 4096n, kept() >= before]).to.deep.equal([0n, true]);
    }
  });

  it('has the bytes of its source, or is refused where that has shrunk', () => {
    const reference = allocateUninitialized(4);
    writeBytes(reference, 1, Uint8Array.of(1, 2, 3), 3);
    expectError(() => writeBytes(reference, 0, Uint8Array.of(1), 3), 'ERR_CSLICE_TYPE', /detached or shrank/);
    reference.end();
    expect(reference.isLive).to.equal(false);
  });

  it('is counted, and over the byte of permanent() it is not', () => {
    const before = stats().liveBlocks;
    const reference = allocate(3000);
    expect([reference.sole, stats().liveBlocks - before]).to.deep.equal([true, 1]);
    reference.end();
    const byte = permanent();
    expect([byte.byteLength, byte.block, stats().liveBlocks - before]).to.deep.equal([1, 0, 0]);
    byte.end();
    runDestructors();
  });
});
