import { open } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { underWay } from '../../../lib/core/in-use.ts';
import { watched } from '../../helpers/blocks.ts';
import { collectUntil, untilIdle } from '../../helpers/collect.ts';
import { runtime } from '../../helpers/engine.ts';
import { temporary } from '../../helpers/fixture.ts';
import { runForJson } from '../../helpers/run.ts';

describe('memory that JavaScript has seen', () => {
  before(untilIdle);

  it('goes at the release where nothing is under way', async () => {
    await untilIdle();
    const { slice, ended } = watched(16);
    slice.bytes[0] = 1;
    await turn();
    await untilIdle();
    slice.release();
    expect(ended.length).to.equal(1);
  });

  it('waits for the collection of the old view where an operation was started since', async () => {
    await using file = await open(temporary('in-use'), 'w');
    await untilIdle();
    const held = (() => {
      const { slice, ended } = watched(1000);
      const written = file.write(slice.bytes);
      const { bytes } = slice;
      slice.release();
      expect([bytes.length, ended.length]).to.deep.equal([0, 0]);
      return { written: written as Promise<{ bytesWritten: number }> | undefined, ended };
    })();
    expect((await held.written)?.bytesWritten).to.equal(1000);
    held.written = undefined; // its result has the view
    await collectUntil(() => held.ended.length === 1, 'the block has ended');
  });

  it('goes at the release although operations are under way that were started before it was seen', async () => {
    await using file = await open(temporary('other'), 'w');
    const other = file.write(Buffer.alloc(1000));
    expect(underWay()).to.be.at.least(1);
    const { slice, ended } = watched(16);
    slice.bytes[0] = 1;
    slice.release();
    expect(ended.length).to.equal(1);
    await other;
  });

  it('may be in use if Node has loaded a part that keeps addresses, is called back, or has sockets that read', function () {
    if (runtime !== 'node') this.skip(); // the others hold the memory themselves
    const nothing = 'an operation is under way';
    expect(runForJson('in-use.ts')).to.deep.equal({
      idle: [false, false],
      operation: [1, false, true, true, true],
      scopes: [true, true, false],
      jobs: [true, true, true],
      guards: [
        [false, false],
        [true, false],
        [true, true],
      ],
      http2: true,
      'http2 before fetch': true,
      quic: true,
      sqlite: true,
      ffi: true,
      others: false,
      'loaded later': true,
      'called, with http_parser': [true, true, true, true, false],
      'called, with js_stream': [true, true, true, true, false],
      'called, with fs': [false, false, false, false, false],
      'hidden in callers': [true, true, true],
      'sockets, with tcp_wrap': [false, false, true],
      'sockets, with pipe_wrap': [false, false, true],
      'sockets, with fs': [false, false, false],
      'hidden in sockets': [true, true, false],
      'many sockets': [false, true, true],
      'a socket without fetch': false,
      'sockets with fetch': [false, true],
      'others with fetch': true,
      told: ['under way are A, B', nothing, nothing, nothing, nothing],
      'told of parts': ['under way are quic, sqlite', 'under way are FSReqCallback, TLSWrap, quic, sqlite'],
      'told of parts that fetch has loaded': nothing,
    });
  });

  const outOfSight = {
    parser: 'an HTTP parser below a function of AsyncResource.bind',
    'parser in a context': 'an HTTP parser below a promise of a context of vm',
    'descriptor 0': 'an unreferenced socket that got the descriptor of the standard input',
    channel: 'an unreferenced socket that got the descriptor of the channel to the parent',
    paused: 'a paused socket with a buffer',
    unreferenced: 'an unreferenced socket with a buffer',
    session: 'a session of HTTP/2 without a socket, after a fetch',
    deserializer: 'a deserializer that calls the program',
    'late deserializer': 'a deserializer that was loaded after the view was made',
  };
  if (runtime === 'node') {
    for (const [part, what] of Object.entries(outOfSight)) {
      it(`waits while it is used by ${what}`, () => {
        expect(runForJson('users-out-of-sight.ts', { args: [part] })).to.deep.equal({ freed: 0, foreign: 0 });
      });
    }
  }

  const lost = {
    terminated: 'a debugger has stopped',
    promise: 'a Promise of the program has lost',
    patched: 'a patched then() has lost',
  };
  if (runtime === 'node') {
    for (const [how, what] of Object.entries(lost)) {
      it(`waits for an operation that a later job starts, where ${what} the end of a job`, () => {
        expect(runForJson('job-lost.ts', { args: [how] })).to.deep.equal({ freed: 0 });
      });
    }
  }

  if (runtime === 'node' && process.platform === 'linux') {
    it('does not wait for an unreferenced socket that was there before cslice, such as a loader has', () => {
      expect(runForJson('early-socket.ts')).to.deep.equal([1, 0]);
    });
  }

  it('always waits once node:http2 has been loaded, which keeps addresses that nobody counts', () => {
    expect(runForJson('http2-loaded.ts')).to.deep.equal({ atOnce: 0, collected: 1 });
  });
});
