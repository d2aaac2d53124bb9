import { expect } from 'chai';
import {
  destructor,
  fieldsOf,
  type NativeDestructor,
  runDestructors,
  signatures,
} from '../../../lib/core/destructor.ts';
import {
  atAddress,
  atContext,
  atFunction,
  atOrder,
  atSignature,
  giveEntryBack,
  isBlock,
  takeEntry,
} from '../../../lib/core/end-table.ts';
import {
  type Hold,
  KeptMemory,
  kindOf,
  liveHandles,
  noHolds,
  own,
  releaseAll,
  type Token,
  uncounted,
} from '../../../lib/core/owner.ts';
import { configure, liveBlocks } from '../../../lib/index.ts';
import { c } from '../../helpers/c-library.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { nextWarning } from '../../helpers/warnings.ts';

const kind = kindOf('Test object');

/** What has happened, in order. */
let log: string[] = [];

const noted =
  (name: string): ((address: bigint, byteLength: number) => void) =>
  (address, byteLength) =>
    void log.push(`${name} ${address} ${byteLength}`);

function hold(name: string): Hold {
  return { release: () => void log.push(`${name} released`) };
}

/** A hold that notes below which order it has to go, and what it keeps itself. */
function ordered(name: string, limits: Map<string, number>, kept: readonly Hold[] = noHolds): Hold {
  return {
    ...hold(name),
    precede(limit) {
      limits.set(name, limit);
      return kept;
    },
  };
}

const live = (): number => liveHandles()['Test object'] ?? 0;

describe('an owner', () => {
  beforeEach(() => {
    log = [];
  });

  afterEach(() => expect(live()).to.equal(0));

  it('runs its destructor once when its handle is closed, and lets go what it keeps after it', () => {
    const token = own(kind, 4096, noted('destructor'), [hold('first'), hold('second')]);
    expect(live()).to.equal(1);
    token.owner.close(token);
    expect(log).to.deep.equal(['destructor 4096 0', 'first released', 'second released']);
    token.owner.close(token);
    expect(log.length).to.equal(3);
  });

  it('only lets go what it keeps where it has no destructor', () => {
    const token = own(kind, 4096, undefined, [hold('kept')]);
    token.owner.close(token);
    expect(log).to.deep.equal(['kept released']);
  });

  it('ends with its last use, if its handle was closed before', () => {
    const token = own(kind, 4096, noted('destructor'), noHolds);
    const { owner } = token;
    expect(owner.use()).to.equal(owner);
    for (let i = 0; i < 2; i++) owner.use();
    owner.release();
    owner.close(token);
    owner.close(token);
    owner.release();
    runDestructors();
    expect([live(), log.length]).to.deep.equal([1, 0]);
    releaseAll([owner]);
    own(uncounted, 0, undefined, noHolds).owner.close(undefined); // the end of a public call
    expect(log).to.deep.equal(['destructor 4096 0']);
  });

  it('does not end by a use that ends while its handle is open', () => {
    const token = own(kind, 4096, noted('destructor'), noHolds);
    token.owner.use();
    releaseAll([token.owner]);
    runDestructors();
    expect([live(), log.length]).to.deep.equal([1, 0]);
    token.owner.close(undefined);
    expect(log.length).to.equal(1);
  });

  it('is reused for another object and destructor, unless its handle was collected', () => {
    const first = own(kind, 4096, noted('first'), [hold('kept')]);
    first.owner.close(first);
    const second = own(kind, 8192, noted('second'), noHolds);
    expect(second).to.equal(first);
    second.owner.close(second);
    const third = own(kind, 12_288, undefined, noHolds);
    expect(third).to.equal(first);
    third.owner.close(undefined);
    expect(log).to.deep.equal(['first 4096 0', 'kept released', 'second 8192 0']);
    const other = own(uncounted, 0, undefined, noHolds);
    expect(other).not.to.equal(first);
    other.owner.close(other);
  });

  it('is kept for reuse up to a limit of 1024', () => {
    const tokens = Array.from({ length: 1200 }, () => own(kind, 4096, undefined, noHolds));
    for (const token of tokens) token.owner.close(token);
    const known = new Set<Token>(tokens);
    const again = Array.from({ length: 1200 }, () => own(kind, 4096, undefined, noHolds));
    expect(again.filter((token) => known.has(token)).length).to.equal(1024);
    for (const token of again) token.owner.close(undefined);
  });

  it('ends the views that were promised until its next use, before its destructor', () => {
    const token = own(kind, 4096, noted('destructor'), noHolds);
    const { owner } = token;
    owner.endViews();
    owner.addView(hold('first view'));
    owner.addView(hold('second view'));
    owner.endViews();
    owner.endViews();
    expect(log).to.deep.equal(['first view released', 'second view released']);
    owner.addView(hold('third view'));
    owner.close(token);
    expect(log.slice(2)).to.deep.equal(['third view released', 'destructor 4096 0']);
  });

  it('asks its viewers at its end whether they have ended, and now and then before', () => {
    const token = own(kind, 4096, noted('destructor'), noHolds);
    const asked: number[] = [];
    for (let i = 0; i < 130; i++) {
      token.owner.addViewer(() => {
        asked.push(i);
        return i % 2 === 0;
      });
      if (i < 63) expect(asked.length, 'few need not be asked').to.equal(0);
    }
    const before = asked.length;
    expect(before).to.be.within(63, 1000);
    expect(asked.filter((i) => i === 0).length, 'what has ended is forgotten').to.equal(1);
    expect(asked.filter((i) => i === 1).length).to.be.above(1);
    token.owner.close(token);
    expect(asked.length - before).to.be.within(65, 130);
    asked.length = 0;
    const again = own(kind, 4096, undefined, noHolds);
    again.owner.close(again);
    expect(asked).to.deep.equal([]);
  });

  it('gives what it was to keep back to the caller when it is forsaken, and ends all the same', () => {
    const token = own(kind, 4096, noted('destructor'), [hold('kept')]);
    token.owner.forsake();
    expect([live(), log.length], 'not in the midst of a call').to.deep.equal([1, 0]);
    runDestructors();
    expect([live(), log]).to.deep.equal([0, ['destructor 4096 0']]);
  });

  it('that is closed in the midst of a call ends after it, or with its last use', () => {
    const [used, unused] = [own(kind, 4096, noted('used'), noHolds), own(kind, 8192, noted('unused'), noHolds)];
    used.owner.use();
    for (const { owner } of [used, unused]) owner.closeLater();
    expect(log).to.deep.equal([]);
    runDestructors();
    expect(log).to.deep.equal(['unused 8192 0']);
    used.owner.release();
    runDestructors();
    expect(log).to.deep.equal(['unused 8192 0', 'used 4096 0']);
  });

  it('ends when its handle has been collected', async () => {
    const drop = (): void => void own(kind, 4096, noted('destructor'), [hold('kept')]);
    drop();
    await collectUntil(() => live() === 0, 'the handle has been collected');
    expect(log).to.deep.equal(['destructor 4096 0', 'kept released']);
  });

  it('does not keep a destructor in JavaScript that has run', async () => {
    const [token, ref] = (() => {
      const ending = noted('destructor');
      return [own(kind, 4096, ending, noHolds), new WeakRef(ending)];
    })();
    token.owner.close(token);
    await collectUntil(() => ref.deref() === undefined, 'the destructor has been collected');
    expect(own(kind, 4096, undefined, noHolds)).to.equal(token);
    token.owner.close(token);
  });

  it('goes before what it keeps, also what was made later, and what that keeps', () => {
    const limits = new Map<string, number>();
    const token = own(kind, 4096, noted('destructor'), [hold('old')]);
    const inner = ordered('inner', limits);
    const newer = own(kind, 8192, noted('newer'), noHolds);
    const more = [ordered('outer', limits, [inner]), newer.owner.use(), hold('without an order')];
    token.owner.keepToo(more, more);
    const [outer, innermost] = [limits.get('outer') as number, limits.get('inner') as number];
    expect(outer).to.be.above(0);
    expect(innermost).to.be.below(outer);
    expect(newer.owner.precede(outer), 'it has gone before').to.equal(noHolds);
    newer.owner.close(newer);
    expect(log).to.deep.equal([]);
    token.owner.close(token);
    expect(log).to.deep.equal([
      'destructor 4096 0',
      'old released',
      'outer released',
      'without an order released',
      'newer 8192 0',
    ]);
  });

  it('tells what it keeps where it has to become older, and nothing where it is', () => {
    const kept = [hold('kept')];
    const token = own(kind, 4096, undefined, kept);
    expect(token.owner.precede(Number.MAX_SAFE_INTEGER)).to.equal(noHolds);
    expect(token.owner.precede(1)).to.equal(kept);
    expect(token.owner.precede(1)).to.equal(noHolds);
    token.owner.close(token);
  });

  it('keeps an object once, however often it is told to, in each of its lives', () => {
    const token = own(kind, 4096, undefined, [hold('first')]);
    const [one, two] = [{}, {}];
    token.owner.keepToo([hold('one'), hold('two')], [one, two]);
    token.owner.keepToo([hold('one again'), hold('two again')], [one, two]);
    expect(log).to.deep.equal(['one again released', 'two again released']);
    token.owner.close(token);
    expect(log.slice(2)).to.deep.equal(['first released', 'one released', 'two released']);
    const next = own(kind, 4096, undefined, noHolds);
    next.owner.keepToo([hold('one')], [one]);
    next.owner.close(next);
    expect(log.slice(5)).to.deep.equal(['one released']);
  });

  it('looks once at what keeps itself by way of others', () => {
    const token = own(kind, 4096, undefined, noHolds);
    let asked = 0;
    const circle: Hold = {
      ...hold('circle'),
      precede: () => {
        asked++;
        return [circle, token.owner];
      },
    };
    token.owner.keepToo([circle], [circle]);
    expect(asked).to.equal(1);
    token.owner.close(token);
    expect(log).to.deep.equal(['circle released']);
  });

  it('is in the list of what is live while everything is recorded, unless it is no object of C', () => {
    configure({ track: true });
    try {
      const token = own(kind, 4096, undefined, noHolds);
      const lease = own(uncounted, 4096, undefined, noHolds);
      const kinds = () => liveBlocks().filter(({ address }) => address === 4096n);
      expect(kinds().map(({ kind }) => kind)).to.deep.equal(['handle']);
      token.owner.close(token);
      expect(kinds()).to.deep.equal([]);
      lease.owner.close(lease);
    } finally {
      configure({ track: false });
    }
  });

  it('is told of if it was collected, and not if it was released, also where something needs it longer', async () => {
    configure({ track: true, warn: 'collected' });
    const told: string[] = [];
    const listener = ({ message }: Error): void => void told.push(message.split(',')[0] ?? '');
    process.on('warning', listener);
    const holders = (): unknown =>
      liveBlocks()
        .find(({ address }) => address === 4096n)
        ?.holders.map((h) => h.holder);
    try {
      const released = own(kind, 4096, undefined, noHolds);
      released.owner.close(released);
      const used = own(kind, 4096, undefined, noHolds);
      used.owner.use();
      expect(holders()).to.deep.equal(['handle']);
      used.owner.close(used);
      expect(holders()).to.deep.equal([]);
      releaseAll([used.owner]);
      const other = own(uncounted, 4096, undefined, noHolds);
      other.owner.close(undefined);
      const collected = own(kind, 4096, undefined, noHolds);
      collected.owner.close(undefined);
      await new Promise(setImmediate);
    } finally {
      configure({ track: false, warn: false });
      process.off('warning', listener);
    }
    expect(told).to.deep.equal(['A handle Test object was collected']);
  });

  it('names the object of C whose destructor throws', async () => {
    const throwing = () => {
      throw new Error('no end');
    };
    const messages: string[] = [];
    for (const each of [kind, uncounted]) {
      const warning = nextWarning('CSLICE_DESTRUCTOR_THREW');
      const token = own(each, 4096, throwing, noHolds);
      token.owner.close(token);
      messages.push((await warning).split('\n')[0] ?? '');
    }
    expect(messages).to.deep.equal([
      'The destructor of the handle Test object at 0x1000 threw: Error: no end',
      'The destructor of the block at 0x1000 (0 bytes) threw: Error: no end',
    ]);
  });
});

/** Reads what C would find at the end of the thread in the place that is free next. */
function readNextEntry(): () => Record<'address' | 'order' | 'fn' | 'signature' | 'context', number> {
  const entry = takeEntry();
  giveEntryBack(entry);
  const cell = (at: number): number => entry.cells[entry.at + at] as number;
  return () => ({
    address: cell(atAddress),
    order: cell(atOrder),
    fn: cell(atFunction),
    signature: cell(atSignature),
    context: cell(atContext),
  });
}

/** Ends the tokens that wait for their next use, and may have a place in the table. */
function endIdleTokens(): void {
  const tokens = Array.from({ length: 1024 }, () => own(uncounted, 0, undefined, noHolds));
  for (const token of tokens) token.owner.close(undefined);
}

describe('the table that C reads at the end of a thread', () => {
  // Reads neither argument, so any will do.
  const nothing = c.symbol('clock') as bigint;
  const native = (context: bigint): NativeDestructor =>
    destructor(nothing, { signature: 'ctx,ptr', context }) as NativeDestructor;

  beforeEach(endIdleTokens);

  it('has an object with its native destructor until that runs', () => {
    const read = readNextEntry();
    const token = own(kind, 4096, native(77n), noHolds);
    const { order, ...rest } = read();
    expect(rest).to.deep.equal({
      address: 4096,
      fn: Number(nothing),
      signature: signatures['ctx,ptr'],
      context: 77,
    });
    expect(order).to.be.above(0);
    token.owner.close(token);
    expect(read().address).to.equal(0);
  });

  it('has newer objects by a higher order, and gives the place of one to the next', () => {
    const read = readNextEntry();
    const first = own(kind, 4096, native(1n), noHolds);
    const { order } = read();
    first.owner.close(undefined);
    const second = own(kind, 8192, native(2n), noHolds);
    expect([read().address, read().context]).to.deep.equal([8192, 2]);
    expect(read().order).to.be.above(order);
    second.owner.close(undefined);
    expect(read().address).to.equal(0);
  });

  it('has no function for an object whose destructor is JavaScript, or cannot be written exactly', () => {
    const read = readNextEntry();
    const token = own(kind, 4096, native(77n), noHolds);
    const { owner } = token;
    owner.close(token);
    const inexact = own(kind, 8192, native(2n ** 63n + 1n), noHolds);
    expect(inexact).to.equal(token);
    expect(fieldsOf(native(2n ** 63n + 1n)).context).to.equal(2n ** 63n + 1n);
    expect([read().address, read().fn, read().context]).to.deep.equal([8192, 0, 0]);
    owner.close(token);
    const byJavaScript = own(kind, 4096, () => {}, noHolds);
    expect([read().address, read().fn, read().signature, read().context]).to.deep.equal([4096, 0, 0, 0]);
    byJavaScript.owner.close(byJavaScript);
    const again = own(kind, 4096, native(77n), noHolds);
    expect([read().address, read().fn, read().context]).to.deep.equal([4096, Number(nothing), 77]);
    again.owner.close(undefined);
  });

  it('has an address that is not exact as none', () => {
    const read = readNextEntry();
    const token = own(kind, 2n ** 63n + 1n, native(77n), noHolds);
    expect(read().address).to.equal(0);
    token.owner.close(undefined);
  });

  it('has the lower order of an object that something older keeps', () => {
    const older = own(kind, 4096, undefined, noHolds);
    const read = readNextEntry();
    const newer = own(kind, 8192, native(77n), noHolds);
    const { order } = read();
    newer.owner.precede(order);
    expect(read().order).to.equal(order);
    older.owner.keepToo([newer.owner.use()], [newer]);
    expect(read().order).to.be.within(order - 1.5, order - 1);
    newer.owner.close(undefined);
    older.owner.close(undefined);
  });

  it('has memory that an object keeps, by its block, until it is let go', () => {
    const read = readNextEntry();
    const first = new KeptMemory({ release: () => {} }, 4096);
    const { order, address, signature } = read();
    expect([address, signature]).to.deep.equal([4096, isBlock]);
    first.release();
    expect(read().address).to.equal(0);
    const second = new KeptMemory({ release: () => {} }, 8192);
    expect(read().address).to.equal(8192);
    expect(read().order).to.be.above(order);
    second.precede(order);
    expect(read().order).to.equal(order);
    second.precede(order + 1);
    expect(read().order).to.equal(order);
    second.release();
  });
});

describe('kept memory', () => {
  it('has no place in the table of ends without a block', () => {
    const read = readNextEntry();
    const before = read();
    const kept = new KeptMemory({ release: () => {} }, 0);
    expect(read()).to.deep.equal(before);
    kept.release();
  });

  it('lets its hold go once', () => {
    log = [];
    const kept = new KeptMemory(hold('memory'), 0);
    expect(kept.precede(1)).to.equal(noHolds);
    kept.release();
    expect(log).to.deep.equal(['memory released']);
  });
});
