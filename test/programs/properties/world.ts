/**
 * Slices and what is made of them, beside a model of what must be true of them. The model knows every reference to a
 * block as one of three: alive, ended by hand, or forgotten, which a collection may end at any time, and must end when it is asked
 * to. So a block is live for sure, ended for sure, or either.
 */
import { deepStrictEqual, strictEqual as equal, ok } from 'node:assert';
import { type Lease, pin, Slice, type Stats, stats } from '../../../lib/index.ts';
import { free } from '../../helpers/blocks.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { type Native, nativeBytes } from './native.ts';

type Kind = 'alloc' | 'native' | 'callback';

interface Block {
  readonly kind: Kind;
  /** Of the destructor that counts. */
  readonly name: number;
  readonly address: bigint;
  /** What the memory must hold. */
  readonly bytes: Uint8Array;
  readonly references: Set<Reference>;
  disowned: boolean;
}

/** One reference in C, held by a handle together with its views, by a lease or by a pin. */
interface Reference {
  readonly block: Block;
  /** How many objects that the world holds lead to it: none means that it is forgotten. */
  holders: number;
  ended: boolean;
}

interface Handle {
  slice: Slice;
  readonly reference: Reference;
  readonly start: number;
  readonly length: number;
}

interface View {
  view: ArrayBufferView;
  readonly reference: Reference;
  /** Within the block. */
  readonly start: number;
  readonly length: number;
}

interface Hold {
  hold: Lease;
  readonly reference: Reference;
}

/** Four numbers from 0 to below 1: what to do, to which, and how. */
export type Operation = readonly [what: number, which: number, first: number, second: number];

function pick<T>(list: readonly T[], at: number): T | undefined {
  return list[Math.floor(at * list.length)];
}

function within(at: number, most: number): number {
  return Math.floor(at * (most + 1));
}

function lengthOf(view: ArrayBufferView): number {
  try {
    return view.byteLength;
  } catch {
    return 0; // of a detached DataView
  }
}

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return undefined;
}

/** A function of the module, so that no frame of the world's keeps the slice. */
function makeView(slice: Slice, kind: number, start: number, length: number): ArrayBufferView {
  switch (kind) {
    case 0:
      return slice.bytes;
    case 1:
      return slice.view(Uint8Array, start, length);
    case 2:
      return slice.view(DataView, start, length);
    case 3:
      return Buffer.from(slice.buffer, start, length);
    default:
      return new Uint8Array(slice.buffer, start, length);
  }
}

const viewKinds = 5;

function subview(view: ArrayBufferView, start: number, end: number): ArrayBufferView {
  if (view instanceof Uint8Array) return view.subarray(start, end);
  return new DataView(view.buffer, view.byteOffset + start, end - start);
}

let lastName = 0;

export class World {
  readonly #native: Native;
  readonly #callbackEndings = new Map<number, number>();
  readonly #blocks: Block[] = [];
  readonly #handles: Handle[] = [];
  readonly #views: View[] = [];
  readonly #leases: Hold[] = [];
  readonly #pins: Hold[] = [];
  readonly #before: Stats;
  #made = 0;
  #disowned = 0;

  constructor(native: Native) {
    this.#native = native;
    this.#before = stats();
  }

  /** Does one thing to a world that has something to do it to, and checks everything. */
  async step([what, which, first, second]: Operation): Promise<void> {
    const actions = this.#actions();
    const action = pick(actions, what);
    await action?.(which, first, second);
    this.check();
  }

  /** As often in the list as it is to be likely. */
  #actions(): ((which: number, first: number, second: number) => void | Promise<void>)[] {
    return [
      this.#alloc,
      this.#alloc,
      this.#adoptNative,
      this.#adoptCallback,
      this.#subslice,
      this.#subslice,
      this.#view,
      this.#view,
      this.#view,
      this.#subview,
      this.#write,
      this.#write,
      this.#lease,
      this.#pin,
      this.#endLease,
      this.#endPin,
      this.#release,
      this.#release,
      this.#disown,
      this.#forgetHandle,
      this.#forgetHandle,
      this.#forgetView,
      this.#forgetView,
      this.#forgetLease,
      this.#useReleased,
      this.#collectSometimes,
    ];
  }

  #addBlock(kind: Kind, byteLength: number, name: number, slice: Slice): void {
    const { address } = slice;
    const bytes = new Uint8Array(byteLength);
    const block: Block = { kind, name, address, bytes, references: new Set(), disowned: false };
    this.#blocks.push(block);
    this.#made++;
    const reference = this.#refer(block);
    this.#handles.push({ slice, reference, start: 0, length: byteLength });
  }

  #refer(block: Block): Reference {
    const reference: Reference = { block, holders: 1, ended: false };
    block.references.add(reference);
    return reference;
  }

  readonly #alloc = (_: number, first: number, second: number): void => {
    const small = second > 0.5 ? within(first, 64) : 8; // one size often enough that released blocks serve again
    const byteLength = second > 0.9 ? within(first, 1 << 20) : small;
    this.#addBlock('alloc', byteLength, ++lastName, Slice.alloc(byteLength));
  };

  readonly #adoptNative = (which: number, first: number): void => {
    const name = ++lastName;
    const byteLength = within(first, nativeBytes);
    this.#native.reset(name);
    const release = pick(this.#native.destructors, which);
    if (release === undefined) return;
    const slice = Slice.adopt(this.#native.memory(name), byteLength, release);
    slice.bytes.fill(0);
    this.#addBlock('native', byteLength, name, slice);
  };

  readonly #adoptCallback = (_: number, first: number): void => {
    const name = ++lastName;
    const byteLength = within(first, nativeBytes);
    const endings = this.#callbackEndings;
    endings.set(name, 0);
    const slice = Slice.adopt(this.#native.memory(name), byteLength, () => {
      endings.set(name, (endings.get(name) ?? 0) + 1);
    });
    slice.bytes.fill(0);
    this.#addBlock('callback', byteLength, name, slice);
  };

  #live(which: number): Handle | undefined {
    return pick(
      this.#handles.filter(({ reference }) => !reference.ended),
      which,
    );
  }

  readonly #subslice = (which: number, first: number, second: number): void => {
    const handle = this.#live(which);
    if (handle === undefined) return;
    const from = within(first, handle.length);
    const to = from + within(second, handle.length - from);
    const slice = handle.slice.subslice(from, to);
    equal(slice.byteLength, to - from);
    const reference = this.#refer(handle.reference.block);
    this.#handles.push({ slice, reference, start: handle.start + from, length: to - from });
  };

  readonly #view = (which: number, first: number, second: number): void => {
    const handle = this.#live(which);
    if (handle === undefined) return;
    const kind = within(second, viewKinds - 1) % viewKinds;
    const start = kind === 0 ? 0 : within(first, handle.length);
    const length = handle.length - start;
    const view = makeView(handle.slice, kind, start, length);
    handle.reference.holders++;
    this.#views.push({ view, reference: handle.reference, start: handle.start + start, length });
  };

  readonly #subview = (which: number, first: number, second: number): void => {
    const parent = pick(this.#views, which);
    if (parent === undefined || parent.reference.ended) return;
    const from = within(first, parent.length);
    const to = from + within(second, parent.length - from);
    const view = subview(parent.view, from, to);
    parent.reference.holders++;
    this.#views.push({ view, reference: parent.reference, start: parent.start + from, length: to - from });
  };

  readonly #write = (which: number, first: number, second: number): void => {
    const handle = this.#live(which);
    if (handle === undefined || handle.length === 0) return;
    const at = Math.min(within(first, handle.length), handle.length - 1);
    const value = within(second, 255) & 255;
    handle.slice.write('uint8_t', at, value);
    handle.reference.block.bytes[handle.start + at] = value;
  };

  readonly #lease = (which: number): void => {
    const handle = this.#live(which);
    if (handle === undefined) return;
    this.#leases.push({ hold: handle.slice.lease(), reference: this.#refer(handle.reference.block) });
  };

  readonly #pin = (which: number): void => {
    const view = pick(this.#views, which);
    if (view === undefined || view.reference.ended) return;
    this.#pins.push({ hold: pin(view.view), reference: this.#refer(view.reference.block) });
  };

  readonly #endLease = (which: number): void => this.#endHold(this.#leases, which);

  readonly #endPin = (which: number): void => this.#endHold(this.#pins, which);

  #endHold(holds: Hold[], which: number): void {
    const at = Math.floor(which * holds.length);
    const [ended] = holds.splice(at, 1);
    if (ended === undefined) return;
    ended.hold.release();
    ended.hold.release();
    equal(
      codeOf(() => ended.hold.address),
      'ERR_CSLICE_RELEASED',
    );
    this.#end(ended.reference);
  }

  #end(reference: Reference): void {
    reference.ended = true;
    reference.block.references.delete(reference);
  }

  readonly #release = (which: number): void => {
    const handle = this.#live(which);
    if (handle === undefined) return;
    handle.slice.release();
    equal(handle.slice.released, true);
    this.#end(handle.reference);
  };

  readonly #disown = (which: number): void => {
    const handle = this.#live(which);
    if (handle === undefined) return;
    const { block } = handle.reference;
    const others = [...block.references].filter((reference) => reference !== handle.reference);
    const sure = others.some(({ holders }) => holders > 0);
    let address = 0n;
    const code = codeOf(() => {
      address = handle.slice.disown();
    });
    const isWhole = handle.start === 0 && handle.length === block.bytes.byteLength;
    if (sure) equal(code, 'ERR_CSLICE_STATE');
    else if (others.length === 0 && isWhole) equal(code, undefined);
    if (code !== undefined) {
      equal(code, 'ERR_CSLICE_STATE');
      return;
    }
    equal(address, block.address, 'what C is to free is the block, not the part of it that a subslice sees');
    if (block.kind === 'alloc') free(address);
    for (const reference of [handle.reference, ...others]) this.#end(reference);
    block.disowned = true;
    this.#disowned++;
  };

  readonly #forgetHandle = (which: number): void => {
    const [forgotten] = this.#handles.splice(Math.floor(which * this.#handles.length), 1);
    if (forgotten !== undefined) this.#forget(forgotten.reference);
  };

  readonly #forgetView = (which: number): void => {
    const [forgotten] = this.#views.splice(Math.floor(which * this.#views.length), 1);
    if (forgotten !== undefined) this.#forget(forgotten.reference);
  };

  readonly #forgetLease = (which: number): void => {
    const [forgotten] = this.#leases.splice(Math.floor(which * this.#leases.length), 1);
    if (forgotten !== undefined) this.#forget(forgotten.reference);
  };

  #forget(reference: Reference): void {
    reference.holders--;
  }

  readonly #useReleased = (which: number): void => {
    const handle = pick(
      this.#handles.filter(({ reference }) => reference.ended),
      which,
    );
    if (handle === undefined) return;
    for (const use of [
      () => handle.slice.bytes,
      () => handle.slice.address,
      () => handle.slice.lease(),
      () => handle.slice.subslice(),
      () => handle.slice.read('char'),
      () => handle.slice.copy(),
    ]) {
      equal(codeOf(use), 'ERR_CSLICE_RELEASED');
    }
    handle.slice.release();
  };

  readonly #collectSometimes = async (which: number, first: number): Promise<void> => {
    if (which < 0.3 && first < 0.9)
      globalThis.gc?.(); // in the job: the registry is told later
    else if (which < 0.6) await this.collect();
  };

  /** Every block that is forgotten must end, and no other. Whether a forgotten reference to a live one has cannot be seen. */
  async collect(): Promise<void> {
    const expected = this.#blocks.filter(isLive).length;
    const allHaveRun = () =>
      this.#blocks.every((block) => isLive(block) || block.disowned || this.#endingsOf(block) !== 0);
    await collectUntil(() => this.#liveBlocks() <= expected && allHaveRun(), `${expected} blocks are live, or fewer`);
    for (const block of this.#blocks) {
      if (!isLive(block)) for (const reference of block.references) this.#end(reference);
    }
    this.check();
  }

  #liveBlocks(): number {
    return stats().liveBlocks - this.#before.liveBlocks;
  }

  check(): void {
    for (const view of this.#views) this.#checkView(view);
    for (const { slice, reference, start, length } of this.#handles) {
      equal(slice.released, reference.ended);
      equal(slice.byteLength, length);
      if (!reference.ended && length <= 64) {
        deepStrictEqual(slice.copy(), reference.block.bytes.slice(start, start + length));
      }
    }
    this.#checkBlocks();
  }

  #checkView({ view, reference, start, length }: View): void {
    equal(lengthOf(view), reference.ended ? 0 : length);
    if (reference.ended || length > 64) return;
    const seen = new Uint8Array(view.buffer, view.byteOffset, length);
    deepStrictEqual(Buffer.from(seen), Buffer.from(reference.block.bytes.subarray(start, start + length)));
  }

  #checkBlocks(): void {
    let least = 0;
    let most = 0;
    for (const block of this.#blocks) {
      const endings = this.#endingsOf(block);
      if (isLive(block)) {
        least++;
        equal(endings ?? 0, 0, 'no destructor of a live block has run');
      }
      if (block.references.size > 0) most++;
      else if (block.disowned) equal(endings ?? 0, 0, 'no destructor of a disowned block runs');
      else equal(endings ?? 1, 1, 'the destructor of an ended block has run once');
      ok((endings ?? 0) <= 1, 'no destructor runs twice');
    }
    const now = stats();
    const live = now.liveBlocks - this.#before.liveBlocks;
    ok(live >= least && live <= most, `${live} live blocks, not ${least} to ${most}`);
    equal(now.allocatedBlocks - this.#before.allocatedBlocks, this.#made);
    equal(now.disownedBlocks - this.#before.disownedBlocks, this.#disowned);
    const { releasedByScope, releasedByCollection, releasedByThreadEnd, releasedByC, disownedBlocks } = now;
    const ended = releasedByScope + releasedByCollection + releasedByThreadEnd + releasedByC + disownedBlocks;
    equal(now.allocatedBlocks, now.liveBlocks + ended);
    equal(now.failedDestructors, this.#before.failedDestructors);
  }

  /** undefined: C's free(), which nobody counts. */
  #endingsOf({ kind, name }: Block): number | undefined {
    if (kind === 'alloc') return undefined;
    return kind === 'native' ? this.#native.ended(name) : this.#callbackEndings.get(name);
  }

  /** Forgets everything and collects: nothing may be left, and every destructor has run once. */
  async end(): Promise<void> {
    this.#forgetAll();
    await this.collect();
    equal(this.#liveBlocks(), 0);
    equal(stats().liveBytes, this.#before.liveBytes);
  }

  /** Not within end(): an async function keeps what its variables held for as long as it waits. */
  #forgetAll(): void {
    for (const { hold, reference } of this.#pins.splice(0)) {
      hold.release();
      this.#end(reference);
    }
    for (const { reference } of this.#handles.splice(0)) this.#forget(reference);
    for (const { reference } of this.#views.splice(0)) this.#forget(reference);
    for (const { reference } of this.#leases.splice(0)) this.#forget(reference);
  }
}

function isLive({ references }: Block): boolean {
  return [...references].some(({ holders }) => holders > 0);
}
