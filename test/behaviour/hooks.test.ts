import { createHook } from 'node:async_hooks';
import { PassThrough } from 'node:stream';
import { promiseHooks } from 'node:v8';
import { expect } from 'chai';
import { Arena, CSliceError, Pool, pin, Slice, stats } from '../../lib/index.ts';
import { c } from '../helpers/c-library.ts';
import { collectUntil } from '../helpers/collect.ts';
import { runtime, turn } from '../helpers/engine.ts';
import { runForJson } from '../helpers/run.ts';

const free = c.func('void free(void *memory)');
const size = 3000;
const pattern = Uint8Array.from({ length: size }, (_, i) => i % 251);

interface Subject {
  readonly slice: Slice;
  readonly pool: Pool;
  readonly arena: Arena;
  /** What was made, to be looked at in the end. */
  readonly made: (Uint8Array | Slice | undefined)[];
}

type Act = (subject: Subject) => unknown;

/** Each is the first of its job, so that it makes what hooks see. */
const operations: Readonly<Record<string, Act>> = {
  bytes: ({ slice, made }) => made.push(slice.bytes),
  buffer: ({ slice, made }) => made.push(new Uint8Array(slice.buffer)),
  view: ({ slice, made }) => made.push(slice.view(Uint8Array, 8, 8)),
  toBuffer: ({ slice, made }) => made.push(slice.toBuffer(0, 16)),
  subslice: ({ slice, made }) => made.push(slice.subslice(0, 16)),
  lease: ({ slice }) => slice.lease().release(),
  'a pin': ({ slice }) => pin(slice.bytes).release(),
  'a growing resize': ({ slice }) => slice.resize(size * 2),
  'a shrinking resize': ({ slice }) => slice.resize(size / 2),
  disown: ({ slice }) => free(slice.disown()),
  release: ({ slice }) => slice.release(),
  lend: ({ slice }) => slice.lend(async (bytes) => void bytes.fill(1)),
  writeTo: ({ slice }) => slice.writeTo(new PassThrough().resume()),
  asyncDispose: ({ slice }) => slice[Symbol.asyncDispose](),
  'a rent': ({ pool, made }) => {
    const rented = pool.rent();
    made.push(rented.bytes);
    rented.release();
  },
  'an arena': ({ arena, made }) => made.push(arena.alloc(64)),
};

const asyncHook = (act: () => void): (() => void) => {
  const hook = createHook({ init: act, promiseResolve: act }).enable();
  return () => hook.disable();
};
const promiseHook = (act: () => void): (() => void) =>
  promiseHooks.createHook({ init: act, settled: act }) as () => void;

/** One of the operations within another, once. */
async function run(outer: Act, inner: Act, hook: (act: () => void) => () => void): Promise<Subject> {
  const slice = Slice.fromBytes(pattern);
  const subject = { slice, pool: new Pool({ byteLength: 64 }), arena: new Arena(), made: [] };
  await turn();
  let acted = false;
  const attempt = (act: Act): void => {
    try {
      const result = act(subject);
      if (result instanceof Promise) result.catch(check);
    } catch (error) {
      check(error);
    }
  };
  const unhook = hook(() => {
    if (acted) return;
    acted = true;
    attempt(inner);
  });
  attempt(outer);
  unhook();
  await turn();
  return subject;
}

const wrong: unknown[] = [];

function check(error: unknown): void {
  if (!(error instanceof CSliceError)) wrong.push(error);
}

function endAll({ slice, pool, arena, made }: Subject): void {
  if (!slice.released) {
    expect(slice.byteLength).to.be.oneOf([size, size * 2, size / 2]);
    const bytes = slice.copy(0, 16);
    if (bytes.some((byte) => byte !== 1)) expect([...bytes]).to.deep.equal([...pattern.subarray(0, 16)]);
  }
  for (const each of made) if (each instanceof Slice) each.release();
  slice.release();
  pool.release();
  arena.release();
}

describe('hooks of the program that run in the midst of an operation', () => {
  if (runtime !== 'node') return;
  for (const [name, outer] of Object.entries(operations)) {
    it(`do no harm to ${name}, whatever they do`, async () => {
      const before = stats();
      wrong.length = 0;
      for (const inner of Object.values(operations)) {
        for (const hook of [asyncHook, promiseHook]) endAll(await run(outer, inner, hook));
      }
      expect(wrong).to.deep.equal([]);
      await collectUntil(() => stats().liveBytes <= before.liveBytes, 'all blocks are released');
      expect(stats().liveBlocks).to.be.at.most(before.liveBlocks);
    });
  }

  it('run before a resize has asked for the slice, also where Node has loaded zlib since', () => {
    const events = runForJson<string[]>('hook-at-resize.ts');
    expect(events).to.include('ZLIB');
    expect(events.slice(events.indexOf('asked'))).to.deep.equal(['asked', 'asked']);
  });

  it('and lend while a loan starts are noticed by whoever asks for loans', async () => {
    using slice = Slice.alloc(64);
    using other = Slice.alloc(64);
    let finish = (): void => {};
    const until = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const kept = other.lend(() => until); // so that loans are looked for
    await turn();
    let acted = false;
    let loan: Promise<void> | undefined;
    const unhook = promiseHook(() => {
      if (acted) return;
      acted = true;
      loan = slice.lend(() => until);
    });
    let failure: unknown;
    try {
      slice.resize(128);
    } catch (error) {
      failure = error;
    }
    unhook();
    expect(failure).to.have.property('code', 'ERR_CSLICE_STATE');
    finish();
    await Promise.all([kept, loan]);
    expect(slice.byteLength).to.equal(64);
  });
});
