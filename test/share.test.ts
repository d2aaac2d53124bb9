import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type SharedSlice, Slice, stats } from '../lib/index.ts';
import { testFailAllocation } from '../lib/native/symbols.ts';
import { free, malloc, watched } from './support/blocks.ts';
import { collectUntil, settle } from './support/collect.ts';
import { expectError, wrong } from './support/expect-error.ts';
import { failEach } from './support/fail-each.ts';
import { runForJson } from './support/run.ts';
import { Thread } from './support/sharing/thread.ts';

function live(): number {
  return stats().liveBlocks;
}

function iota(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i);
}

describe('slice.share', () => {
  it('gives a plain value that survives structuredClone', () => {
    using slice = Slice.fromBytes(iota(64));
    const shared = slice.share();
    expect(Object.getPrototypeOf(shared)).to.equal(Object.prototype);
    expect(shared).to.include({ cslice: 'shared', byteOffset: 0, byteLength: 64 });
    using attached = Slice.attach(structuredClone(shared));
    expect(attached.copy()).to.deep.equal(iota(64));
  });

  it('makes no further block, at any size: the bytes are the same ones', () => {
    for (const byteLength of [0, 1, 64 << 20]) {
      using slice = Slice.alloc(byteLength, { zero: false });
      const before = stats();
      using attached = Slice.attach(slice.share());
      expect(attached.address).to.equal(slice.address);
      expect(attached.byteLength).to.equal(byteLength);
      expect(stats()).to.deep.equal(before);
    }
  });

  it('shares the range of a subslice, and what a thread has attached itself', () => {
    using slice = Slice.fromBytes(iota(32));
    using part = slice.subslice(8, 24);
    using attached = Slice.attach(part.share());
    expect(attached.copy()).to.deep.equal(iota(24).slice(8));
    using inner = attached.subslice(4);
    using again = Slice.attach(inner.share());
    expect(again.copy()).to.deep.equal(iota(24).slice(12));
    expect(again.address).to.equal(slice.address + 12n);
  });

  it('can be attached any number of times while the slice lives', () => {
    using slice = Slice.alloc(8);
    const shared = slice.share({ attachments: 0, patience: 0 });
    const attached = Array.from({ length: 100 }, () => Slice.attach(shared));
    slice.bytes[0] = 5;
    expect(attached.every((each) => each.bytes[0] === 5)).to.equal(true);
    for (const each of attached) each.release();
    expect(slice.bytes[0]).to.equal(5);
  });

  it('can be attached after the release as often as was asked for, and then no more', () => {
    const before = live();
    for (const attachments of [1, 3]) {
      const slice = Slice.fromBytes(iota(8));
      const shared = slice.share({ attachments });
      slice.release();
      expect(live()).to.equal(before + 1);
      for (let i = 0; i < attachments; i++) {
        using attached = Slice.attach(shared);
        expect(attached.copy()).to.deep.equal(iota(8));
      }
      expectError(() => Slice.attach(shared), 'ERR_CSLICE_SHARED');
      expect(live()).to.equal(before);
    }
  });

  it('counts the attachments from before the release too', () => {
    const before = live();
    const slice = Slice.alloc(8);
    const shared = slice.share({ attachments: 2 });
    Slice.attach(shared).release();
    Slice.attach(shared).release();
    slice.release();
    expect(live()).to.equal(before);
    expectError(() => Slice.attach(shared), 'ERR_CSLICE_SHARED');
  });

  it('ends with the slice where no attachment is awaited', () => {
    const before = live();
    const slice = Slice.alloc(8);
    const shared = slice.share({ attachments: 0 });
    slice.release();
    expect(live()).to.equal(before);
    expectError(() => Slice.attach(shared), 'ERR_CSLICE_SHARED');
  });

  it('leaves the memory to the last holder, whose release runs the destructor', () => {
    const { slice, ended } = watched(64);
    const shared = slice.share();
    slice.release();
    expect(ended).to.deep.equal([]);
    const attached = Slice.attach(shared);
    expect(ended).to.deep.equal([]);
    attached.release();
    expect(ended.length).to.equal(1);
  });

  it('forbids to resize or disown the block, which others may reach', () => {
    using slice = Slice.alloc(8);
    slice.share();
    expectError(() => slice.resize(16), 'ERR_CSLICE_RANGE');
    expectError(() => slice.disown(), 'ERR_CSLICE_RANGE');
    expect(slice.bytes.byteLength).to.equal(8);
  });

  it('refuses a borrowed slice, a released one, and options out of range', () => {
    const slice = Slice.alloc(8);
    using borrowed = Slice.borrow(slice.address, 8, slice);
    expectError(() => borrowed.share(), 'ERR_CSLICE_TYPE', /borrowed/);
    for (const value of [-1, 0.5, Number.NaN, Infinity, 2 ** 32]) {
      expectError(() => slice.share({ attachments: value }), 'ERR_CSLICE_RANGE', /attachments/);
      expectError(() => slice.share({ patience: value }), 'ERR_CSLICE_RANGE', /patience/);
    }
    for (const value of [null, '1', 1n, {}]) {
      expectError(() => slice.share({ attachments: wrong(value) }), 'ERR_CSLICE_TYPE', /attachments/);
      expectError(() => slice.share({ patience: wrong(value) }), 'ERR_CSLICE_TYPE', /patience/);
    }
    for (const options of [null, 5, 'x']) expectError(() => slice.share(wrong(options)), 'ERR_CSLICE_TYPE', /options/);
    slice.resize(16); // no refused share stands
    slice.release();
    expectError(() => slice.share(), 'ERR_CSLICE_RELEASED');
  });

  it('leaves no offer behind when memory is exhausted', () => {
    const slices = Array.from({ length: 100 }, () => Slice.alloc(8));
    const { failures, codes } = failEach(() => {
      for (const slice of slices) slice.share({ attachments: 0 });
    });
    expect(failures).to.be.at.least(1);
    expect(codes).to.deep.equal(['ERR_CSLICE_NOMEM']);
    const before = live();
    for (const slice of slices) slice.release();
    expect(live()).to.equal(before - 100);
  });

  it('gives every slice a name and a secret of its own, and all shares of one slice the same', () => {
    const slices = Array.from({ length: 50 }, () => Slice.alloc(8));
    const shares = slices.map((slice) => slice.share());
    expect(new Set(shares.map(({ name }) => name)).size).to.equal(50);
    expect(new Set(shares.map(({ secret }) => secret)).size).to.equal(50);
    expect(slices.map((slice) => slice.share())).to.deep.equal(shares);
    for (const slice of slices) slice.release();
    for (const shared of [...shares, ...shares]) Slice.attach(shared).release();
    for (const shared of shares) expectError(() => Slice.attach(shared), 'ERR_CSLICE_SHARED');
  });
});

describe('Slice.attach', () => {
  it('refuses values that share() did not make, naming them', () => {
    const before = stats();
    const values: unknown[] = [
      undefined,
      null,
      0,
      'shared',
      5n,
      [],
      {},
      () => {},
      { cslice: 'shared' },
      { cslice: 'shared', name: 1, secret: 1n, byteOffset: 0, byteLength: 8 },
      { cslice: 'shared', name: 2 ** 52, secret: 1n, byteOffset: 0, byteLength: 8 },
    ];
    for (const value of values) expectError(() => Slice.attach(wrong(value)), 'ERR_CSLICE_SHARED');
    expect(stats()).to.deep.equal(before);
  });

  it('refuses a value in which anything is changed, and the true one still works', () => {
    using slice = Slice.alloc(64);
    using part = slice.subslice(16, 32);
    const shared = part.share();
    const before = stats();
    const changes: object[] = [
      { cslice: 'other' },
      { name: shared.name + 1 },
      { name: -1 },
      { name: 0 },
      { name: 0.5 },
      { name: BigInt(shared.name) },
      { name: String(shared.name) },
      { name: Number.NaN },
      { secret: shared.secret ^ 1n },
      { secret: shared.secret ^ (1n << 63n) },
      { secret: shared.secret + (1n << 64n) },
      { secret: -1n },
      { secret: Number(shared.secret) },
      { secret: String(shared.secret) },
      { byteOffset: -1 },
      { byteOffset: 65 },
      { byteOffset: 49 },
      { byteOffset: 0.5 },
      { byteOffset: 2 ** 53 - 1 },
      { byteOffset: 2 ** 53 },
      { byteOffset: '0' },
      { byteLength: -1 },
      { byteLength: 49 },
      { byteLength: 2 ** 53 - 1 },
      { byteLength: Infinity },
      { byteLength: undefined },
    ];
    for (const change of changes) {
      expectError(() => Slice.attach(wrong({ ...shared, ...change })), 'ERR_CSLICE_SHARED');
    }
    const after = stats();
    expect([after.liveBlocks, after.liveBytes]).to.deep.equal([before.liveBlocks, before.liveBytes]);
    using attached = Slice.attach(shared);
    expect(attached.address).to.equal(part.address);
  });

  it('does not count an attachment that it refused: the rightful one still finds the block', () => {
    const slice = Slice.fromBytes(iota(8));
    const shared = slice.share({ attachments: 1 });
    slice.release();
    expectError(() => Slice.attach({ ...shared, byteLength: 9 }), 'ERR_CSLICE_SHARED');
    expectError(() => Slice.attach({ ...shared, secret: shared.secret ^ 1n }), 'ERR_CSLICE_SHARED');
    using attached = Slice.attach(shared);
    expect(attached.copy()).to.deep.equal(iota(8));
  });

  it('stays within the block though a getter tells the check and the use different things', () => {
    using slice = Slice.alloc(64);
    const shared = slice.share();
    for (const key of ['byteOffset', 'byteLength'] as const) {
      let reads = 0;
      const liar = { ...shared };
      Object.defineProperty(liar, key, { get: () => (reads++ === 0 ? shared[key] : key === 'byteLength' ? 1e6 : -64) });
      try {
        using attached = Slice.attach(liar);
        const offset = Number(attached.address - slice.address);
        expect(offset >= 0 && offset + attached.byteLength <= 64, `${offset}, ${attached.byteLength}`).to.equal(true);
      } catch (error) {
        expect(error).to.have.property('code', 'ERR_CSLICE_SHARED');
      }
    }
  });

  it('refuses a stale value for good, however many shares follow', () => {
    const slice = Slice.alloc(8);
    const stale = slice.share({ attachments: 0 });
    slice.release();
    const slices = Array.from({ length: 100 }, () => Slice.alloc(8));
    for (const each of slices) each.share();
    expectError(() => Slice.attach(stale), 'ERR_CSLICE_SHARED');
    for (const each of slices) each.release();
  });

  it('refuses what another process has shared', () => {
    using slice = Slice.alloc(1000);
    const { secret, ...rest } = slice.share();
    const value = JSON.stringify({ ...rest, secret: String(secret) });
    expect(runForJson('support/sharing/stranger.ts', { args: [value] })).to.equal('ERR_CSLICE_SHARED');
  });

  it('leaves the offer as it is when memory is exhausted', () => {
    const slice = Slice.alloc(8);
    const shared = slice.share({ attachments: 100_000 });
    const held: Slice[] = [];
    let refused = false;
    while (!refused && held.length < 60_000) {
      testFailAllocation(1);
      try {
        held.push(Slice.attach(shared));
      } catch (error) {
        expect(error).to.have.property('code', 'ERR_CSLICE_NOMEM');
        refused = true;
      } finally {
        testFailAllocation(0);
      }
    }
    expect(refused).to.equal(true);
    Slice.attach(shared).release();
    const before = live();
    for (const each of held) each.release();
    expect(live()).to.equal(before);
    slice.release();
  });
});

describe('a share that is never attached', () => {
  beforeEach(() => settle(stats));

  it('keeps the block for its patience and not for ever', async () => {
    const before = live();
    const slice = Slice.alloc(8);
    const shared = slice.share({ patience: 30 });
    slice.release();
    while (live() > before) await sleep(10);
    expectError(() => Slice.attach(shared), 'ERR_CSLICE_SHARED');
  });

  it('may be without patience: it ends with the slice', async () => {
    const before = live();
    const slice = Slice.alloc(8);
    slice.share({ patience: 0 });
    slice.release();
    while (live() > before) await sleep(5);
  });

  it('is patient as long as its slice lives, whatever its patience', async () => {
    using slice = Slice.alloc(8);
    const shared = slice.share({ patience: 0 });
    await sleep(30);
    using attached = Slice.attach(shared);
    expect(attached.byteLength).to.equal(8);
  });

  for (const how of ['released', 'dropped', 'rented', 'subslice', 'streamed']) {
    it(`gives its block back by itself, with nobody asking (${how})`, function () {
      this.timeout(60_000);
      expect(runForJson('support/sharing/never-attached.ts', { args: [how] })).to.deep.equal({ liveBlocks: 0 });
    });
  }

  it('runs a JavaScript destructor of its thread when it ends', async () => {
    const { slice, ended } = watched(8);
    slice.share({ patience: 10 });
    slice.release();
    expect(ended.length).to.equal(0);
    while (ended.length === 0) await sleep(10);
    expect(ended.length).to.equal(1);
  });

  it('is collected with its slice, and then has its patience', async () => {
    const before = live();
    (() => {
      Slice.alloc(8).share({ patience: 10 });
    })();
    await collectUntil(() => live() === before, 'slice and share are gone');
  });
});

describe('between threads, a shared slice', function () {
  this.timeout(60_000);
  const threads: Thread[] = [];

  beforeEach(() => settle(stats));

  async function ready(): Promise<Thread[]> {
    while (threads.length < 2) threads.push(new Thread());
    await Promise.all(threads.map((thread) => thread.ask('release')));
    return threads;
  }

  after(async () => {
    await Promise.all(threads.map((thread) => thread.end('return')));
  });

  it('is the same bytes at the same address, without a copy', async () => {
    const [thread] = (await ready()) as [Thread];
    using slice = Slice.fromBytes(iota(100));
    const before = stats();
    const seen = await thread.ask('attach', { shared: slice.share() });
    expect(seen).to.deep.equal({ byteLength: 100, address: slice.address, sum: 4950 });
    expect(stats().allocatedBlocks).to.equal(before.allocatedBlocks);
    expect(await thread.ask('fill', { shared: slice.share(), count: 7 })).to.equal(100);
    expect(slice.copy()).to.deep.equal(new Uint8Array(100).fill(7));
  });

  it('carries Atomics: threads that count in one cell lose nothing', async () => {
    const both = await ready();
    using slice = Slice.alloc(64);
    const cells = slice.view(Int32Array);
    const count = 20_000;
    const asked = both.map((thread) => thread.ask('add', { shared: slice.share(), count }));
    for (let i = 0; i < count; i++) Atomics.add(cells, 0, 1);
    await Promise.all(asked);
    expect(Atomics.load(cells, 0)).to.equal(3 * count);
  });

  it('outlives the handle that it was shared from', async () => {
    const [thread] = (await ready()) as [Thread];
    const before = live();
    const slice = Slice.fromBytes(iota(10));
    const shared = slice.share();
    slice.release();
    expect(live()).to.equal(before + 1);
    expect(await thread.ask('attach', { shared })).to.include({ sum: 45 });
    expect(await thread.ask('attach', { shared })).to.equal('ERR_CSLICE_SHARED');
    expect(live()).to.equal(before + 1);
    await thread.ask('release');
    expect(live()).to.equal(before);
  });

  it('can be passed on to a third thread, and back', async () => {
    const [first, second] = (await ready()) as [Thread, Thread];
    using slice = Slice.fromBytes(iota(10));
    await first.ask('attach', { shared: slice.share() });
    const onwards: SharedSlice = await first.ask('pass');
    expect(await second.ask('attach', { shared: onwards })).to.deep.equal({
      byteLength: 9,
      address: slice.address + 1n,
      sum: 45,
    });
    using back = Slice.attach(await second.ask('pass'));
    expect(back.copy()).to.deep.equal(iota(10).slice(2));
  });

  it('is refused there too when it is stale or changed', async () => {
    const [thread] = (await ready()) as [Thread];
    const slice = Slice.alloc(8);
    const shared = slice.share({ attachments: 0 });
    expect(await thread.ask('attach', { shared: { ...shared, secret: shared.secret ^ 1n } })).to.equal(
      'ERR_CSLICE_SHARED',
    );
    expect(await thread.ask('attach', { shared: { ...shared, byteLength: 9 } })).to.equal('ERR_CSLICE_SHARED');
    expect(await thread.ask('attach', {})).to.equal('ERR_CSLICE_SHARED');
    slice.release();
    expect(await thread.ask('attach', { shared })).to.equal('ERR_CSLICE_SHARED');
  });

  it('that another thread releases last has its JavaScript destructor run in the thread that adopted it', async () => {
    const [thread] = (await ready()) as [Thread];
    const ended: number[] = [];
    const slice = Slice.adopt(malloc(16), 16, (address, byteLength) => {
      ended.push(byteLength);
      free(address);
    });
    slice.bytes.fill(1);
    const shared = slice.share();
    slice.release();
    expect(await thread.ask('attach', { shared })).to.include({ sum: 16 });
    expect(ended).to.deep.equal([]);
    await thread.ask('release');
    while (ended.length === 0) await sleep(5);
    expect(ended).to.deep.equal([16]);
  });

  for (const ending of ['return', 'terminate'] as const) {
    it(`outlives the thread that made it (${ending})`, async () => {
      const before = live();
      const thread = new Thread();
      const attachedBefore = Slice.attach(await thread.ask('share', { count: 3 }));
      const shared = await thread.ask('share', { count: 4 });
      const patience = 20;
      const never = await thread.ask('share', { count: 5, options: { patience } });
      await thread.end(ending);
      const attachedAfter = Slice.attach(shared);
      expect(attachedBefore.copy()).to.deep.equal(new Uint8Array(1000).fill(3));
      expect(attachedAfter.copy()).to.deep.equal(new Uint8Array(1000).fill(4));
      attachedBefore.release();
      attachedAfter.release();
      await sleep(2 * patience);
      expectError(() => Slice.attach(never), 'ERR_CSLICE_SHARED');
      while (live() > before) await sleep(10);
    });
  }
});
