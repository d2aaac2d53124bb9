import { expect } from 'chai';
import fc from 'fast-check';
import koffi from 'koffi';
import { Slice } from '../../../lib/index.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';

interface Point {
  x: number;
  y: number;
  name: string;
}

const point = koffi.struct('StructsPoint', { x: 'int16_t', y: 'double', name: 'char[5]' });
const line = koffi.struct('StructsLine', { from: point, to: point, width: 'float' });
const size = koffi.sizeof(point);

function fill(slice: Slice, count: number): Point[] {
  const points = Array.from({ length: count }, (_, i) => ({ x: i - 3, y: i / 4, name: `p${i}` }));
  koffi.encode(slice.address, koffi.array(point, count), points);
  return points;
}

describe('slice.structs', () => {
  it('has as many elements as fit, and reads each as koffi does', () => {
    for (const extra of [0, 1, size - 1]) {
      using slice = Slice.alloc(10 * size + extra);
      const points = fill(slice, 10);
      const structs = slice.structs<Point>(point);
      expect(structs.length).to.equal(10);
      points.forEach((each, i) => {
        expect(structs.get(i)).to.deep.equal(each);
      });
    }
  });

  it('iterates over its elements in order, as often as asked', () => {
    using slice = Slice.alloc(5 * size);
    const points = fill(slice, 5);
    const structs = slice.structs<Point>('StructsPoint');
    expect([...structs]).to.deep.equal(points);
    expect(Array.from(structs, ({ x }) => x)).to.deep.equal([-3, -2, -1, 0, 1]);
    const [first, second] = structs;
    expect([first, second]).to.deep.equal(points.slice(0, 2));
  });

  it('writes in place what koffi reads, and keeps the members that the value lacks', () => {
    using slice = Slice.alloc(3 * size);
    fill(slice, 3);
    const structs = slice.structs<Point>(point);
    structs.set(1, { y: -0.5 });
    structs.set(2, { x: 9, y: 9, name: 'nine' });
    const decoded = koffi.decode(slice.address, koffi.array(point, 3)) as Point[];
    expect(decoded.map(({ x, y, name }) => [x, y, name])).to.deep.equal([
      [-3, 0, 'p0'],
      [-2, -0.5, 'p1'],
      [9, 9, 'nine'],
    ]);
    expect(structs.get(1)).to.deep.equal({ x: -2, y: -0.5, name: 'p1' });
  });

  it('reads copies: what is done to an element changes nothing', () => {
    using slice = Slice.alloc(size);
    const structs = slice.structs<Point>(point);
    structs.get(0).x = 5;
    expect(structs.get(0).x).to.equal(0);
  });

  it('sees what C and other views write', () => {
    using slice = Slice.alloc(2 * size);
    const structs = slice.structs<Point>(point);
    koffi.encode(slice.address + BigInt(size), point, { x: 4, y: 4, name: 'four' });
    expect(structs.get(1).name).to.equal('four');
    slice.bytes.fill(0);
    expect(structs.get(1)).to.deep.equal({ x: 0, y: 0, name: '' });
  });

  it('may start at an offset and be of a given length, also unaligned', () => {
    using slice = Slice.alloc(10 * size);
    for (const [offset, length, count] of [
      [0, 3, 3],
      [size, undefined, 9],
      [3, undefined, 9],
      [10 * size, undefined, 0],
      [9 * size, 1, 1],
      [5, 0, 0],
    ]) {
      const structs = slice.structs<Point>(point, offset, length);
      expect(structs.length).to.equal(count);
      if (count === 0) continue;
      structs.set(0, { x: 77 });
      expect(slice.read(point, offset).x).to.equal(77);
    }
  });

  it('works for nested structs, numbers, pointers and arrays', () => {
    using slice = Slice.alloc(200);
    const lines = slice.structs<{ from: Point; to: Point; width: number }>(line);
    lines.set(1, { to: { x: 1, y: 2, name: 'to' }, width: 0.5 });
    expect(lines.get(1)).to.deep.equal({ from: { x: 0, y: 0, name: '' }, to: { x: 1, y: 2, name: 'to' }, width: 0.5 });
    const numbers = slice.structs<number>('int32_t', 0, 3);
    numbers.set(2, -7);
    expect([...numbers].at(-1)).to.equal(-7);
    expect(slice.structs('void *').length).to.equal(25);
    expect(slice.structs('int[4]').length).to.equal(12);
    expect(slice.structs('void *', 0, 1).get(0)).to.equal(null);
  });

  it('refuses an index outside or that is not a number', () => {
    using slice = Slice.alloc(3 * size);
    const structs = slice.structs<Point>(point);
    for (const index of [-1, 3, 0.5, Number.NaN, Infinity, 2 ** 53]) {
      expectError(() => structs.get(index), 'ERR_CSLICE_RANGE', /index/);
      expectError(() => structs.set(index, { x: 1 }), 'ERR_CSLICE_RANGE', /index/);
    }
    for (const index of [undefined, null, '0', 0n, {}]) {
      expectError(() => structs.get(wrong(index)), 'ERR_CSLICE_TYPE', /index/);
    }
    expectError(() => slice.structs(point, 3 * size).get(0), 'ERR_CSLICE_RANGE', /index/);
    expect(slice.bytes.every((byte) => byte === 0)).to.equal(true);
  });

  it('refuses a range outside the slice, and a type that has no bytes', () => {
    using slice = Slice.alloc(3 * size);
    for (const [offset, length] of [[-1], [3 * size + 1], [0, 4], [1, 3], [0, -1], [0.5], [0, 0.5], [0, Number.NaN]]) {
      expectError(() => slice.structs(point, offset, length), 'ERR_CSLICE_RANGE');
    }
    expectError(() => slice.structs(point, wrong('0')), 'ERR_CSLICE_TYPE', /byteOffset/);
    expectError(() => slice.structs(point, 0, wrong('1')), 'ERR_CSLICE_TYPE', /length/);
    for (const type of ['void', 'no_such_type', undefined, null, 5, {}]) {
      expectError(() => slice.structs(wrong(type)), 'ERR_CSLICE_TYPE');
    }
  });

  it('refuses a value that does not fit its type', () => {
    using slice = Slice.alloc(size);
    const structs = slice.structs<Point>(point);
    expectError(() => structs.set(0, { x: 2 ** 15 }), 'ERR_CSLICE_RANGE');
    expectError(() => structs.set(0, wrong({ y: '1' })), 'ERR_CSLICE_TYPE');
    expectError(() => structs.set(0, wrong(null)), 'ERR_CSLICE_TYPE');
  });

  it('throws ERR_CSLICE_RELEASED at every use after the release, also in the middle of an iteration', () => {
    const slice = Slice.alloc(3 * size);
    const structs = slice.structs<Point>(point);
    const iterator = structs[Symbol.iterator]();
    iterator.next();
    slice.release();
    expectError(() => structs.get(0), 'ERR_CSLICE_RELEASED');
    expectError(() => structs.set(0, { x: 1 }), 'ERR_CSLICE_RELEASED');
    expectError(() => iterator.next(), 'ERR_CSLICE_RELEASED');
    expectError(() => [...structs], 'ERR_CSLICE_RELEASED');
    expectError(() => slice.structs(point), 'ERR_CSLICE_RELEASED');
  });

  it('follows a resize of its slice: elements that are left work, those that are gone throw', () => {
    using slice = Slice.alloc(4 * size);
    fill(slice, 4);
    const structs = slice.structs<Point>(point);
    slice.resize(100 * size);
    expect(structs.get(3).name).to.equal('p3');
    slice.resize(2 * size);
    expect(structs.get(1).name).to.equal('p1');
    expectError(() => structs.get(3), 'ERR_CSLICE_RANGE');
    expectError(() => structs.set(3, { x: 1 }), 'ERR_CSLICE_RANGE');
  });

  it('stays within a subslice', () => {
    using slice = Slice.alloc(4 * size);
    fill(slice, 4);
    using part = slice.subslice(size, 3 * size);
    expect(Array.from(part.structs<Point>(point), ({ name }) => name)).to.deep.equal(['p1', 'p2']);
  });

  it('reads and writes any points at any place as koffi does', () => {
    const value = fc.record({
      x: fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 }),
      y: fc.double({ noNaN: true }),
      name: fc.stringMatching(/^[a-z]{0,4}$/),
    });
    fc.assert(
      fc.property(fc.array(value, { maxLength: 20 }), fc.nat(7), (values, offset) => {
        using slice = Slice.alloc(20 * size + 7);
        const structs = slice.structs<Point>(point, offset, values.length);
        values.forEach((each, i) => {
          structs.set(i, each);
        });
        expect([...structs]).to.deep.equal(values);
        values.forEach((each, i) => {
          expect(koffi.decode(slice.address + BigInt(offset + i * size), point)).to.deep.equal(each);
        });
        expect(slice.bytes.subarray(offset + values.length * size).every((byte) => byte === 0)).to.equal(true);
      }),
      { seed: 4, numRuns: 100 },
    );
  });
});
