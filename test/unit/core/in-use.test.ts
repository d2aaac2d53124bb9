import { AsyncResource } from 'node:async_hooks';
import { stat } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer } from 'node:net';
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
    const file = await open(temporary('in-use'), 'w');
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
    await file.close();
  });

  it('goes at the release although operations are under way that were started before it was seen', async () => {
    const file = await open(temporary('other'), 'w');
    const other = file.write(Buffer.alloc(1000));
    expect(underWay()).to.be.at.least(1);
    const { slice, ended } = watched(16);
    slice.bytes[0] = 1;
    slice.release();
    expect(ended.length).to.equal(1);
    await other;
    await file.close();
  });

  it('always waits once node:http2 has been loaded, which keeps addresses that nobody counts', () => {
    expect(runForJson('http2-loaded.ts')).to.deep.equal({ atOnce: 0, collected: 1 });
  });
});

type InUse = typeof import('../../../lib/core/in-use.ts');

let imports = 0;

/** The module as it is where Node has loaded these parts of itself. */
async function where(loaded: string[] = []): Promise<InUse> {
  const list = Object.getOwnPropertyDescriptor(process, 'moduleLoadList') as PropertyDescriptor;
  Object.defineProperty(process, 'moduleLoadList', { ...list, value: loaded });
  const query = `?loaded=${imports++}`;
  try {
    await import(`../../../lib/native/symbols.ts${query}`); // tsx loads what a module imports anew too: this opens the library
    const inUse = (await import(`../../../lib/core/in-use.ts${query}`)) as InUse;
    await untilIdle();
    return inUse;
  } finally {
    Object.defineProperty(process, 'moduleLoadList', list);
  }
}

/** Whether memory may be in use that was first seen just now. */
function isNewInUse({ currentJob, mayBeInUse, underWay }: InUse): boolean {
  return mayBeInUse(currentJob(), underWay());
}

/** What `action` returns while a method of `process` answers so. */
function answering<T>(method: string, answer: unknown, action: () => T): T {
  const before = Reflect.get(process, method);
  Reflect.set(process, method, () => answer);
  try {
    return action();
  } finally {
    Reflect.set(process, method, before);
  }
}

const bindings = (...names: string[]) => names.map((name) => `Internal Binding ${name}`);
const fetchLoaded = 'NativeModule internal/deps/undici/undici';

/** What `action` returns where a part of Node calls it whose resource has this class. */
function calledBy<T>(name: string, action: () => T): T {
  const resource = Object.defineProperty(class extends AsyncResource {}, 'name', { value: name });
  return new resource(name).runInAsyncScope(action);
}

const callers = ['HTTPServerAsyncResource', 'HTTPClientAsyncResource', 'TLSWrap', 'JSStream'];

const describeInNode = (title: string, suite: () => void): void => {
  if (runtime === 'node') describe(title, suite); // the others hold the memory themselves
};

describeInNode('memory may be in use', () => {
  beforeEach(() => untilIdle());

  it('if operations are under way, unless as many were when it was first seen in this job', async () => {
    const { currentJob, mayBeInUse, underWay } = await where();
    const job = currentJob();
    expect([mayBeInUse(job, 0), mayBeInUse(job - 1, 5)]).to.deep.equal([false, false]);
    const done = new Promise((resolve) => stat('.', resolve));
    expect(underWay()).to.equal(1);
    const here = currentJob();
    expect([mayBeInUse(here, 1), mayBeInUse(here, 0), mayBeInUse(here, 2)]).to.deep.equal([false, true, true]);
    expect(mayBeInUse(here - 1, 1)).to.equal(true);
    await done;
  });

  it('in a later job than the one that it was seen in', async () => {
    const { currentJob } = await where();
    const job = currentJob();
    expect(currentJob()).to.equal(job);
    await turn();
    const later = currentJob();
    expect(later).to.be.above(job);
    await turn();
    expect(currentJob()).to.be.above(later);
  });

  for (const name of ['http2', 'quic', 'sqlite', 'ffi']) {
    it(`always once Node has loaded ${name}, which keeps addresses that nobody counts`, async () => {
      expect(isNewInUse(await where(bindings(name)))).to.equal(true);
    });
  }

  it('never for what else is loaded, while nothing is under way', async () => {
    expect(isNewInUse(await where(bindings('fs', 'zlib', 'serdes', 'http_parser', 'tcp_wrap')))).to.equal(false);
  });

  it('from the load of such a part on', async () => {
    const loaded: string[] = bindings('fs');
    const inUse = await where(loaded);
    expect(isNewInUse(inUse)).to.equal(false);
    loaded.push(...bindings('sqlite'));
    expect(isNewInUse(inUse)).to.equal(true);
  });

  for (const name of ['http_parser', 'js_stream']) {
    it(`where a part of Node that works through a chunk calls, once ${name} is loaded`, async () => {
      const inUse = await where(bindings(name));
      expect(isNewInUse(inUse)).to.equal(false);
      for (const caller of callers)
        expect(
          calledBy(caller, () => isNewInUse(inUse)),
          caller,
        ).to.equal(true);
      expect(calledBy('another', () => isNewInUse(inUse))).to.equal(false);
      const other = await where(bindings('fs'));
      expect(calledBy('TLSWrap', () => isNewInUse(other))).to.equal(false);
    });
  }

  describe('by a socket', () => {
    const server = createServer();
    before((done) => void server.listen(0, '127.0.0.1', done));
    after((done) => void server.close(done));

    const plain = {};
    const reading = { [Symbol('kBuffer')]: new Uint8Array(1) };
    const notReading = { [Symbol('kBuffer')]: null, [Symbol('other')]: 1 };

    function isUsedBy(inUse: InUse, handles: object[] | undefined): boolean {
      return answering('_getActiveHandles', handles, () => isNewInUse(inUse));
    }

    for (const name of ['tcp_wrap', 'pipe_wrap']) {
      it(`that reads into a buffer as long as it lives, once ${name} is loaded`, async () => {
        const inUse = await where(bindings(name));
        expect(isUsedBy(inUse, [plain, notReading])).to.equal(false);
        expect(isUsedBy(inUse, [plain, reading])).to.equal(true);
        expect(isUsedBy(await where(bindings('fs')), [reading])).to.equal(false);
      });
    }

    it('if there are too many to look at, or they are unknown', async () => {
      const inUse = await where(bindings('tcp_wrap'));
      const handles = (count: number) => Array.from({ length: count }, () => plain);
      expect([isUsedBy(inUse, handles(64)), isUsedBy(inUse, handles(65))]).to.deep.equal([false, true]);
      expect(isUsedBy(inUse, undefined)).to.equal(true);
    });

    it('that is none of the standard streams, once fetch has loaded HTTP/2', async () => {
      const inUse = await where([fetchLoaded, ...bindings('http2', 'tcp_wrap')]);
      expect(isUsedBy(inUse, [process.stdin, process.stdout, process.stderr])).to.equal(false);
      expect(isUsedBy(inUse, [process.stdout, plain])).to.equal(true);
      expect(isUsedBy(await where(bindings('tcp_wrap')), [plain])).to.equal(false);
    });

    it('and by the rest of what keeps addresses, fetch or not', async () => {
      expect(isUsedBy(await where([fetchLoaded, ...bindings('quic')]), [])).to.equal(true);
    });
  });
});

describeInNode('what is under way', () => {
  function told({ whatIsUnderWay }: InUse, resources: string[] | undefined): string {
    return answering('getActiveResourcesInfo', resources, whatIsUnderWay);
  }

  it('is named once each, in order, without timers and terminals', async () => {
    const inUse = await where();
    expect(told(inUse, ['Timeout', 'B', 'Immediate', 'A', 'B', 'TTYWrap'])).to.equal('under way are A, B');
  });

  it('may be unknown', async () => {
    const inUse = await where();
    for (const resources of [['Timeout', 'Immediate', 'TTYWrap'], [], undefined]) {
      expect(told(inUse, resources)).to.equal('an operation is under way');
    }
  });

  it('has the parts that nobody counts, and the one that calls', async () => {
    const inUse = await where(bindings('quic', 'sqlite', 'http_parser'));
    isNewInUse(inUse);
    expect(told(inUse, [])).to.equal('under way are quic, sqlite');
    expect(calledBy('TLSWrap', () => told(inUse, ['FSReqCallback']))).to.equal(
      'under way are FSReqCallback, TLSWrap, quic, sqlite',
    );
    const none = await where(bindings('fs'));
    isNewInUse(none);
    expect(calledBy('TLSWrap', () => told(none, []))).to.equal('an operation is under way');
  });
});
