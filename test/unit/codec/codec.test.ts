import { expect } from 'chai';
import koffi from 'koffi';
import { Slice } from '../../../lib/index.ts';
import { free, malloc } from '../../helpers/blocks.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { run } from '../../helpers/run.ts';

type Spec = Parameters<typeof koffi.sizeof>[0];

const point = koffi.struct('CodecPoint', { x: 'int8_t', y: 'double', name: 'char[4]' });
const packed = koffi.pack('CodecPacked', { a: 'int8_t', b: 'int32_t', c: 'int64_t' });
const nested = koffi.struct('CodecNested', {
  one: point,
  two: koffi.array(point, 2),
  ints: 'int[3]',
  bytes: koffi.array('uint8_t', 4, 'Buffer'),
  shorts: koffi.array('int16_t', 3, 'Array'),
  pointer: 'void *',
  last: packed,
});
const number = koffi.union('CodecNumber', { i: 'int64_t', f: 'float', d: 'double', bytes: 'uint8_t[8]' });
const color = koffi.enumeration('CodecColor', { Red: 1, Green: 2, Blue: -1 });
const opaque = koffi.opaque('CodecOpaque');
const callback = koffi.pointer(koffi.proto('int CodecCallback(int)'));
koffi.alias('CodecAlias', 'uint16_t');

const integers: Record<string, [number | bigint, number | bigint]> = {};
for (const bits of [8, 16, 32, 64]) {
  const narrow = (value: bigint) => (bits < 64 ? Number(value) : value);
  const signed = [narrow(-(1n << BigInt(bits - 1))), narrow((1n << BigInt(bits - 1)) - 1n)] as const;
  const unsigned = [narrow(0n), narrow((1n << BigInt(bits)) - 1n)] as const;
  for (const order of bits === 8 ? [''] : ['', '_le', '_be']) {
    integers[`int${bits}${order}_t`] = [...signed];
    integers[`uint${bits}${order}_t`] = [...unsigned];
  }
}

/** Every name of a number that koffi has. */
const scalars = Object.entries(koffi.types)
  .filter(([, type]) => /^(Bool|U?Int(8|16|32|64)S?|Float(32|64))$/.test(type.primitive))
  .map(([name]) => name as Spec);

/** Bytes that are small, large, negative, and NaN where they are read as such. */
const patterns: ((i: number) => number)[] = [
  () => 0,
  () => 255,
  (i) => (i * 37 + 11) & 255,
  (i) => 255 - (i % 7),
  (i) => (i % 8 === 0 ? 0x41 : 0),
  (i) => (i % 8 === 7 ? 0x80 : 0),
  (i) => [0, 0, 0, 0, 0, 0, 0x20, 0][i % 8] ?? 0,
  (i) => [1, 0, 0, 0, 0, 0, 0x20, 0][i % 8] ?? 0,
  (i) => [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0][i % 8] ?? 0,
];

/** The bytes that C has in a bool. Of others koffi makes any value, on Node 26 even a string. */
const booleans = [() => 0, () => 1, (i: number) => i % 2];

/** koffi gives 2^53 itself as a number too, which stands for 2^53 + 1 as well. */
function exact(value: unknown): unknown {
  return typeof value === 'number' && Math.abs(value) === 2 ** 53 ? BigInt(value) : value;
}

function expectReadAsKoffi(type: Spec, only = patterns): void {
  using slice = Slice.alloc(256);
  for (const pattern of only) {
    slice.bytes.forEach((_, i, bytes) => {
      bytes[i] = pattern(i);
    });
    for (const offset of [0, 3]) {
      const name = `${koffi.type(type).name} at ${offset} of ${slice.toBuffer().toString('hex', 0, 16)}`;
      const theirs = koffi.decode(slice.address + BigInt(offset), type);
      expect(exact(slice.read(type, offset)), name).to.deep.equal(exact(theirs));
    }
  }
}

/** Both write over zeros, since koffi clears what the value lacks and the slice keeps it. */
function expectWrittenAsKoffi(type: Spec, value: unknown): void {
  const size = koffi.sizeof(type);
  using ours = Slice.alloc(size + 8);
  using theirs = Slice.alloc(size + 8);
  ours.bytes.fill(0xee, size);
  theirs.bytes.fill(0xee, size);
  ours.write(type, 0, value);
  koffi.encode(theirs.address, type, value);
  expect(ours.copy(), `${koffi.type(type).name} from ${String(value)}`).to.deep.equal(theirs.copy());
}

function expectRefused(
  type: Spec,
  value: unknown,
  code: 'ERR_CSLICE_TYPE' | 'ERR_CSLICE_RANGE',
  message?: RegExp,
): void {
  using slice = Slice.alloc(koffi.sizeof(type));
  slice.bytes.fill(0xee);
  expectError(() => slice.write(type, 0, value), code, message);
  expect(slice.bytes.every((byte) => byte === 0xee)).to.equal(true);
}

describe('the codec of read and write', () => {
  describe('for numbers', () => {
    it('reads every number type of koffi as koffi does, from any bytes', () => {
      expect(scalars.length).to.be.above(40);
      for (const type of scalars) expectReadAsKoffi(type, type === 'bool' ? [] : patterns);
      expectReadAsKoffi('bool', booleans);
    });

    it('writes the limits of every integer type as koffi does, and reads them back', () => {
      for (const [type, [lowest, highest]] of Object.entries(integers)) {
        for (const value of [lowest, highest, 0, 1, 100]) {
          expectWrittenAsKoffi(type, value);
          using slice = Slice.alloc(8);
          slice.write(type, 0, value);
          expect(BigInt(slice.read(type))).to.equal(BigInt(value));
        }
      }
    });

    it('refuses an integer that its type cannot hold, where koffi would cut it', () => {
      for (const [type, [lowest, highest]] of Object.entries(integers)) {
        const [below, above] =
          typeof lowest === 'bigint' ? [lowest - 1n, (highest as bigint) + 1n] : [lowest - 1, (highest as number) + 1];
        for (const value of [below, above]) expectRefused(type, value, 'ERR_CSLICE_RANGE', new RegExp(`got ${value}`));
        for (const value of [0.5, Number.NaN, Infinity, -Infinity]) expectRefused(type, value, 'ERR_CSLICE_RANGE');
        for (const value of [undefined, null, '1', true, {}, [1]]) expectRefused(type, value, 'ERR_CSLICE_TYPE');
      }
    });

    it('gives 64-bit integers as numbers where that is exact, else as bigints, and takes both', () => {
      using slice = Slice.alloc(8);
      const cases: [Spec, bigint, number | bigint][] = [
        ['int64_t', 5n, 5],
        ['int64_t', -5n, -5],
        ['int64_t', (1n << 53n) - 1n, Number.MAX_SAFE_INTEGER],
        ['int64_t', -(1n << 53n) + 1n, Number.MIN_SAFE_INTEGER],
        ['int64_t', 1n << 53n, 1n << 53n],
        ['int64_t', -(1n << 53n) - 1n, -(1n << 53n) - 1n],
        ['uint64_t', (1n << 64n) - 1n, (1n << 64n) - 1n],
        ['size_t', 1n << 40n, 2 ** 40],
      ];
      for (const [type, written, read] of cases) {
        slice.write(type, 0, written);
        expect(slice.read(type)).to.equal(read);
        slice.write(type, 0, 0);
        slice.write(type, 0, read);
        expect(slice.read(type)).to.equal(read);
      }
      expectRefused('int64_t', 2 ** 53, 'ERR_CSLICE_RANGE', /safe integer or a bigint/);
    });

    it('writes floats as koffi does, NaN, infinities and -0 included', () => {
      for (const value of [0, -0, 1.1, -1e300, 1e-310, Number.NaN, Infinity, -Infinity]) {
        expectWrittenAsKoffi('float', value);
        expectWrittenAsKoffi('double', value);
      }
      for (const value of [undefined, null, '1', 1n, true]) {
        expectRefused('float', value, 'ERR_CSLICE_TYPE');
        expectRefused('double', value, 'ERR_CSLICE_TYPE');
      }
    });

    it('writes booleans as koffi does, and refuses everything else', () => {
      for (const value of [true, false]) expectWrittenAsKoffi('bool', value);
      for (const value of [undefined, null, 0, 1, 'true']) expectRefused('bool', value, 'ERR_CSLICE_TYPE');
    });

    it('reads every byte but 0 as true', () => {
      using slice = Slice.alloc(1);
      for (let byte = 0; byte < 256; byte++) {
        slice.bytes[0] = byte;
        expect(slice.read('bool')).to.equal(byte !== 0);
      }
    });

    it('knows enumerations and aliases by what they store', () => {
      for (const type of [color, 'CodecColor', 'CodecAlias']) {
        expectReadAsKoffi(type);
        expectWrittenAsKoffi(type, 2);
      }
      expectRefused('CodecAlias', 65536, 'ERR_CSLICE_RANGE');
    });
  });

  describe('for structs', () => {
    it('reads structs as koffi does, by name and by type, packed and nested', () => {
      for (const type of [point, packed, nested, 'CodecPoint', 'CodecNested'])
        expectReadAsKoffi(type, patterns.slice(0, 3));
    });

    it('writes structs as koffi does', () => {
      const value = {
        one: { x: 1, y: 2.5, name: 'ab' },
        two: [
          { x: -1, y: -0.5, name: 'c' },
          { x: 127, y: 1e10, name: '' },
        ],
        ints: [1, 2, 3],
        bytes: Uint8Array.of(4, 5, 6, 7),
        shorts: [-1, -2, -3],
        pointer: 4096n,
        last: { a: 1, b: 2, c: 1n << 60n },
      };
      expectWrittenAsKoffi(nested, value);
      using slice = Slice.alloc(koffi.sizeof(nested));
      slice.write(nested, 0, value);
      expect(slice.read(nested)).to.deep.equal({
        ...value,
        ints: Int32Array.of(1, 2, 3),
        bytes: Buffer.of(4, 5, 6, 7),
      });
    });

    it('keeps the bytes of members that the value lacks, and refuses what is not a member', () => {
      using slice = Slice.alloc(koffi.sizeof(point));
      slice.write(point, 0, { x: 1, y: 2, name: 'abc' });
      slice.write(point, 0, { y: 3, name: undefined });
      expectRefused(point, { y: 4, z: 4 }, 'ERR_CSLICE_TYPE', /has no member "z"/);
      expect(slice.read(point)).to.deep.equal({ x: 1, y: 3, name: 'abc' });
      slice.write(point, 0, {});
      expect(slice.read(point)).to.deep.equal({ x: 1, y: 3, name: 'abc' });
    });

    it('refuses what is not an object, and a member that does not fit', () => {
      for (const value of [undefined, null, 5, 'text', true]) expectRefused(point, value, 'ERR_CSLICE_TYPE');
      expectRefused(point, { x: 128 }, 'ERR_CSLICE_RANGE', /128/);
      expectRefused(nested, { two: [{ x: '1' }] }, 'ERR_CSLICE_TYPE');
    });
  });

  describe('for arrays', () => {
    const typed: Spec[] = [
      'int[3]',
      'uint8_t[4]',
      'unsigned char[3]',
      'float[2]',
      'double[2]',
      'int64_t[2]',
      'uint64_t[2]',
    ];
    const plain: Spec[] = [
      koffi.array('int16_t', 4, 'Array'),
      koffi.array('int64_t', 3, 'Array'),
      koffi.array('void *', 2),
      koffi.array(point, 2),
    ];

    it('reads arrays as koffi does: as typed arrays, Buffers, or plain arrays', () => {
      for (const type of [...typed, koffi.array('char', 4, 'Typed'), koffi.array('uint16_t', 4, 'Buffer')]) {
        expectReadAsKoffi(type);
      }
      for (const type of plain) expectReadAsKoffi(type, patterns.slice(0, 3));
      expectReadAsKoffi('bool[3]', booleans);
    });

    it('reads integers of the other byte order with the values of koffi', () => {
      using slice = Slice.fromBytes(Uint8Array.of(0, 0, 1, 2, 255, 255, 255, 254));
      expect([...slice.read('int32_be_t[2]')]).to.deep.equal([258, -2]);
      expect([...koffi.decode(slice.address, 'int32_be_t[2]')]).to.deep.equal([258, -2]);
    });

    it('gives copies: what is done to them later does not reach the block', () => {
      using slice = Slice.fromBytes(Uint8Array.of(1, 2, 3, 4));
      const array: Uint8Array = slice.read('uint8_t[4]');
      const buffer: Buffer = slice.read(koffi.array('uint8_t', 4, 'Buffer'));
      array[0] = buffer[1] = 99;
      expect(slice.copy()).to.deep.equal(Uint8Array.of(1, 2, 3, 4));
    });

    it('writes arrays, typed arrays and whatever has a length, as koffi does', () => {
      expectWrittenAsKoffi('int[3]', [1, -2, 3]);
      expectWrittenAsKoffi('int[3]', Int32Array.of(4, 5, 6));
      expectWrittenAsKoffi('int[3]', [1, 2]);
      expectWrittenAsKoffi('uint8_t[4]', Buffer.from('abc'));
      expectWrittenAsKoffi('double[2]', [0.5, Number.NaN]);
      expectWrittenAsKoffi('int64_t[2]', [-1n, 5]);
      expectWrittenAsKoffi('bool[3]', [true, false, true]);
      expectWrittenAsKoffi(koffi.array(point, 2), [{ x: 1, y: 2, name: 'a' }]);
    });

    it('converts the elements of another typed array, where koffi would copy their bytes', () => {
      using slice = Slice.alloc(12);
      slice.write('int[3]', 0, Uint8Array.of(1, 2, 3));
      expect(slice.read('int[3]')).to.deep.equal(Int32Array.of(1, 2, 3));
    });

    it('keeps the elements that a shorter value lacks', () => {
      using slice = Slice.alloc(12);
      slice.write('int[3]', 0, [1, 2, 3]);
      slice.write('int[3]', 0, [9]);
      expect(slice.read('int[3]')).to.deep.equal(Int32Array.of(9, 2, 3));
    });

    it('refuses more elements than there are, an element that does not fit, and what is not an array', () => {
      expectRefused('int[3]', [1, 2, 3, 4], 'ERR_CSLICE_RANGE', /3 elements, got 4/);
      expectRefused('int[3]', [2 ** 31], 'ERR_CSLICE_RANGE');
      expectRefused('int[3]', ['1'], 'ERR_CSLICE_TYPE');
      for (const value of [undefined, null, 5, 'abc', {}, new ArrayBuffer(12)]) {
        expectRefused('int[3]', value, 'ERR_CSLICE_TYPE', /array/);
      }
    });

    it('reads and writes arrays of arrays, element by element', () => {
      using slice = Slice.alloc(24);
      const matrix = koffi.array(koffi.array('int', 3), 2);
      slice.write(matrix, 0, [[1, 2, 3], Int32Array.of(4, 5, 6)]);
      expect(slice.view(Int32Array)).to.deep.equal(Int32Array.of(1, 2, 3, 4, 5, 6));
      expect(slice.read(matrix)).to.deep.equal([Int32Array.of(1, 2, 3), Int32Array.of(4, 5, 6)]);
    });

    it('reads and writes arrays of texts, element by element', () => {
      using slice = Slice.alloc(8);
      const names = koffi.array(koffi.array('char', 4), 2);
      slice.write(names, 0, ['ab', 'cde']);
      expect(slice.toBuffer().toString('latin1')).to.equal('ab\0\0cde\0');
      expect(slice.read(names)).to.deep.equal(['ab', 'cde']);
    });
  });

  describe('for texts in place', () => {
    it('reads char arrays of each width up to the NUL, as koffi does', () => {
      using slice = Slice.alloc(32);
      slice.bytes.set(Buffer.from('gr€y\0dust'));
      for (const length of [1, 2, 6, 7, 10]) {
        const type = koffi.array('char', length);
        expect(slice.read(type)).to.equal(koffi.decode(slice.address, type));
      }
      slice.bytes.set(Buffer.from('a€🌍\0x', 'utf16le'));
      expect(slice.read('char16_t[6]')).to.equal('a€🌍');
      expect(slice.read('char16_t[2]')).to.equal('a€');
      slice.view(Uint32Array).set([0x61, 0x1f30d, 0, 0x62]);
      for (const type of ['char32_t[4]', 'char32_t[2]']) {
        expect(slice.read(type)).to.equal('a🌍').and.to.equal(koffi.decode(slice.address, type));
      }
    });

    it('reads 32-bit values that are not characters as U+FFFD, as koffi does', () => {
      using slice = Slice.alloc(8);
      for (const unit of [0x110000, 0xffffffff, 0x80000000]) {
        slice.view(Uint32Array).set([0x61, unit]);
        expect(slice.read('char32_t[2]')).to.equal('a\ufffd').and.to.equal(koffi.decode(slice.address, 'char32_t[2]'));
      }
    });

    it('writes a text with a NUL after it where there is room, and refuses one that is too long', () => {
      using slice = Slice.alloc(16);
      slice.bytes.fill(0xee);
      slice.write('char[5]', 0, 'abc');
      expect(slice.copy(0, 6)).to.deep.equal(Uint8Array.of(0x61, 0x62, 0x63, 0, 0xee, 0xee));
      slice.write('char[5]', 0, 'é€');
      expect(slice.copy(0, 6)).to.deep.equal(Uint8Array.of(0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xee));
      expectRefused('char[5]', 'abcdef', 'ERR_CSLICE_RANGE', /5 elements, got 6/);
      expectRefused('uint8_t[4]', 'abc', 'ERR_CSLICE_TYPE');
      slice.write('char16_t[4]', 0, 'a€');
      expect(slice.read('char16_t[4]')).to.equal('a€');
      slice.write('char32_t[4]', 0, 'a🌍');
      expect(slice.read('char32_t[4]')).to.equal('a🌍');
      slice.write('char[5]', 0, [0x68, 0x69, 0]);
      expect(slice.read('char[5]')).to.equal('hi');
    });
  });

  describe('for pointers', () => {
    it('gives a pointer as an address or null, and takes an address, null or a number', () => {
      using slice = Slice.alloc(8);
      expect(() => slice.write('void *', 0, slice)).to.throw(
        /^a void \* must be an address \(a bigint, such as slice\.address\)/,
      );
      expect(() => slice.write('int', 0, 'x')).to.throw(/^an int must be a number, got "x"$/);
      for (const type of ['void *', 'int *', 'CodecOpaque *', callback] as Spec[]) {
        slice.write(type, 0, 4096n);
        expect(slice.read(type)).to.equal(4096n).and.to.equal(koffi.decode(slice.address, type));
        slice.write(type, 0, null);
        expect(slice.read(type)).to.equal(null).and.to.equal(koffi.decode(slice.address, type));
        slice.write(type, 0, 8192);
        expect(slice.read(type)).to.equal(8192n);
        slice.write(type, 0, (1n << 64n) - 1n);
        expect(slice.read(type)).to.equal((1n << 64n) - 1n);
      }
      for (const value of [-1n, 1n << 64n]) expectRefused('void *', value, 'ERR_CSLICE_RANGE');
      for (const value of ['text', {}, new Uint8Array(8), true]) expectRefused('void *', value, 'ERR_CSLICE_TYPE');
    });

    it('follows pointers to C strings of each width, and gives null for NULL', () => {
      using text = Slice.fromString('grüße 🌍');
      using wide = Slice.fromBytes(Buffer.from('a€🌍\0', 'utf16le'));
      using wider = Slice.fromBytes(Uint32Array.of(0x61, 0x1f30d, 0));
      using slice = Slice.alloc(8);
      const cases: [Spec, Slice, string][] = [
        ['char *', text, 'grüße 🌍'],
        ['char16_t *', wide, 'a€🌍'],
        ['char32_t *', wider, 'a🌍'],
      ];
      for (const [type, target, content] of cases) {
        slice.write(type, 0, target.address);
        expect(slice.read(type)).to.equal(content).and.to.equal(koffi.decode(slice.address, type));
        slice.write(type, 0, null);
        expect(slice.read(type)).to.equal(null);
        expectRefused(type, 'a text', 'ERR_CSLICE_TYPE', /address of a C string/);
      }
    });

    it('reads C structs with strings in them', () => {
      using text = Slice.fromString('Ada');
      const person = koffi.struct({ name: 'char *', age: 'int' });
      using slice = Slice.alloc(koffi.sizeof(person));
      slice.write(person, 0, { name: text.address, age: 36 });
      expect(slice.read(person)).to.deep.equal({ name: 'Ada', age: 36 });
    });
  });

  describe('for unions', () => {
    it('reads every member, each as koffi does', () => {
      using slice = Slice.alloc(8);
      for (const pattern of patterns) {
        slice.bytes.forEach((_, i, bytes) => {
          bytes[i] = pattern(i);
        });
        const theirs = koffi.decode(slice.address, number);
        const ours = slice.read(number);
        for (const member of ['i', 'f', 'd', 'bytes']) {
          expect(exact(ours[member])).to.deep.equal(exact(theirs[member]));
        }
      }
    });

    it('writes one member, as koffi does', () => {
      expectWrittenAsKoffi(number, { f: 1.5 });
      expectWrittenAsKoffi(number, { i: -1n });
      expectWrittenAsKoffi(number, { bytes: [1, 2, 3] });
    });

    it('refuses a value without a member, with several, and with an unknown one', () => {
      expectRefused(number, {}, 'ERR_CSLICE_TYPE', /one member, got 0/);
      expectRefused(number, { i: 1, f: 2 }, 'ERR_CSLICE_TYPE', /one member, got 2/);
      for (const value of [undefined, null, 5]) expectRefused(number, value, 'ERR_CSLICE_TYPE');
    });

    it('refuses a member that the union does not have, as koffi does', () => {
      expectRefused(number, { wrong: 1 }, 'ERR_CSLICE_TYPE', /wrong/);
    });

    it('does not follow a pointer member while another member is the live one', () => {
      const { status, signal, stdout } = run('read-union.ts');
      expect([status, signal, stdout.trim()]).to.deep.equal([0, null, '5']);
    });
  });

  describe('for types', () => {
    it('refuses a type that koffi does not know, or that has no bytes', () => {
      using slice = Slice.alloc(64);
      for (const type of ['no_such_type', '', 'int[', undefined, null, 5, {}, [], () => 1]) {
        expectError(() => slice.read(wrong(type)), 'ERR_CSLICE_TYPE', /type/);
        expectError(() => slice.write(wrong(type), 0, 1), 'ERR_CSLICE_TYPE', /type/);
      }
      for (const type of ['void', opaque]) {
        expectError(() => slice.read(type), 'ERR_CSLICE_TYPE', /no bytes/);
        expectError(() => slice.write(type, 0, 1), 'ERR_CSLICE_TYPE', /no bytes/);
      }
    });

    it('refuses one whose parts do not fit together, whoever changed it', () => {
      const { name, primitive, size, alignment, members } = koffi.type(point);
      const [first, ...others] = Object.values(members ?? {});
      using slice = Slice.alloc(64);
      for (const change of [
        { size: -8 },
        { size: 2 },
        { size: Number.NaN },
        { alignment: 3 },
        { primitive: 'constructor' },
        { members: [{ ...first, offset: 64 }, ...others] },
      ]) {
        const forged = { name, primitive, size, alignment, members, ...change } as unknown as Spec;
        expectError(() => slice.read(forged), 'ERR_CSLICE_TYPE');
        expectError(() => slice.write(forged, 0, { x: 1 }), 'ERR_CSLICE_TYPE');
      }
    });

    it('gives what a getter of a value or a type throws as the cause', () => {
      const thrown = new Error('from a getter');
      const fail = (): never => {
        throw thrown;
      };
      using slice = Slice.alloc(64);
      const type = Object.defineProperty({}, 'primitive', { get: fail }) as Spec;
      const value = Object.defineProperty({}, 'x', { get: fail });
      for (const act of [() => slice.read(type), () => slice.write(point, 0, value)]) {
        expect(act).to.throw().that.includes({ code: 'ERR_CSLICE_TYPE', cause: thrown });
      }
    });

    it('works on memory that C allocated', () => {
      const address = malloc(koffi.sizeof(point));
      koffi.encode(address, point, { x: 7, y: 1.5, name: 'C' });
      using slice = Slice.adopt(address, koffi.sizeof(point), free);
      expect(slice.read(point)).to.deep.equal({ x: 7, y: 1.5, name: 'C' });
      slice.write(point, 0, { y: 2.5 });
      expect(koffi.decode(address, point)).to.deep.equal({ x: 7, y: 2.5, name: 'C' });
    });
  });
});
