import { expect } from 'chai';
import fc from 'fast-check';
import { Arena, Slice, stats } from '../../lib/index.ts';

interface Taken {
  from: bigint;
  to: bigint;
  bytes: Uint8Array;
}

type Step =
  | { kind: 'alloc'; byteLength: number; alignment: number }
  | { kind: 'array'; type: typeof Float64Array | typeof Int16Array; length: number }
  | { kind: 'string'; text: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('alloc' as const),
    byteLength: fc.oneof(fc.nat(40), fc.nat(400), fc.nat(5000)),
    alignment: fc.nat(12).map((power) => 2 ** power),
  }),
  fc.record({
    kind: fc.constant('array' as const),
    type: fc.constantFrom(Float64Array, Int16Array),
    length: fc.nat(100),
  }),
  fc.record({
    kind: fc.constant('string' as const),
    text: fc.string({ maxLength: 60 }).filter((text) => !text.includes('\0')),
  }),
);

function take(arena: Arena, each: Step): { view: ArrayBufferView; alignment: number } {
  switch (each.kind) {
    case 'alloc':
      return { view: arena.alloc(each.byteLength, { alignment: each.alignment }), alignment: each.alignment };
    case 'array':
      return { view: arena.array<ArrayBufferView>(each.type, each.length), alignment: each.type.BYTES_PER_ELEMENT };
    default:
      return { view: arena.string(each.text), alignment: 1 };
  }
}

describe('properties of an arena', () => {
  it('its views never overlap, are aligned and zeroed, keep their bytes, and all die with it', async () => {
    fc.assert(
      fc.property(fc.integer({ min: 64, max: 8192 }), fc.array(step, { maxLength: 60 }), (slabBytes, steps) => {
        const before = stats();
        const arena = new Arena({ slabBytes });
        const taken: Taken[] = [];
        steps.forEach((each, i) => {
          const { view, alignment } = take(arena, each);
          const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
          const from = arena.address(view);
          expect(from % BigInt(alignment)).to.equal(0n);
          if (each.kind === 'string') expect(Buffer.from(bytes).toString()).to.equal(`${each.text}\0`);
          else expect(bytes.every((byte) => byte === 0)).to.equal(true);
          bytes.fill(i + 1);
          taken.push({ from, to: from + BigInt(view.byteLength), bytes });
        });
        taken.forEach(({ bytes }, i) => {
          expect(bytes.every((byte) => byte === ((i + 1) & 255))).to.equal(true);
        });
        const inOrder = taken.filter(({ from, to }) => to > from).sort((a, b) => (a.from < b.from ? -1 : 1));
        for (let i = 1; i < inOrder.length; i++) {
          expect((inOrder[i - 1] as Taken).to <= (inOrder[i] as Taken).from).to.equal(true);
        }
        arena.release();
        for (const { bytes } of taken) expect(bytes.byteLength).to.equal(0);
        const after = stats();
        expect(after.liveBlocks).to.equal(before.liveBlocks);
        expect(after.releasedByScope - before.releasedByScope).to.equal(after.allocatedBlocks - before.allocatedBlocks);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('a slice keeps its bytes and gains zeros through any resizes, as a plain array would', () => {
    const sizes = fc.array(fc.oneof(fc.nat(64), fc.nat(5000), fc.nat(200_000)), { maxLength: 12 });
    fc.assert(
      fc.property(fc.nat(100), fc.constantFrom(16, 64, 4096), sizes, (first, alignment, lengths) => {
        using slice = Slice.alloc(first, { alignment });
        let model = new Uint8Array(first);
        lengths.forEach((byteLength, i) => {
          slice.bytes.fill(i + 1);
          model.fill(i + 1);
          const { bytes } = slice;
          slice.resize(byteLength);
          const grown = new Uint8Array(byteLength);
          grown.set(model.subarray(0, byteLength));
          model = grown;
          expect(bytes.byteLength).to.equal(0);
          expect(slice.address % BigInt(alignment)).to.equal(0n);
          expect(Buffer.compare(slice.bytes, model)).to.equal(0);
        });
      }),
      { seed: 2, numRuns: 100 },
    );
  });
});
