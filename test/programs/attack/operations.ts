/** What the walk can do: one entry for each operation. `weight` says how often; add one here to have it attacked. */
import { type Readable, Writable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { collect } from '../../helpers/engine.ts';
import { isOverflow } from '../../helpers/overflow.ts';
import type { Random } from '../../helpers/random.ts';
import { listOf, membersOf, pretender, viewClass } from './hostile.ts';
import { attach, has, newer, type Slice, subject, viewsAreOwned } from './subject.ts';
import { type Handle, isLive, pick, type Result, type Source, type World } from './world.ts';

interface Operation {
  readonly weight: number;
  /** Not in this world: what it needs is missing. */
  readonly isMissing?: (world: World) => boolean;
  readonly run: (world: World, random: Random) => void;
}

const { Slice: Slices, Arena, Pool, SliceWriter, copy, copyBytes, configure, readable, pin, callAsync } = subject;

const within = (random: Random, most: number): number => random(most + 1);
const needsC = (world: World): boolean => world.native === undefined;
const needs = (name: Parameters<typeof has>[0]) => (): boolean => !has(name);

function sizeOf(random: Random): number {
  const form = random(10);
  if (form < 5) return [8, 16, 64][random(3)] as number;
  if (form < 8) return random(130);
  return form === 8 ? 1000 + random(60) : random(5000);
}

/** The intrusion of whatever the package reads next. */
const intruder = (world: World, name: string, random: Random) => (): void => {
  if (world.does(name) && random(3) !== 0) world.intrude(random, name);
};

const options = (world: World, random: Random, members: Record<string, unknown>): object =>
  world.does('hostile options') ? membersOf(members, random, intruder(world, 'getter', random)) : members;

function ifDone<T>(result: Result<T>, use: (value: T) => void): void {
  if (result.done) use(result.value);
}

function expectBytes(world: World, what: string, seen: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(seen, expected) !== 0) throw world.broken(`${what} gives other bytes`);
}

/** What the model says that the slice shows; undefined where it does not know all, or an operation changes it. */
function known({ reference, start, length }: Handle): Uint8Array | undefined {
  const { block, state } = reference;
  if (state !== 'held' || block.busy > 0 || start + length > block.bytes.length) return undefined;
  return block.bytes.slice(start, start + length);
}

/** A source of JavaScript memory, old or new. */
function sourceOf(world: World, random: Random): Source {
  const old = world.one(
    world.sources.filter(({ gone }) => !gone),
    random,
  );
  if (old !== undefined && random(3) > 0) return old;
  const byteLength = sizeOf(random);
  const byte = 1 + random(255);
  const buffer =
    random(3) === 0 ? new ArrayBuffer(byteLength, { maxByteLength: byteLength + 64 }) : new ArrayBuffer(byteLength);
  new Uint8Array(buffer).fill(byte);
  const source: Source = { buffer, byte, gone: false };
  world.sources.push(source);
  if (world.sources.length > 20) world.sources.shift();
  return source;
}

/** All bytes of a copy of a source are the source's byte: others came from elsewhere. */
function expectOnly(world: World, what: string, bytes: Uint8Array, byte: number): void {
  if (bytes.every((each) => each === byte)) return;
  throw world.broken(`${what} has bytes that its source never had`);
}

function canBeViewed(buffer: ArrayBuffer): boolean {
  try {
    new Uint8Array(buffer);
    return true;
  } catch {
    return false; // it is detached
  }
}

function adopt(world: World, random: Random, native: boolean): Handle | undefined {
  const { native: c } = world;
  const id = world.nextId();
  const byteLength = sizeOf(random);
  const address = c === undefined ? Slices.alloc(byteLength).disown() : BigInt(c.make(id, byteLength));
  const kind = native ? 'native' : 'callback';
  const block = world.announceBlock(kind, address, byteLength, id);
  const destructor = (native ? pick(c?.destructors ?? [], random) : undefined) ?? world.destructorOf(block);
  const result = world.call(`adopt ${kind} ${id} of ${byteLength}`, [], () =>
    Slices.adopt(address, byteLength, destructor as never),
  );
  if (!result.done) {
    world.forgetBlock(block);
    c?.discard(address);
    return undefined;
  }
  const handle = world.addHandle(result.value, world.refer(block));
  world.stamp(handle);
  return handle;
}

/** Whether others hold the block too, surely or perhaps. */
function isAlone({ reference }: Handle): boolean {
  return reference.block.references.size === 1;
}

function isWhole({ reference, start, length }: Handle): boolean {
  return start === 0 && length === reference.block.byteLength;
}

const ofOthers = ['ERR_CSLICE_STATE', 'ERR_CSLICE_TYPE'];

function resize(world: World, random: Random): void {
  const handle = world.handle(random, ({ reference }) => reference.block.frozen === 0);
  if (handle === undefined) return;
  const { slice } = handle;
  const { block } = handle.reference;
  const byteLength = sizeOf(random);
  const can = block.kind === 'alloc' && isAlone(handle) && isWhole(handle);
  world.enter(handle);
  const { shortest } = handle;
  handle.shortest = Math.min(shortest, byteLength);
  const name = `resize ${block.kind} ${block.id} to ${byteLength}`;
  const result = world.call(name, [handle], () => slice.resize(byteLength), can ? [] : ofOthers);
  handle.shortest = shortest;
  world.leave(handle);
  // A destructor that ran within may have resized it too, or released it.
  if (result.done) settle(world, handle);
  else if (handle.reference.state === 'held') world.dropViews(handle.reference, 'perhaps');
}

/** After a resize, the slice has a block of its own, with the bytes that fitted. */
function settle(world: World, handle: Handle): void {
  const { slice, reference } = handle;
  const { block } = reference;
  if (reference.state !== 'held') return;
  if (slice.released) throw world.broken('a slice is released that nobody released');
  // What a pool has given up is a subslice's alone.
  if (block.kind !== 'alloc' && block.kind !== 'rented') throw world.broken(`memory of kind ${block.kind} was resized`);
  if (viewsAreOwned) {
    reference.state = 'perhaps'; // old buffers, and whoever else holds the block, may keep it as it was
  } else {
    block.references.delete(reference); // the others have ended, or it could not have been resized
    if (isLive(block)) throw world.broken(`${block.kind} block ${block.id} was resized while others hold it`);
  }
  const bytes = block.bytes.subarray(handle.start, handle.start + handle.length);
  world.dropViews(reference);
  if (!viewsAreOwned) world.forgetBlock(block);
  world.rebind(handle, 'alloc', bytes);
}

function release(world: World, random: Random): void {
  const handle = world.handle(random);
  if (handle === undefined) return;
  world.giveBack(handle.reference);
  world.call(`release ${handle.reference.block.kind} ${handle.reference.block.id}`, [handle], () =>
    handle.slice.release(),
  );
  world.dropViews(handle.reference);
}

function disown(world: World, random: Random): void {
  const handle = world.handle(random, ({ reference }) => reference.block.busy + reference.block.frozen === 0);
  if (handle === undefined) return;
  const { reference, slice } = handle;
  const { block } = reference;
  const can = isAlone(handle) && isWhole(handle) && block.kind !== 'region' && block.kind !== 'rented';
  block.busy++;
  const result = world.call(`disown ${block.id}`, [handle], () => slice.disown(), can ? [] : ofOthers);
  block.busy--;
  if (!result.done) return;
  if (result.value !== block.address) throw world.broken('disown() gave another address');
  if (block.kind === 'alloc' || block.kind === 'rented') world.native?.free(result.value);
  else world.native?.discard(result.value);
  world.disown(block);
  world.drop(world.handles, handle);
  world.dropViews(reference);
}

function write(world: World, random: Random): void {
  const handle = world.handle(
    random,
    (each) => each.length >= 16 && known(each) !== undefined && each.reference.block.frozen === 0,
  );
  if (handle === undefined) return;
  const { slice, reference, start, length } = handle;
  const at = within(random, length - 16) & ~3;
  const members = { a: random(256), b: random(2 ** 32), c: [1, 2, 3, random(256)] };
  const { block } = reference;
  const expected = new Uint8Array(12);
  expected[0] = members.a;
  new DataView(expected.buffer).setUint32(4, members.b, true);
  expected.set(members.c, 8);
  const value = options(world, random, members);
  world.enter(handle);
  const result = world.call(
    `write ${block.id}`,
    [handle],
    () => slice.write(world.native?.struct ?? 'uint8_t', at, value),
    ['ERR_CSLICE_RANGE'],
  );
  if (result.done && block.busy === 1 && handle.reference === reference) {
    for (const i of [0, 4, 5, 6, 7, 8, 9, 10, 11]) block.bytes[start + at + i] = expected[i] as number;
  } else world.stamp(handle, 1); // it may have been written in part, or to another block
  world.leave(handle);
}

/** A stream has taken the slice over. Reads of it, and ends it. */
function takeOver(world: World, handle: Handle, stream: Readable): void {
  const { slice, reference } = handle;
  const expected = known(handle);
  const first = stream.read() as Uint8Array | null;
  if (first !== null && expected !== undefined) {
    expectBytes(world, 'readable()', first, expected.subarray(0, first.byteLength));
  }
  stream.destroy();
  stream.once('error', () => {});
  world.pending.push(
    new Promise((resolve) => {
      stream.once('close', resolve);
      if (stream.closed) resolve(undefined);
    }),
  );
  if (reference.state !== 'held') return; // a destructor released what was no longer there
  if (viewsAreOwned && !slice.released) throw world.broken('readable() has not released its slice');
  reference.state = 'perhaps';
  reference.holders = 0;
  world.forgetViews(reference);
  world.drop(world.handles, handle);
}

const table: Readonly<Record<string, Operation>> = {
  alloc: {
    weight: 12,
    run(world, random) {
      const byteLength = sizeOf(random);
      const alignment = 2 ** random(9);
      const zero = random(3) > 0;
      const plain = random(2) === 0;
      const settings = plain ? undefined : options(world, random, { zero, alignment });
      const result = world.call(`alloc ${byteLength}`, [], () => Slices.alloc(byteLength, settings));
      ifDone(result, (slice) => {
        if (slice.byteLength !== byteLength) throw world.broken('alloc() gave another length');
        const aligned = slice.address % BigInt(plain ? 16 : alignment) === 0n;
        if (!aligned && byteLength > 0) throw world.broken('alloc() is not aligned');
        if ((plain || zero) && !world.holds(slice.address, new Uint8Array(byteLength))) {
          throw world.broken('alloc() is not zeroed');
        }
        world.own('alloc', slice);
      });
    },
  },
  fromBytes: {
    weight: 4,
    run(world, random) {
      const source = sourceOf(world, random);
      const { byteLength } = source.buffer;
      const causes = ['ERR_CSLICE_TYPE', 'ERR_CSLICE_RANGE'];
      const result = world.call(
        `fromBytes ${byteLength}`,
        [source],
        () => Slices.fromBytes(source.buffer as ArrayBuffer),
        causes,
      );
      if (!result.done) world.vague += 1;
      ifDone(result, (slice) => {
        expectOnly(world, 'fromBytes()', slice.copy(), source.byte);
        world.own('alloc', slice);
      });
    },
  },
  endSource: {
    weight: 4,
    run(world, random) {
      const source = world.one(world.sources, random);
      if (source === undefined || source.gone || source.buffer instanceof SharedArrayBuffer) return;
      const { buffer } = source;
      // Of a detached one too the length is 0: an interruption may have come before `gone` was set.
      if (buffer.resizable && buffer.byteLength > 0 && random(2) === 0) {
        world.note('shrink a source');
        buffer.resize(random(buffer.byteLength + 1));
        return;
      }
      world.note('detach a source');
      try {
        structuredClone(buffer, { transfer: [buffer] });
        source.gone = true;
      } catch {} // it is pinned
    },
  },
  fromString: {
    weight: 2,
    run(world, random) {
      const text = 'grüße 🌍'.repeat(random(9));
      ifDone(
        world.call('fromString', [], () => Slices.fromString(text)),
        (slice) => {
          if (slice.text() !== text) throw world.broken('fromString() gave another text');
          world.own('alloc', slice);
        },
      );
    },
  },
  adoptCallback: {
    weight: 8,
    run: (world, random) => {
      adopt(world, random, false);
    },
  },
  adoptAndForget: {
    weight: 4,
    isMissing: needsC,
    run(world, random) {
      for (let i = 0; i < 3; i++) {
        const handle = adopt(world, random, random(2) === 0);
        if (handle === undefined) continue;
        world.forget(handle.reference);
        world.drop(world.handles, handle);
      }
    },
  },
  adoptNative: {
    weight: 4,
    isMissing: needsC,
    run: (world, random) => {
      adopt(world, random, true);
    },
  },
  borrow: {
    weight: 2,
    isMissing: needsC,
    run(world, random) {
      const { region } = world;
      if (region === undefined) return;
      const from = random(region.byteLength);
      const byteLength = random(region.byteLength - from);
      const owner = random(2) === 0 ? (world.handle(random)?.slice ?? {}) : undefined;
      ifDone(
        world.call('borrow', [], () => Slices.borrow(region.address + BigInt(from), byteLength, owner)),
        (slice) => {
          world.addHandle(slice, world.refer(region), from);
        },
      );
    },
  },
  subslice: {
    weight: 6,
    run(world, random) {
      const handle = world.handle(random, ({ reference }) => reference.block.busy === 0);
      if (handle === undefined) return;
      const from = within(random, handle.length);
      const to = from + within(random, handle.length - from);
      const { block } = handle.reference;
      ifDone(
        world.call(`subslice ${block.id}`, [handle], () => handle.slice.subslice(from, to)),
        (slice) => {
          if (slice.byteLength !== to - from) throw world.broken('subslice() gave another length');
          world.addHandle(slice, world.refer(block), handle.start + from);
        },
      );
    },
  },
  lease: {
    weight: 4,
    run(world, random) {
      const handle = world.handle(random, ({ reference }) => reference.block.busy === 0);
      if (handle === undefined) return;
      const { block } = handle.reference;
      ifDone(
        world.call(`lease ${block.id}`, [handle], () => handle.slice.lease()),
        (hold) => {
          if (hold.address !== block.address + BigInt(handle.start)) throw world.broken('a lease has another address');
          world.kept.push({ hold, reference: world.refer(block) });
        },
      );
    },
  },
  pin: {
    weight: 3,
    run(world, random) {
      const view = world.one(
        world.views.filter(({ reference }) => reference.state === 'held'),
        random,
      );
      if (view === undefined || view.reference.block.busy > 0) return;
      const { block } = view.reference;
      world.strong++;
      ifDone(
        world.call(`pin a view of ${block.kind} ${block.id}`, [view], () => pin(view.view)),
        (hold) => {
          const expected = view.length === 0 ? hold.address : block.address + BigInt(view.start);
          if (hold.address !== expected) throw world.broken('a pin has another address');
          world.kept.push({ hold, reference: world.refer(block) });
        },
      );
      world.strong--;
    },
  },
  pinSource: {
    weight: 2,
    run(world, random) {
      const source = sourceOf(world, random);
      ifDone(
        world.call('pin a source', [source], () => pin(source.buffer as ArrayBuffer), ['ERR_CSLICE_TYPE']),
        (hold) => {
          world.kept.push({ hold, reference: undefined });
        },
      );
    },
  },
  endHold: {
    weight: 6,
    run(world, random) {
      const held = world.one(world.kept, random);
      if (held === undefined) return;
      world.drop(world.kept, held);
      if (held.reference !== undefined) world.giveBack(held.reference);
      world.call('end a hold', [held], () => held.hold.release());
    },
  },
  resize: { weight: 7, run: resize },
  release: { weight: 12, run: release },
  disown: { weight: 2, isMissing: needsC, run: disown },
  useReleased: {
    weight: 2,
    run(world, random) {
      const handle = pick(
        world.handles.filter(({ slice }) => slice.released),
        random,
      );
      if (handle === undefined) return;
      const { slice } = handle;
      const uses = [
        () => slice.bytes,
        () => slice.address,
        () => slice.lease(),
        () => slice.subslice(),
        () => slice.resize(8),
        () => slice.copy(),
        () => slice.disown(),
        () => slice.text(),
      ];
      const use = pick(uses, random) as () => unknown;
      const result = world.call('use a released slice', [], use, ['ERR_CSLICE_RELEASED']);
      if (result.done) throw world.broken('a released slice can be used');
      slice.release();
    },
  },
  view: {
    weight: 10,
    run(world, random) {
      const handle = world.handle(random, ({ reference }) => reference.block.busy === 0);
      if (handle === undefined) return;
      const { slice, reference, start, length } = handle;
      const from = within(random, length);
      const type = world.does('view class') ? viewClass(random, intruder(world, 'view class', random)) : Uint8Array;
      const forms: [number, () => ArrayBufferView][] = [
        [0, () => slice.bytes],
        [0, () => new Uint8Array(slice.buffer)],
        [from, () => slice.view(DataView, from)],
        [from, () => slice.view(type, from, length - from)],
        [from, () => slice.bytes.subarray(from)],
      ];
      if (!viewsAreOwned) forms.push([0, () => slice.toBuffer()]);
      const [at, show] = forms[random(forms.length)] as (typeof forms)[number];
      const { intrusions } = world;
      const result = world.call(`view ${reference.block.id}`, [handle], show);
      if (!result.done || reference.state !== 'held') return;
      if (world.intrusions > intrusions && (reference.block.busy > 0 || slice.byteLength !== length)) return;
      world.addView(result.value, reference, start + at);
    },
  },
  toBuffer: {
    weight: 3,
    isMissing: () => !viewsAreOwned,
    run(world, random) {
      const handle = world.handle(
        random,
        ({ reference }) => reference.block.busy === 0 && reference.block.kind !== 'rented',
      );
      if (handle === undefined) return;
      const { slice, reference, start } = handle;
      ifDone(
        world.call('toBuffer', [handle], () => slice.toBuffer(), ['ERR_CSLICE_NO_VIEW']),
        (buffer) => {
          const own = world.refer(reference.block); // of its own: it outlives the slice
          world.addView(buffer, own, start);
          world.forget(own);
        },
      );
    },
  },
  toSharedBuffer: {
    weight: 3,
    isMissing: needs('toSharedBuffer'),
    run(world, random) {
      const handle = world.handle(
        random,
        ({ reference }) => reference.block.busy === 0 && reference.block.kind !== 'rented',
      );
      if (handle === undefined) return;
      const { slice, reference, start } = handle;
      const causes = ['ERR_CSLICE_NO_VIEW', 'ERR_CSLICE_TYPE'];
      ifDone(
        world.call('toSharedBuffer', [handle], () => newer(slice).toSharedBuffer(), causes),
        (buffer) => {
          const own = world.refer(reference.block);
          world.addView(new Uint8Array(buffer), own, start);
          world.forget(own);
        },
      );
    },
  },
  attach: {
    weight: 3,
    isMissing: needs('toSharedBuffer'),
    run(world, random) {
      const view = world.one(
        world.views.filter(
          ({ view, reference }) => view.buffer instanceof SharedArrayBuffer && isLive(reference.block),
        ),
        random,
      );
      if (view === undefined) return;
      ifDone(
        world.call('attach', [view], () => attach(view.view.buffer)),
        (slice) => {
          if (slice.byteLength === 0)
            world.own('alloc', slice); // has a new block
          else world.addHandle(slice, world.refer(view.reference.block), view.start);
        },
      );
    },
  },
  share: {
    weight: 2,
    isMissing: needs('share'),
    run(world, random) {
      const handle = world.handle(random, ({ reference }) => reference.block.busy === 0);
      if (handle === undefined) return;
      const { block } = handle.reference;
      const settings = options(world, random, { attachments: 0, patience: 50 });
      const result = world.call(`share ${block.id}`, [handle], () => newer(handle.slice).share(settings), [
        'ERR_CSLICE_TYPE',
      ]);
      if (!result.done) return;
      world.forget(world.refer(block)); // the offer's
      ifDone(
        world.call('attach', [handle], () => attach(result.value), ['ERR_CSLICE_SHARED']),
        (slice) => {
          if (handle.reference.state === 'held') world.addHandle(slice, world.refer(block), handle.start);
          else slice.release();
        },
      );
    },
  },
  move: {
    weight: 1,
    isMissing: () => !viewsAreOwned,
    run(world, random) {
      const handle = world.handle(
        random,
        ({ reference }) =>
          reference.block.busy + reference.block.frozen === 0 &&
          reference.block.kind !== 'rented' &&
          reference.block.kind !== 'region',
      );
      if (handle === undefined) return;
      const { slice, reference, start } = handle;
      const expected = known(handle);
      const buffer = slice.buffer as ArrayBuffer & { transfer?: () => ArrayBuffer };
      const clone = (): ArrayBuffer => structuredClone(buffer, { transfer: [buffer] });
      let moved: ArrayBuffer;
      try {
        moved = random(2) === 0 && buffer.transfer !== undefined ? buffer.transfer() : clone();
      } catch {
        return; // it is pinned
      }
      if (!slice.released && canBeViewed(buffer)) return; // it is pinned, and Node 20 makes a copy
      world.note(`moved ${reference.block.id}`);
      if (!slice.released) throw world.broken('a slice is not over whose bytes were moved');
      const own = world.refer(reference.block);
      world.giveBack(reference);
      if (expected !== undefined) expectBytes(world, 'a moved buffer', new Uint8Array(moved), expected);
      // The transfer() of an empty buffer makes another one, which has nothing of the block.
      if (moved.byteLength > 0) world.addView(new Uint8Array(moved), own, start);
      world.forget(own);
      world.dropViews(reference);
      if (random(2) === 0) world.call('release a moved slice', [handle], () => slice.release());
    },
  },
  lend: {
    weight: 2,
    isMissing: needs('lend'),
    run(world, random) {
      const loan = startLoan(world, random);
      if (loan === undefined) return;
      const { handle, expected, end } = loan;
      const use = async (bytes: Uint8Array): Promise<number> => {
        intruder(world, 'lend', random)();
        if (!world.interrupted) await wait(1); // Node's timers do not take an interruption
        expectBytes(world, 'a loan', bytes, expected);
        return 5;
      };
      settleLater(world, `lend ${handle.reference.block.id}`, handle, () => newer(handle.slice).lend(use), end);
    },
  },
  writeTo: {
    weight: 2,
    isMissing: needs('writeTo'),
    run(world, random) {
      const loan = startLoan(world, random, ({ length }) => length > 0); // an empty one needs no stream, and no loan
      if (loan === undefined) return;
      const { handle, expected, end } = loan;
      const chunks: Buffer[] = [];
      const writable = new Writable({
        highWaterMark: 1 + random(64),
        write(chunk: Buffer, _encoding, done) {
          intruder(world, 'writable', random)();
          const end = (): void => {
            chunks.push(Buffer.from(chunk));
            done();
          };
          if (world.interrupted) queueMicrotask(end);
          else setTimeout(end, random(2));
        },
      });
      settleLater(
        world,
        `writeTo ${handle.reference.block.id}`,
        handle,
        () =>
          newer(handle.slice)
            .writeTo(writable)
            .then(() => expectBytes(world, 'writeTo()', Buffer.concat(chunks), expected)),
        end,
      );
    },
  },
  asyncDispose: {
    weight: 1,
    isMissing: needs(Symbol.asyncDispose),
    run(world, random) {
      const handle = world.handle(random, ({ reference }) => reference.block.kind !== 'rented');
      if (handle === undefined) return;
      const alone = isAlone(handle);
      if (!alone) return; // it would wait for a lease that nobody ends
      world.giveBack(handle.reference);
      world.note('asyncDispose');
      world.pending.push(newer(handle.slice)[Symbol.asyncDispose]());
      if (!handle.slice.released) handle.slice.release();
      world.dropViews(handle.reference);
    },
  },
  copyOut: {
    weight: 4,
    run(world, random) {
      const handle = world.handle(random);
      if (handle === undefined) return;
      const expected = known(handle);
      const form = random(4);
      const { slice } = handle;
      const read = (): Uint8Array => {
        if (form === 0) return slice.copy();
        if (form === 1) return Buffer.from(slice.text(), 'utf8').subarray(0, 0);
        if (form === 2) return Uint8Array.of(slice.read('uint8_t'));
        return copyBytes(slice.address, slice.byteLength);
      };
      const { intrusions } = world;
      const result = world.call('copy out', [handle], read, ['ERR_CSLICE_RANGE']);
      if (!result.done || expected === undefined || form === 1 || world.intrusions > intrusions) return;
      expectBytes(world, 'a copy', result.value, form === 2 ? expected.subarray(0, 1) : expected);
    },
  },
  write: { weight: 6, isMissing: needsC, run: write },
  structs: {
    weight: 2,
    run(world, random) {
      const handle = world.handle(random);
      if (handle === undefined) return;
      const expected = known(handle);
      const result = world.call('structs', [handle], () => [...handle.slice.structs<number>('uint8_t')]);
      if (result.done && expected !== undefined)
        expectBytes(world, 'structs()', Uint8Array.from(result.value), expected);
    },
  },
  copy: {
    weight: 4,
    run(world, random) {
      const from = world.handle(random);
      const to = world.handle(random, (each) => known(each) !== undefined && each.reference.block.frozen === 0);
      if (from === undefined || to === undefined || from.reference.block === to.reference.block) return;
      const expected = known(from);
      const { block } = to.reference;
      const view = random(2) === 0;
      block.busy++;
      const targets = [from, to];
      const result = world.call('copy', targets, () => copy(to.slice, view ? from.slice.bytes : from.slice), [
        'ERR_CSLICE_RANGE',
      ]);
      if (result.done && expected !== undefined) block.bytes.set(expected, to.start);
      else if (result.done) world.stamp(to, 1);
      block.busy--;
    },
  },
  concat: {
    weight: 4,
    run(world, random) {
      const parts: (Slice | ArrayBuffer)[] = [];
      const expected: Uint8Array[] = [];
      const targets: object[] = [];
      for (let n = random(5); n > 0; n--) {
        const handle = world.handle(random);
        const bytes = handle === undefined ? undefined : known(handle);
        if (handle !== undefined && bytes !== undefined) {
          parts.push(handle.slice);
          expected.push(bytes);
          targets.push(handle);
        } else {
          const source = sourceOf(world, random);
          parts.push(source.buffer as ArrayBuffer);
          expected.push(new Uint8Array(source.buffer).slice());
          targets.push(source);
        }
      }
      const list = world.does('hostile list') ? listOf(parts, random, intruder(world, 'list', random)) : parts;
      const { intrusions } = world;
      const lengths = expected.reduce((sum, { byteLength }) => sum + byteLength, 0);
      const result = world.call(`concat ${parts.length}`, targets, () => Slices.concat(list), ['ERR_CSLICE_TYPE']);
      if (!result.done) world.vague += 1; // the new block waits for its collection
      ifDone(result, (slice) => {
        // Others may have resized a part meanwhile. What was released must not be missing.
        const isSame = parts.every(({ byteLength }, i) => byteLength === expected[i]?.byteLength);
        if (isSame && slice.byteLength !== lengths)
          throw world.broken(`concat() gave ${slice.byteLength} bytes, not ${lengths}`);
        if (world.intrusions === intrusions) expectBytes(world, 'concat()', slice.copy(), Buffer.concat(expected));
        world.own('alloc', slice);
      });
    },
  },
  newArena: {
    weight: 1,
    run(world, random) {
      if (world.arenas.length > 4) return;
      const parent = random(3) === 0 ? world.one(world.arenas, random) : undefined;
      const settings = options(world, random, { slabBytes: 64 + random(2000) });
      const make = (): InstanceType<typeof Arena> =>
        parent === undefined ? new Arena(settings) : parent.arena.arena(settings);
      const result = world.call('an arena', parent === undefined ? [] : [parent], make);
      if (!result.done) return;
      world.arenas.push({ arena: result.value, views: [], parent });
    },
  },
  arenaAlloc: {
    weight: 8,
    run(world, random) {
      const state = world.one(world.arenas, random);
      if (state === undefined || world.full) return;
      const { arena, views } = state;
      const byteLength = random(300);
      const alignment = 2 ** random(6);
      world.vague += 1;
      const settings = options(world, random, { alignment });
      const forms: (() => Uint8Array)[] = [
        () => arena.alloc(byteLength),
        () => arena.alloc(byteLength, settings),
        () => arena.array(viewClass(random, intruder(world, 'view class', random)), byteLength),
        () => arena.string('arena'),
      ];
      const result = world.call('arena', [state], pick(forms, random) as () => Uint8Array, ['ERR_CSLICE_RELEASED']);
      if (!result.done || arena.released) return;
      const view = result.value;
      if (view.byteLength === 0) return;
      const address = arena.address(view);
      const reference = world.addBlock('arena', address, view.byteLength);
      reference.block.bytes.fill(reference.block.id);
      view.fill(reference.block.id);
      views.push(reference);
      world.addView(view, reference, 0);
    },
  },
  endArena: {
    weight: 1,
    run(world, random) {
      const state = world.one(world.arenas, random);
      if (state === undefined) return;
      const ended = world.arenas.filter((each) => {
        for (let at: typeof each | undefined = each; at !== undefined; at = at.parent) if (at === state) return true;
        return false;
      });
      for (const each of ended) {
        for (const reference of each.views) world.giveBack(reference);
        world.drop(world.arenas, each);
      }
      world.call('release an arena', [], () => state.arena.release());
      for (const each of ended) for (const reference of each.views) world.dropViews(reference);
    },
  },
  newPool: {
    weight: 1,
    run(world, random) {
      if (world.pools.length > 2) return;
      const capacity = 1 + random(4);
      const members = { byteLength: sizeOf(random), capacity, warmUp: random(capacity) };
      world.vague += 50; // blocks that it has discarded and that others hold count too
      const result = world.call('a pool', [], () => new Pool(options(world, random, members) as typeof members));
      if (result.done) world.pools.push({ pool: result.value, capacity });
    },
  },
  rent: {
    weight: 6,
    run(world, random) {
      const state = world.one(world.pools, random);
      if (state === undefined || world.full) return;
      world.vague += 1;
      const causes = ['ERR_CSLICE_LIMIT', 'ERR_CSLICE_EXHAUSTED', 'ERR_CSLICE_RELEASED'];
      ifDone(
        world.call('rent', [state], () => state.pool.rent(), causes),
        (slice) => {
          world.own('rented', slice);
        },
      );
    },
  },
  endPool: {
    weight: 1,
    run(world, random) {
      const state = world.one(world.pools, random);
      if (state === undefined || random(3) > 0) return;
      world.drop(world.pools, state);
      world.call('release a pool', [], () => state.pool.release());
    },
  },
  newWriter: {
    weight: 1,
    run(world, random) {
      if (world.writers.length > 2) return;
      world.vague += 1;
      const settings = options(world, random, { byteLength: 1 + random(64) });
      const result = world.call('a writer', [], () => new SliceWriter(settings));
      if (result.done) world.writers.push({ writer: result.value, written: [] });
    },
  },
  writeWriter: {
    weight: 4,
    run(world, random) {
      const state = world.one(world.writers, random);
      if (state === undefined || state.written.length > 2000) return;
      const source = sourceOf(world, random);
      const { byteLength } = source.buffer;
      const { intrusions } = world;
      const result = world.call(
        'write to a writer',
        [state, source],
        () => state.writer.write(source.buffer as ArrayBuffer),
        ['ERR_CSLICE_RELEASED', 'ERR_CSLICE_TYPE'],
      );
      if (!result.done) return;
      if (world.intrusions > intrusions)
        world.drop(world.writers, state); // others may have written meanwhile
      else for (let i = 0; i < byteLength; i++) state.written.push(source.byte);
    },
  },
  finishWriter: {
    weight: 1,
    run(world, random) {
      const state = world.one(world.writers, random);
      if (state === undefined) return;
      const { intrusions } = world;
      const result = world.call('finish a writer', [state], () => state.writer.finish(), ['ERR_CSLICE_RELEASED']);
      if (!result.done) return;
      world.drop(world.writers, state);
      const expected = Uint8Array.from(state.written);
      if (world.intrusions === intrusions) expectBytes(world, 'a writer', result.value.copy(), expected);
      world.own('alloc', result.value);
    },
  },
  readable: {
    weight: 2,
    run(world, random) {
      const handle = world.handle(random, (each) => {
        const { kind, busy } = each.reference.block;
        return kind !== 'rented' && busy === 0 && known(each) !== undefined && each.length > 0;
      });
      if (handle === undefined) return;
      const { slice } = handle;
      const chunkBytes = 1 + random(64);
      const settings = options(world, random, { chunkBytes });
      const { reference } = handle;
      const { mayBeTaken } = reference; // this may run inside another call of it
      reference.mayBeTaken = true;
      const result = world.call('readable', [handle], () => readable(slice, settings));
      if (!result.done) {
        reference.mayBeTaken = mayBeTaken;
        return;
      }
      takeOver(world, handle, result.value);
    },
  },
  callAsync: {
    weight: 2,
    isMissing: needsC,
    run(world, random) {
      const { native } = world;
      const handle = world.handle(random, ({ reference }) => reference.block.busy === 0 && !reference.mayBeTaken);
      if (handle === undefined || native === undefined || handle.length === 0) return;
      const { slice, reference } = handle;
      const { block } = reference;
      const argument = random(2) === 0 ? slice : slice.bytes;
      const own = world.refer(block, true);
      block.frozen++;
      settleLater(
        world,
        `callAsync on ${block.kind} ${block.id}`,
        handle,
        async () => {
          const changed = await callAsync(native.watch, argument, slice.byteLength, random(2000));
          if (changed === 1)
            throw world.broken(`memory of ${block.kind} ${block.id} changed under a call in the background`);
        },
        () => {
          block.frozen--;
          world.giveBack(own);
        },
      );
    },
  },
  callback: {
    weight: 2,
    isMissing: (world) => needsC(world) || world.interrupted,
    run(world, random) {
      const handle = world.handle(random, ({ reference }) => reference.block.busy === 0);
      const { native } = world;
      if (handle === undefined || native === undefined || handle.length < 2) return;
      const { block } = handle.reference;
      const leased = world.call(`lease ${block.id} for C`, [handle], () => handle.slice.lease());
      if (!leased.done) return;
      const own = world.refer(block);
      const height = world.targets.length;
      world.targets.push(handle);
      try {
        native.search(leased.value.address, handle.length, intruder(world, 'callback', random));
      } catch (error) {
        if (!isOverflow(error)) throw error; // koffi's own stack for a call back is short
      }
      world.targets.length = height;
      world.giveBack(own);
      leased.value.release();
    },
  },
  forget: {
    weight: 4,
    isMissing: needsC,
    run(world, random) {
      if (world.depth > 0) return; // a frame of an operation under way holds it
      const handle = world.handle(
        random,
        ({ reference }) => reference.block.kind !== 'rented' && reference.block.kind !== 'region',
      );
      if (handle === undefined) return;
      world.note(`forget ${handle.reference.block.id}`);
      world.forget(handle.reference);
      world.drop(world.handles, handle);
    },
  },
  forgetView: {
    weight: 4,
    run(world, random) {
      if (world.depth > 0) return;
      const view = pick(world.views, random);
      if (view === undefined) return;
      world.forget(view.reference);
      world.drop(world.views, view);
    },
  },
  pressure: {
    weight: 1,
    run(world, random) {
      if (world.depth > 0) return;
      for (let i = 0; i < 10; i++) {
        world.vague += 1;
        world.call('much memory', [], () => Slices.alloc(1 << 20, { zero: false }));
      }
      collect();
      operateOn(world, random, ['subslice', 'lease', 'adoptCallback', 'pin', 'toBuffer', ...makers]); // which find the dead
    },
  },
  squeeze: {
    weight: 2,
    run(world, random) {
      if (world.squeezed) return;
      const { liveBytes } = subject.stats();
      world.squeezed = true;
      world.call('squeeze', [], () => configure(options(world, random, { limitBytes: liveBytes + 1 + random(200) })));
      try {
        for (let n = 1 + random(3); n > 0; n--) operateOn(world, random, makers);
      } finally {
        configure({ limitBytes: 0 });
        world.squeezed = false;
      }
    },
  },
  pretend: {
    weight: 3,
    run(world, random) {
      const handle = world.handle(random);
      if (handle === undefined) return;
      const { slice } = handle;
      const odd = pretender(random, random(8), intruder(world, 'primitive', random)) as never;
      const uses: (() => unknown)[] = [
        () => Slices.alloc(odd),
        () => slice.subslice(odd),
        () => slice.resize(odd),
        () => slice.copy(odd),
        () => slice.view(Uint8Array, odd),
        () => slice.write('uint8_t', 0, odd),
        () => slice.read('uint8_t', odd),
        () => Slices.fromString(odd),
        () => copy(slice, slice, odd),
      ];
      const result = world.call('pretend', [handle], pick(uses, random) as () => unknown, [
        'ERR_CSLICE_TYPE',
        'ERR_CSLICE_RANGE',
        'ERR_CSLICE_RELEASED',
      ]);
      if (result.done) throw world.broken('an object passed for a number');
    },
  },
  reuse: {
    weight: 1,
    run(world, random) {
      const reuseBytes = [0, 1000, 4 << 20, 4 << 20][random(4)] as number;
      world.call('configure', [], () => configure(options(world, random, { reuseBytes })));
    },
  },
  collect: {
    weight: 1,
    run(world) {
      world.note('collect');
      collect();
    },
  },
};

/** Notes that a handle's memory is lent, whose bytes are known and which nothing else uses. `end` takes that back. */
function startLoan(world: World, random: Random, fits: (handle: Handle) => boolean = () => true) {
  const isIdle = ({ reference: { block } }: Handle): boolean => block.busy + block.frozen === 0;
  const handle = world.handle(random, (each) => isIdle(each) && fits(each));
  const expected = handle === undefined ? undefined : known(handle);
  if (handle === undefined || expected === undefined) return undefined;
  const { reference } = handle;
  const { block } = reference;
  const own = world.refer(block, true);
  block.frozen++;
  reference.loans++;
  const end = (): void => {
    block.frozen--;
    reference.loans--;
    world.giveBack(own);
  };
  return { handle, expected, end };
}

/** A promise of the package's: it may fail for a cause only, and `end` is called in any case. */
function settleLater(world: World, name: string, handle: Handle, start: () => Promise<unknown>, end: () => void): void {
  const { intrusions } = world;
  world.strong++;
  const result = world.call(name, [handle], start, ['ERR_CSLICE_LIMIT']);
  world.strong--;
  if (!result.done) {
    end();
    return;
  }
  const settled = result.value.then(end, (error: unknown) => {
    if (world.interrupted && isOverflow(error)) world.note('an overflow');
    else if (!(error instanceof subject.CSliceError)) world.broken(`${name} rejected with ${String(error)}`);
    else if (world.intrusions === intrusions && !world.squeezed && handle.reference.state === 'held') {
      world.broken(`${name} rejected without a cause: ${error.message}`);
    }
    end();
  });
  world.pending.push(settled);
}

const all = Object.entries(table);

/** What makes memory, so that it looks for dead blocks first. */
const makers: readonly string[] = [
  'alloc',
  'resize',
  'arenaAlloc',
  'fromBytes',
  'concat',
  'rent',
  'writeWriter',
  'finishWriter',
  'newPool',
  'readable',
];

/** What pulls the ground from under an operation. */
const saboteurs: readonly string[] = [
  'release',
  'release',
  'release',
  'resize',
  'endHold',
  'arenaAlloc',
  'endArena',
  'finishWriter',
  'writeWriter',
  'endSource',
  'rent',
  'endPool',
  'alloc',
  'disown',
];

function operateOn(world: World, random: Random, names: readonly string[]): void {
  const name = pick(names, random) as string;
  const operation = table[name];
  if (operation === undefined || !world.does(name) || operation.isMissing?.(world)) return;
  operation.run(world, random);
}

/** The operation of a world: a random one of those that it can do. */
export function operate(world: World, random: Random): void {
  let total = 0;
  for (const [, { weight }] of all) total += weight;
  if (world.depth > 0 && world.targets.length > 0 && random(2) === 0) {
    operateOn(world, random, saboteurs);
    return;
  }
  for (let tries = 0; tries < 5; tries++) {
    let at = random(total);
    const chosen = all.find(([, { weight }]) => {
      at -= weight;
      return at < 0;
    });
    if (chosen === undefined) return;
    const [name, operation] = chosen;
    if (!world.does(name) || operation.isMissing?.(world)) continue;
    if (world.full && /^(alloc|adopt|from|concat|sub)/.test(name)) continue;
    operation.run(world, random);
    return;
  }
}
