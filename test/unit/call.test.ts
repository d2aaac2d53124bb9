import { expect } from 'chai';
import koffi from 'koffi';
import { CSliceError, callAsync, stats as counts, type ErrorCode, func, pin, Slice, stats } from '../../lib/index.ts';
import { watched } from '../helpers/blocks.ts';
import { c } from '../helpers/c-library.ts';
import { collectManyTimes, collectUntil, settle } from '../helpers/collect.ts';
import { compileThreads } from '../helpers/compile-threads.ts';
import { wrong } from '../helpers/expect-error.ts';
import { run } from '../helpers/run.ts';
import { type Library, openThreads, untilGateOpens } from '../helpers/threads.ts';

const strlen = c.func('size_t strlen(const char *text)');
const labs = c.func('long labs(long value)');
const memset = c.func('void *memset(void *memory, int byte, size_t size)');
const variadic = c.func('int abs(int number, ...)');

/** The call must be rejected, as a promise, with this code. */
async function expectRejection(call: () => Promise<unknown>, code: ErrorCode, message?: RegExp): Promise<CSliceError> {
  let promise: Promise<unknown>;
  try {
    promise = call();
  } catch (error) {
    throw new Error('threw instead of rejecting', { cause: error });
  }
  const error = await promise.then(
    (value) => `resolved with ${value}`,
    (reason: unknown) => reason,
  );
  expect(error, String(error)).to.be.instanceOf(CSliceError);
  expect((error as CSliceError).code, (error as CSliceError).message).to.equal(code);
  if (message !== undefined) expect((error as CSliceError).message).to.match(message);
  return error as CSliceError;
}

describe('callAsync', function () {
  this.timeout(60_000);
  let library: Library;
  let pinsBefore = 0;

  before(() => {
    library = openThreads(compileThreads());
  });

  beforeEach(() => {
    pinsBefore = counts().livePins;
    library.gate(false);
  });

  afterEach(() => expect(counts().livePins, 'every hold has ended').to.equal(pinsBefore));

  describe('resolves', () => {
    it('with what C returns', async () => {
      expect(await callAsync(labs, -5)).to.equal(5);
      expect(await callAsync(strlen, 'a text that koffi copies')).to.equal(24);
    });

    it('with nothing for a function that returns nothing', async () => {
      expect(await callAsync(c.func('void free(void *memory)'), null)).to.equal(undefined);
    });

    it('after C has written into a slice, which it gets by its address', async () => {
      using slice = Slice.alloc(16);
      await callAsync(memset, slice, 7, 16);
      expect(slice.copy()).to.deep.equal(new Uint8Array(16).fill(7));
      using text = Slice.fromString('grüße');
      expect(await callAsync(strlen, text)).to.equal(7);
    });

    it('after C has written into JavaScript memory of every kind', async () => {
      const kinds: Record<string, () => ArrayBuffer | ArrayBufferView> = {
        'small typed array': () => new Uint8Array(16),
        'part of a typed array': () => new Uint8Array(64).subarray(8, 24),
        Float64Array: () => new Float64Array(2),
        ArrayBuffer: () => new ArrayBuffer(16),
        Buffer: () => Buffer.allocUnsafe(16),
        DataView: () => new DataView(new ArrayBuffer(32), 16),
        'shared memory': () => new Uint8Array(new SharedArrayBuffer(16)),
        "a slice's view": () => Slice.alloc(16).bytes,
      };
      for (const [kind, make] of Object.entries(kinds)) {
        const memory = make();
        const sum = await callAsync(library.fillLater, memory, 16, 3, 1);
        const bytes = ArrayBuffer.isView(memory)
          ? new Uint8Array(memory.buffer, memory.byteOffset, 16)
          : new Uint8Array(memory);
        expect([sum, ...bytes], kind).to.deep.equal([48, ...new Uint8Array(16).fill(3)]);
      }
    });

    it('in many calls at once, each with its own result', async () => {
      const slices = Array.from({ length: 100 }, () => Slice.alloc(64));
      const sums = await Promise.all(slices.map((slice, i) => callAsync(library.fillLater, slice, 64, i, 1)));
      expect(sums).to.deep.equal(slices.map((_, i) => 64 * i));
      slices.forEach((slice, i) => {
        expect(slice.bytes[63]).to.equal(i);
        slice.release();
      });
    });
  });

  describe('keeps until C is done', () => {
    it('a slice that is released during the call: its block goes when C returns', async () => {
      const before = library.counts();
      const slice = library.adopt(4096);
      const sum = callAsync(library.fillLater, slice, 4096, 5, untilGateOpens);
      slice.release();
      expect(slice.released).to.equal(true);
      expect(library.counts().freed).to.equal(before.freed);
      library.gate(true);
      expect(await sum).to.equal(4096 * 5);
      const after = library.counts();
      expect([after.freed - before.freed, after.freedInUse - before.freedInUse]).to.deep.equal([1, 0]);
    });

    it('a slice whose views were seen: they die at its release, and the block goes with their collection', async () => {
      const before = library.counts();
      await (async () => {
        const slice = library.adopt(4096);
        const { bytes } = slice;
        const sum = callAsync(library.fillLater, slice, 4096, 5, untilGateOpens);
        slice.release();
        expect([slice.released, bytes.length]).to.deep.equal([true, 0]);
        await collectManyTimes();
        expect(library.counts().freed).to.equal(before.freed);
        library.gate(true);
        expect(await sum).to.equal(4096 * 5);
      })();
      await collectUntil(() => library.counts().freed > before.freed, 'the block has ended');
      const after = library.counts();
      expect([after.freed - before.freed, after.freedInUse - before.freedInUse]).to.deep.equal([1, 0]);
    });

    it('a slice with a JavaScript destructor, which runs after C has returned', async () => {
      const { slice, ended } = watched(64);
      const { finished } = library.counts();
      const call = callAsync(library.fillLater, slice, 64, 1, untilGateOpens);
      slice.release();
      expect(ended.length).to.equal(0);
      library.gate(true);
      expect(await call).to.equal(64);
      expect([ended.length, library.counts().finished - finished]).to.deep.equal([1, 1]);
    });

    it('a slice that is dropped during the call, and no longer afterwards', async () => {
      const before = library.counts();
      const call = (() => callAsync(library.fillLater, library.adopt(4096), 4096, 5, untilGateOpens))();
      await collectManyTimes();
      expect(library.counts().freed).to.equal(before.freed);
      library.gate(true);
      expect(await call).to.equal(4096 * 5);
      await settle(() => library.counts());
      const after = library.counts();
      expect([after.freed - before.freed, after.freedInUse - before.freedInUse]).to.deep.equal([1, 0]);
    });

    it('a view of a slice, whether the slice is dropped or released', async () => {
      for (const how of ['dropped', 'released']) {
        library.gate(false);
        const before = library.counts();
        const call = (() => {
          const slice = library.adopt(4096);
          const call = callAsync(library.fillLater, slice.bytes, 4096, 5, untilGateOpens);
          if (how === 'released') slice.release();
          return call;
        })();
        await collectManyTimes();
        expect(library.counts().freed, how).to.equal(before.freed);
        library.gate(true);
        expect(await call, how).to.equal(4096 * 5);
        await collectUntil(() => library.counts().freed > before.freed, how);
        const after = library.counts();
        expect([after.freed - before.freed, after.freedInUse - before.freedInUse], how).to.deep.equal([1, 0]);
      }
    });

    it('a slice that is passed twice', async () => {
      const memcmp = c.func('int memcmp(const void *a, const void *b, size_t size)');
      const { slice, ended } = watched(64);
      const call = callAsync(memcmp, slice, slice, 64);
      slice.release();
      expect(ended.length).to.equal(0);
      expect(await call).to.equal(0);
      expect(ended.length).to.equal(1);
    });

    it('the owner of a borrowed slice', async () => {
      const { call, ended } = (() => {
        const { slice: owner, ended } = watched(64);
        const borrowed = Slice.borrow(owner.address, 64, owner);
        return { call: callAsync(library.fillLater, borrowed, 64, 1, untilGateOpens), ended };
      })();
      await collectManyTimes();
      expect(ended.length).to.equal(0);
      library.gate(true);
      expect(await call).to.equal(64);
    });

    it('buffers inside structs, however deep they are', async () => {
      const before = counts().livePins;
      for (const depth of [0, 1, 7, 8, 9, 12]) {
        let type = koffi.struct({ memory: 'uint8_t *' });
        let value: object = { memory: new Uint8Array(64) };
        for (let i = 0; i < depth; i++) {
          type = koffi.struct({ inner: type });
          value = { inner: value };
        }
        const take = c.func('abs', 'int', [type]); // ignores what it gets
        const call = callAsync(take, value).then(
          () => 'resolved',
          () => 'rejected',
        );
        const held = counts().livePins - before;
        const outcome = await call;
        expect(outcome === 'rejected' || held === 1, `at depth ${depth}: ${held} held, ${outcome}`).to.equal(true);
      }
    });

    it('buffers that koffi finds by an inherited getter', async () => {
      class Job {
        size = 64;
        byte = 2;
        milliseconds = 1;
        #memory = new Uint8Array(64);
        get memory(): Uint8Array {
          return this.#memory;
        }
      }
      const call = callAsync(library.fillJobLater, new Job()).then(
        (sum) => sum,
        () => 'rejected',
      );
      const held = counts().livePins - pinsBefore;
      const outcome = await call;
      expect(outcome === 'rejected' || held === 1, `${held} held, ${outcome}`).to.equal(true);
    });

    it('the buffer that koffi reads, where a getter makes a new one each time', async () => {
      const made: Uint8Array[] = [];
      const job = {
        size: 64,
        byte: 2,
        milliseconds: 1,
        get memory(): Uint8Array {
          made.push(new Uint8Array(64));
          return made.at(-1) as Uint8Array;
        },
      };
      const outcome = await callAsync(library.fillJobLater, job).catch(() => 'rejected');
      const writtenTo = made.findIndex((bytes) => bytes[0] === 2);
      expect(outcome === 'rejected' || writtenTo === 0, `read ${made.length} times, wrote to ${writtenTo}`).to.equal(
        true,
      );
    });

    it('a slice in a struct, which C gets by its address', async () => {
      const before = library.counts();
      const slice = library.adopt(4096);
      const job = { memory: slice, size: 4096, byte: 3, milliseconds: untilGateOpens };
      const call = callAsync(library.fillJobLater, job);
      slice.release();
      expect(library.counts().freed).to.equal(before.freed);
      library.gate(true);
      expect(await call).to.equal(3 * 4096);
      const after = library.counts();
      expect([after.freed - before.freed, after.freedInUse - before.freedInUse]).to.deep.equal([1, 0]);
    });

    it('buffers in a struct, right through collections', async () => {
      const call = callAsync(library.fillJobLater, {
        memory: new Uint8Array(4096),
        size: 4096,
        byte: 3,
        milliseconds: untilGateOpens,
      });
      expect(counts().livePins - pinsBefore).to.equal(1);
      await collectManyTimes();
      library.gate(true);
      expect(await call).to.equal(3 * 4096);
    });
  });

  it('waits for its turn where koffi has too many calls under way, and holds its arguments until then', async () => {
    const calls: Promise<unknown>[] = [];
    const { max_async_calls: most } = koffi.config() as { max_async_calls: number };
    const before = library.counts().freedInUse;
    const usleep = func(c, 'int usleep(unsigned int microseconds)');
    const started: unknown[] = [];
    for (let i = 0; i < most + 44; i++) {
      const slice = library.adopt(64);
      calls.push(i % 2 === 0 ? usleep.async(1000) : callAsync(library.fillLater, slice, 64, 1, 1));
      slice.release();
    }
    const late = callAsync(labs, -7).then((result) => started.push(result));
    expect((await Promise.allSettled(calls)).filter(({ status }) => status === 'rejected')).to.deep.equal([]);
    await late;
    expect(started).to.deep.equal([7]);
    expect(library.counts().freedInUse).to.equal(before);
  });

  describe('rejects, and ends every hold,', () => {
    /** Passes a slice and a buffer to a call that must fail, and expects both to be free again. */
    async function expectFailure(
      call: (slice: Slice, buffer: Uint8Array) => Promise<unknown>,
      code: ErrorCode,
      message?: RegExp,
    ): Promise<void> {
      const { slice, ended } = watched(64);
      await expectRejection(() => call(slice, new Uint8Array(64)), code, message);
      expect(counts().livePins).to.equal(pinsBefore);
      slice.release();
      expect(ended.length, 'no lease is left').to.equal(1);
    }

    it('for too few and too many arguments', async () => {
      await expectFailure((slice) => callAsync(memset, slice), 'ERR_CSLICE_TYPE', /memset takes 3 arguments, got 1/);
      await expectFailure((slice, buffer) => callAsync(memset, slice, 1, 2, buffer), 'ERR_CSLICE_TYPE', /got 4/);
      await expectFailure(() => callAsync(memset), 'ERR_CSLICE_TYPE', /got 0/);
    });

    it('for arguments of the wrong type', async () => {
      const wrongOnes = [{}, [], 'text', undefined, Symbol('s'), () => {}, new Date()];
      for (const value of wrongOnes) {
        await expectFailure((slice) => callAsync(memset, slice, value, 64), 'ERR_CSLICE_TYPE');
      }
      await expectFailure((_, buffer) => callAsync(memset, buffer, 1, 'many'), 'ERR_CSLICE_TYPE');
      await expectFailure((slice, buffer) => callAsync(labs, wrong([slice, buffer])), 'ERR_CSLICE_TYPE');
    });

    it('for what is not a koffi function', async () => {
      const functions = [undefined, null, 1, 'memset', {}, [], () => {}, Math.abs, class {}, { async() {} }];
      for (const fn of functions) {
        await expectFailure((slice) => callAsync(wrong(fn), slice), 'ERR_CSLICE_TYPE', /koffi function/);
      }
    });

    it('for a variadic function, which koffi cannot call asynchronously', async () => {
      await expectFailure((slice) => callAsync(variadic, slice), 'ERR_CSLICE_TYPE', /fixed number of arguments/);
    });

    it('for a released slice in any place', async () => {
      const released = Slice.alloc(8);
      const { bytes } = released;
      released.release();
      await expectFailure(() => callAsync(memset, released, 1, 8), 'ERR_CSLICE_RELEASED');
      const memcmp = c.func('int memcmp(const void *a, const void *b, size_t size)');
      await expectFailure((slice) => callAsync(memcmp, slice, released, 8), 'ERR_CSLICE_RELEASED');
      await expectFailure((slice) => callAsync(memcmp, slice, bytes, 8), 'ERR_CSLICE_TYPE', /detached/);
    });

    it('for a released slice inside of an object', async () => {
      const released = Slice.alloc(8);
      released.release();
      const job = { memory: released, size: 8, byte: 1, milliseconds: 1 };
      await expectFailure(() => callAsync(library.fillJobLater, job), 'ERR_CSLICE_RELEASED');
    });

    it('for detached, resizable and closed buffers', async () => {
      const detached = new Uint8Array(64);
      structuredClone(detached.buffer, { transfer: [detached.buffer] });
      const resizable = new Uint8Array(new (wrong(ArrayBuffer))(64, { maxByteLength: 128 }) as ArrayBuffer);
      const closed = new Uint8Array(Object.freeze(new ArrayBuffer(64)));
      const memcmp = c.func('int memcmp(const void *a, const void *b, size_t size)');
      for (const bad of [detached, resizable, closed]) {
        await expectFailure((slice) => callAsync(memcmp, slice, bad, 8), 'ERR_CSLICE_TYPE');
      }
    });

    it('for an object whose getter throws', async () => {
      const bad = {
        memory: new Uint8Array(64),
        get size(): number {
          throw new Error('no size');
        },
      };
      await expectFailure(() => callAsync(library.fillJobLater, bad), 'ERR_CSLICE_TYPE', /no size/);
    });

    it('for an object that contains itself', async () => {
      const cycle: Record<string, unknown> = { size: 8, byte: 1, milliseconds: 1 };
      cycle.memory = cycle;
      await expectFailure(() => callAsync(library.fillJobLater, cycle), 'ERR_CSLICE_TYPE');
    });

    it('with ERR_CSLICE_EXHAUSTED when koffi is full of calls that are not ours, and works again after them', async () => {
      const { max_async_calls: most } = koffi.config() as { max_async_calls: number };
      const usleep = c.func('int usleep(unsigned int microseconds)');
      let left = most;
      await new Promise<void>((resolve) => {
        for (let i = 0; i < most; i++) usleep.async(1000, () => --left === 0 && resolve());
        for (const call of [() => callAsync(labs, -1), () => callAsync(labs, -2)]) {
          call().then(
            () => expect.fail('there is no room'),
            (error) => expect(error).to.include({ name: 'CSliceError', code: 'ERR_CSLICE_EXHAUSTED' }),
          );
        }
      });
      expect(await callAsync(labs, -1)).to.equal(1);
    });

    it('without losing a block, in hundreds of failing calls', async () => {
      const { liveBlocks } = stats();
      using slice = Slice.alloc(64);
      const held = pin(slice.bytes);
      const failures: Promise<unknown>[] = [];
      for (let i = 0; i < 300; i++) failures.push(callAsync(memset, slice, 'not a number', 1).catch(() => 'rejected'));
      expect(new Set(await Promise.all(failures))).to.deep.equal(new Set(['rejected']));
      held.release();
      expect(stats().liveBlocks).to.equal(liveBlocks + 1);
      expect(slice.bytes.length).to.equal(64);
    });
  });

  it('that is under way when the process exits does not crash it', () => {
    const { status, signal, stderr } = run('threads/exit-in-call.ts', { args: [compileThreads()] });
    expect([status, signal], stderr).to.deep.equal([7, null]);
  });
});
