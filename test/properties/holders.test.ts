import { expect } from 'chai';
import fc from 'fast-check';
import { Pool, type SharedSlice, Slice, stats } from '../../lib/index.ts';
import { free, malloc } from '../support/blocks.ts';

/** What a command does to the holders of one block. `pick` chooses among what there is. */
type Command = 'subslice' | 'lease' | 'share' | 'attach' | 'release' | 'end';

const commands = fc.array(
  fc.tuple(
    fc.constantFrom<Command>('subslice', 'subslice', 'lease', 'share', 'attach', 'release', 'release', 'end'),
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

describe('properties of the holders of a block', () => {
  it('whatever holds it and in whatever order they end, its destructor runs once, and not before the last', () => {
    fc.assert(
      fc.property(commands, (steps) => {
        const before = stats();
        let ended = 0;
        const slices: Slice[] = [
          Slice.adopt(malloc(64), 64, (address) => {
            ended++;
            free(address);
          }),
        ];
        const holders: Holder[] = [...slices];
        const shares: SharedSlice[] = [];
        for (const [command, pick] of steps) {
          const slice = pickFrom(
            slices.filter(({ released }) => !released),
            pick,
          );
          const shared = pickFrom(shares, pick);
          if (command === 'subslice' && slice !== undefined) {
            const part = slice.subslice(pick % (slice.byteLength + 1));
            slices.push(part);
            holders.push(part);
          } else if (command === 'lease' && slice !== undefined) {
            holders.push(slice.lease());
          } else if (command === 'share' && slice !== undefined) {
            shares.push(slice.share({ attachments: 0 })); // ends with its slice
          } else if (command === 'attach' && shared !== undefined) {
            try {
              const attached = Slice.attach(shared);
              slices.push(attached);
              holders.push(attached);
            } catch (error) {
              expect(error).to.have.property('code', 'ERR_CSLICE_SHARED');
            }
          } else if (command === 'release' || command === 'end') {
            pickFrom(holders, pick)?.release();
          }
          const held = holders.some(({ released }) => !released);
          expect(ended).to.equal(held ? 0 : 1);
          if (!held) break;
        }
        for (const holder of holders) holder.release();
        expect(ended).to.equal(1);
        for (const shared of shares) expect(() => Slice.attach(shared)).to.throw(/stale/);
        expect(stats().liveBlocks).to.equal(before.liveBlocks);
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
              expect(error).to.have.property('code', 'ERR_CSLICE_LIMIT');
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
