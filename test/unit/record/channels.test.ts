import { channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { expect } from 'chai';
import { callAsync, configure, func, Slice, stats, withLabel } from '../../../lib/index.ts';
import { c } from '../../helpers/c-library.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { expectError } from '../../helpers/expect-error.ts';

type Message = Record<string, unknown>;

/** What a channel publishes while `action` runs. */
async function heard(name: string, action: () => void | Promise<void>): Promise<Message[]> {
  const messages: Message[] = [];
  const listener = (message: unknown) => void messages.push(message as Message);
  subscribe(name, listener);
  try {
    await action();
  } finally {
    unsubscribe(name, listener);
  }
  return messages;
}

describe('the channels of diagnostics_channel', () => {
  it('cslice:block:alloc tells of each block that is made', async () => {
    const messages = await heard('cslice:block:alloc', () => {
      using slice = withLabel('told', () => Slice.alloc(64));
      using text = Slice.fromString('abc');
      expect(slice.byteLength + text.byteLength).to.equal(68);
    });
    expect(messages.map(({ byteLength, kind, label }) => [byteLength, kind, label])).to.deep.equal([
      [64, 'alloc', 'told'],
      [4, 'alloc', undefined],
    ]);
    expect(messages[0]?.address).to.be.a('bigint');
  });

  it('tell neither the start nor the end of what a subscriber allocates itself', async () => {
    const told: unknown[] = [];
    for (const name of ['cslice:block:release', 'cslice:block:alloc']) {
      const allocate = (): void => {
        Slice.alloc(10).release();
        Slice.alloc(11); // for the collector
      };
      subscribe(name, allocate);
      try {
        const messages = await heard(name, () => Slice.alloc(100).release());
        told.push(messages.map(({ byteLength }) => byteLength));
      } finally {
        unsubscribe(name, allocate);
      }
    }
    expect(told).to.deep.equal([[100], [100]]);
  });

  it('cslice:block:release tells the reason', async () => {
    const older = Slice.alloc(8);
    const messages = await heard('cslice:block:release', async () => {
      older.release();
      Slice.alloc(16).release();
      Slice.alloc(24).disown();
      const buffer = (() => {
        using slice = Slice.alloc(32);
        return slice.toBuffer();
      })();
      expect(buffer.length).to.equal(32);
      const before = stats().releasedByCollection;
      (() => void Slice.alloc(40))();
      await collectUntil(() => stats().releasedByCollection > before, 'a dropped block');
      await new Promise(setImmediate);
    });
    const told = messages.map(({ byteLength, reason }) => `${byteLength} ${reason}`);
    expect(told).to.include.members(['8 scope', '16 scope', '24 disowned', '40 collection']);
    for (const { ageMs } of messages) expect(ageMs).to.be.within(0, 60_000);
  });

  it('run no subscriber in the midst of an operation', async () => {
    const states: boolean[] = [];
    let slice: Slice | undefined;
    await heard('cslice:block:release', async () => {
      slice = Slice.alloc(64);
      const listener = () => void states.push(slice?.released === true);
      subscribe('cslice:block:release', listener);
      slice.release();
      unsubscribe('cslice:block:release', listener);
    });
    expect(states).to.deep.equal([true]);
  });

  it('lose no block to a subscriber that throws', async () => {
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const before = stats().liveBlocks;
    const caught: string[] = [];
    const catchOne = (error: Error) => void caught.push(error.message);
    const fail = () => {
      throw new Error('of a subscriber');
    };
    try {
      process.on('uncaughtException', catchOne);
      subscribe('cslice:block:alloc', fail);
      subscribe('cslice:block:release', fail);
      const slice = Slice.alloc(64);
      expect(slice.byteLength).to.equal(64);
      slice.release();
    } finally {
      unsubscribe('cslice:block:alloc', fail);
      unsubscribe('cslice:block:release', fail);
      await new Promise(setImmediate);
      process.off('uncaughtException', catchOne);
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
    expect(caught).to.deep.equal(['of a subscriber', 'of a subscriber']);
    expect(stats().liveBlocks).to.be.at.most(before); // of earlier tests some may be collected
  });

  it('do not tell a subscriber of what it allocates itself', async () => {
    const allocate = () => Slice.alloc(1).release();
    subscribe('cslice:block:alloc', allocate);
    const messages = await heard('cslice:block:alloc', () => Slice.alloc(64).release());
    unsubscribe('cslice:block:alloc', allocate);
    expect(messages.map(({ byteLength }) => byteLength)).to.deep.equal([64]);
  });

  it('cslice:memory:pressure and cslice:memory:limit tell of a reclaim, and of a refusal', async () => {
    const limits: Message[] = [];
    const pressures = await heard('cslice:memory:pressure', async () => {
      limits.push(
        ...(await heard('cslice:memory:limit', () => {
          configure({ limitBytes: stats().liveBytes + 1000 });
          expectError(() => Slice.alloc(1 << 24), 'ERR_CSLICE_LIMIT');
          configure({ limitBytes: 0 });
          withLabel('poor', { budgetBytes: 10 }, () => expectError(() => Slice.alloc(11), 'ERR_CSLICE_LIMIT', /poor/));
        })),
      );
    });
    expect(pressures.map(({ byteLength, reason }) => [byteLength, reason])).to.deep.equal([
      [1 << 24, 'limit'],
      [11, 'budget'],
    ]);
    expect(limits.map(({ byteLength, label }) => [byteLength, label])).to.deep.equal([
      [1 << 24, undefined],
      [11, 'poor'],
    ]);
  });

  it('tracing:cslice:call:* tells of the asynchronous calls of C functions', async () => {
    const events: string[] = [];
    const note =
      (event: string) =>
      (message: unknown): void => {
        const { name, result, error } = message as { name: string; result?: unknown; error?: unknown };
        events.push(`${event} ${name} ${result ?? ''}${error === undefined ? '' : 'failed'}`.trim());
      };
    const subscribers = {
      start: note('start'),
      end: note('end'),
      asyncStart: note('asyncStart'),
      asyncEnd: note('asyncEnd'),
      error: note('error'),
    };
    const traced = tracingChannel('cslice:call');
    traced.subscribe(subscribers as Parameters<typeof traced.subscribe>[0]);
    try {
      const abs = func(c, 'int abs(int n)');
      expect(await abs.async(-7)).to.equal(7);
      expect(await callAsync(c.func('long labs(long n)'), -8)).to.equal(8);
    } finally {
      traced.unsubscribe(subscribers as Parameters<typeof traced.subscribe>[0]);
    }
    expect(events).to.deep.equal([
      'start abs',
      'end abs',
      'asyncStart abs 7',
      'asyncEnd abs 7',
      'start labs',
      'end labs',
      'asyncStart labs 8',
      'asyncEnd labs 8',
    ]);
  });

  it('have no subscribers of their own', () => {
    for (const name of ['cslice:block:alloc', 'cslice:block:release', 'tracing:cslice:call:start']) {
      expect(channel(name).hasSubscribers, name).to.equal(false);
    }
  });
});
