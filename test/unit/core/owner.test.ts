import { expect } from 'chai';
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
    owner.use();
    owner.release();
    owner.close(token);
    owner.close(token);
    expect([live(), log.length]).to.deep.equal([1, 0]);
    releaseAll([owner]);
    own(uncounted, 0, undefined, noHolds).owner.close(undefined); // the end of a public call
    expect(log).to.deep.equal(['destructor 4096 0']);
  });

  it('does not end by a use that ends while its handle is open', () => {
    const token = own(kind, 4096, noted('destructor'), noHolds);
    token.owner.use();
    releaseAll([token.owner]);
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

  it('gives what it was to keep back to the caller when it is forsaken', () => {
    const token = own(uncounted, 0, undefined, [hold('kept')]);
    token.owner.forsake();
    own(uncounted, 0, undefined, noHolds).owner.close(undefined);
    expect(log).to.deep.equal([]);
  });

  it('goes before what it keeps, also what was made later, and what that keeps', () => {
    const limits = new Map<string, number>();
    const token = own(kind, 4096, noted('destructor'), [hold('old')]);
    const inner = ordered('inner', limits);
    const newer = own(kind, 8192, noted('newer'), noHolds);
    token.owner.keepToo([ordered('outer', limits, [inner]), newer.owner.use(), hold('without an order')]);
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
    token.owner.keepToo([circle]);
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

describe('kept memory', () => {
  it('lets its hold go once', () => {
    log = [];
    const kept = new KeptMemory(hold('memory'), 0);
    expect(kept.precede(1)).to.equal(noHolds);
    kept.release();
    expect(log).to.deep.equal(['memory released']);
  });
});
