import { expect } from 'chai';
import fc from 'fast-check';
import { Pool, Slice, stats } from '../../lib/index.ts';
import { free, malloc } from '../helpers/blocks.ts';
import { collectUntil } from '../helpers/collect.ts';

/** What a command does to the holders of one block. `pick` chooses among what there is. */
type Command = 'subslice' | 'lease' | 'share' | 'attach' | 'buffer' | 'move' | 'release' | 'forget';

const commands = fc.array(
  fc.tuple(
    fc.constantFrom<Command>(
      'subslice',
      'subslice',
      'lease',
      'share',
      'attach',
      'buffer',
      'move',
      'release',
      'release',
      'forget',
    ),
    fc.nat(1000),
  ),
  { maxLength: 40 },
);

interface Holder {
  release(): void;
  readonly released: boolean;
}

function pickFrom<T>(items: readonly T[], pick: number): T | undefined {
  return items[pick % Math.max(1, items.length)];
}

/** One block, and all that holds it. */
class Held {
  ended = 0;
  readonly #slices: Slice[];
  readonly #holders: Holder[];
  /** They hold the block until their collection. */
  readonly #buffers: (ArrayBufferLike | Buffer)[] = [];
  /** Some buffer was made, so the end of the block may wait for a collection. */
  needsCollection = false;

  constructor() {
    const slice = Slice.adopt(malloc(64), 64, (address) => {
      this.ended++;
      free(address);
    });
    this.#slices = [slice];
    this.#holders = [slice];
  }

  get isHeld(): boolean {
    return this.#buffers.length > 0 || this.#holders.some(({ released }) => !released);
  }

  do(command: Command, pick: number): void {
    const slice = pickFrom(
      this.#slices.filter(({ released }) => !released),
      pick,
    );
    if (command === 'release') pickFrom(this.#holders, pick)?.release();
    else if (command === 'forget') this.#buffers.splice(pick % Math.max(1, this.#buffers.length), 1);
    else if (command === 'attach') this.#attach(pick);
    else if (slice !== undefined) this.#hold(slice, command, pick);
  }

  #attach(pick: number): void {
    const shared = pickFrom(
      this.#buffers.filter((buffer) => buffer instanceof SharedArrayBuffer),
      pick,
    );
    if (shared === undefined) return;
    const attached = Slice.attach(shared);
    if (attached.byteLength > 0) this.#add(attached);
  }

  #add(slice: Slice): void {
    this.#slices.push(slice);
    this.#holders.push(slice);
  }

  #hold(slice: Slice, command: Command, pick: number): void {
    if (command === 'subslice') this.#add(slice.subslice(pick % (slice.byteLength + 1)));
    else if (command === 'lease') this.#holders.push(slice.lease());
    else this.#makeBuffer(slice, command);
  }

  #makeBuffer(slice: Slice, command: Command): void {
    this.needsCollection = true;
    if (command === 'share') this.#buffers.push(slice.toSharedBuffer());
    else if (command === 'buffer') this.#buffers.push(slice.toBuffer());
    else {
      this.#buffers.push(structuredClone(slice.buffer, { transfer: [slice.buffer] }));
      expect(slice.released).to.equal(true);
    }
  }

  end(): void {
    for (const holder of this.#holders) holder.release();
    this.#buffers.length = 0;
  }
}

describe('properties of the holders of a block', function () {
  this.timeout(120_000);

  it('whatever holds it and in whatever order they end, its destructor runs once, and not before the last', async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (steps) => {
        const { liveBlocks } = stats();
        const held = new Held();
        for (const [command, pick] of steps) {
          held.do(command, pick);
          if (!held.isHeld) break;
          expect(held.ended).to.equal(0);
        }
        held.end();
        if (held.needsCollection) await collectUntil(() => held.ended > 0, 'the block has ended');
        expect(held.ended).to.equal(1);
        expect(stats().liveBlocks).to.equal(liveBlocks);
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it('a pool never has more blocks than its capacity, lends none twice, and counts every rent', () => {
    const step = fc.tuple(fc.constantFrom('rent', 'rent', 'return', 'return', 'hold'), fc.nat(1000));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 60 }), (capacity, steps) => {
        const before = stats().liveBlocks;
        const pool = new Pool({ byteLength: 32, capacity });
        const rented: Slice[] = [];
        const parts: Slice[] = [];
        let rents = 0;
        for (const [command, pick] of steps) {
          if (command === 'rent') {
            try {
              rented.push(pool.rent());
              rents++;
            } catch (error) {
              expect(error).to.have.property('code', 'ERR_CSLICE_EXHAUSTED');
              expect(rented.length).to.equal(capacity);
            }
          } else if (command === 'return' && rented.length > 0) {
            rented.splice(pick % rented.length, 1)[0]?.release();
          } else if (command === 'hold') {
            const slice = pickFrom(rented, pick);
            if (slice !== undefined) parts.push(slice.subslice(pick % 32));
          }
          const addresses = rented.map(({ address }) => address);
          expect(new Set(addresses).size).to.equal(addresses.length);
          const { hits, misses, idle, blocks } = pool.stats();
          expect(blocks).to.equal(idle + rented.length);
          expect(blocks <= capacity).to.equal(true);
          expect(hits + misses).to.equal(rents);
        }
        pool.release();
        for (const slice of [...rented, ...parts]) slice.release();
        expect(pool.stats().blocks).to.equal(0);
        expect(stats().liveBlocks).to.equal(before);
      }),
      { seed: 5, numRuns: 200 },
    );
  });
});
