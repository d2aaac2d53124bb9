/** Values by the kind of their parameter, in functions of the C library: what goes to C, and what is refused with which words. */

import { createRequire } from 'node:module';
import { expect } from 'chai';
import koffi from 'koffi';
import { callback, func, Slice } from '../../../lib/index.ts';
import { c } from '../../helpers/c-library.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';

type Any = ((...args: unknown[]) => unknown) & { async(...args: unknown[]): Promise<unknown> };

koffi.struct('ValBytes4', { all: 'uint32_t' });
koffi.struct('ValNested', { inner: 'ValBytes4', data: 'void *' });
koffi.struct('ValTable', { numbers: koffi.array('int32_t', 2), text: 'const char *' });
koffi.struct('ValTexts', { text: 'const char *', wide: 'const char16_t *' });
koffi.struct('ValName', {
  short: koffi.array('char', 8),
  wide: koffi.array('char16_t', 4),
});
koffi.union('ValUnion', { number: 'int64_t', data: 'void *' });
koffi.proto('int ValCompare(const void *a, const void *b)');
koffi.proto('bool ValTest(const void *a, const void *b)');
koffi.proto('ValBytes4 ValMake(const void *a, const void *b)');
koffi.proto('void *ValFind(const void *a, const void *b)');

function declare(prototype: string, ownership?: unknown): Any {
  return ownership === undefined ? wrong(func(c, prototype)) : wrong(wrong(func)(c, prototype, ownership));
}

for (const callbacks of [0, 1])
  describe(`values for C, with ${callbacks} callbacks of others registered`, () => {
    let others: Disposable[] = [];

    beforeEach(() => {
      others = Array.from({ length: callbacks }, () => callback('void other()', () => undefined));
    });

    afterEach(() => {
      for (const other of others) other[Symbol.dispose]();
    });

    it('are objects for a struct, and nothing else', () => {
      const format = declare('const char *inet_ntoa(ValBytes4 address)');
      expect(format({ all: 0x0100007f })).to.equal('127.0.0.1');
      using slice = Slice.alloc(4);
      for (const value of [5, 5n, 'text', null, undefined, true, slice, new Uint8Array(4)]) {
        expectError(
          () => format(value),
          typeof value === 'bigint' ? 'ERR_CSLICE_RANGE' : 'ERR_CSLICE_TYPE',
          /members of/,
        );
      }
      expectError(() => format({ all: 2 ** 32 }), 'ERR_CSLICE_RANGE', /address\.all must be/);
      expectError(() => format({ all: 'text' }), 'ERR_CSLICE_TYPE', /address\.all must be/);
      expectError(() => format({ all: null }), 'ERR_CSLICE_TYPE', /address\.all must be/);
    });

    it('are strings without a NUL, where C would stop reading: alone, in arrays and in structs', async () => {
      const length = declare('size_t strlen(const char *text)');
      expect([length(''), length('abc')]).to.deep.equal([0, 3]);
      const told = /text must not contain a NUL, which ends a C string; found one at 1\. Pass bytes in a Buffer/;
      expectError(() => length('a\0b'), 'ERR_CSLICE_RANGE', told);
      const reason: Error = await length.async('a\0b').then(wrong, (error) => error);
      expect(reason.message).to.match(told);
      expect(length(Buffer.from('a\0b'))).to.equal(1);
      const first = declare('int memcmp(const ValTexts *a, const ValTexts *b, size_t size)');
      expect(first({ text: 'a', wide: null }, { text: 'a', wide: null }, 0)).to.equal(0);
      expectError(
        () => first({ text: '\0', wide: null }, { text: 'a', wide: null }, 0),
        'ERR_CSLICE_RANGE',
        /memcmp: a\.text must not contain a NUL.*found one at 0/,
      );
      expectError(() => first({ wide: 'b\0' }, {}, 0), 'ERR_CSLICE_RANGE', /a\.wide must not contain a NUL/);
      const compare = declare('int memcmp(const char **a, const char **b, size_t size)');
      expectError(() => compare(['a'], ['a', 'b\0'], 0), 'ERR_CSLICE_RANGE', /memcmp: b\[1\] must not contain a NUL/);
    });

    it('are texts that an array of characters has room for, with their NUL', () => {
      const copy = declare('void *memcpy(void *to, const ValName *from, size_t size)');
      const to = new Uint8Array(8);
      copy(to, { short: 'abcdefg' }, 8);
      expect(Buffer.from(to).toString('latin1')).to.equal('abcdefg\0');
      copy(to, { short: 'äöü' }, 8);
      expect(Buffer.from(to).toString()).to.equal('äöü\0\0');
      for (const short of ['abcdefgh', 'äöüä']) {
        expectError(() => copy(to, { short }, 8), 'ERR_CSLICE_RANGE', /from\.short has no room for the NUL after/);
      }
      copy(new Uint8Array(16), { wide: 'abc' }, 16);
      expectError(() => copy(to, { wide: 'abcd' }, 8), 'ERR_CSLICE_RANGE', /from\.wide has no room/);
    });

    it('are objects without members that the struct lacks, which are mistyped names', () => {
      const format = declare('const char *inet_ntoa(ValBytes4 address)');
      expect(format({})).to.equal('0.0.0.0');
      expectError(() => format({ al: 1 }), 'ERR_CSLICE_TYPE', /inet_ntoa: address has no member "al" \(ValBytes4\)/);
      const copy = declare('void *memcpy(void *to, const ValNested *from, size_t size)');
      expectError(() => copy(null, { inner: { all: 1, a: 2 } }, 0), 'ERR_CSLICE_TYPE', /from\.inner has no member "a"/);
      const table = declare('void *memcpy(void *to, const ValBytes4 *from, size_t size)');
      expectError(() => table(null, [{}, { b: 1 }], 0), 'ERR_CSLICE_TYPE', /from\[1\] has no member "b"/);
    });

    it('are told what to be instead: a bigint past 2^53, const for a string', () => {
      const long = declare('long labs(long n)');
      expectError(
        () => long(2 ** 53),
        'ERR_CSLICE_RANGE',
        /n must be a bigint past 2\^53, where numbers are not exact/,
      );
      const absolute = declare('int abs(int n)');
      for (const n of [2 ** 53, 1e300, -(2 ** 60)]) {
        expectError(() => absolute(n), 'ERR_CSLICE_RANGE', /n must be an integer from -2147483648 to 2147483647/);
      }
      expectError(() => long(2 ** 63), 'ERR_CSLICE_RANGE', /n must be an integer from -9223372036854775808 to/);
      const copy = declare('char *strcpy(char *to, const char *from)');
      expectError(() => copy('text', 'text'), 'ERR_CSLICE_TYPE', /C may write to char \*: a string needs const$/);
    });

    it('are functions for a function pointer, which may throw whatever C expects of them', () => {
      for (const type of ['ValCompare', 'ValTest', 'ValMake', 'ValFind']) {
        const sort = declare(`void qsort(void *base, size_t count, size_t size, ${type} *compare)`);
        const numbers = Int32Array.of(2, 1);
        const thrower = () => {
          throw new Error('not comparable');
        };
        expect(() => sort(numbers, 2, 4, thrower)).to.throw('not comparable');
        for (const value of [{}, [], 'text', Symbol('text')]) {
          expectError(() => sort(numbers, 2, 4, value), 'ERR_CSLICE_TYPE', /compare must be a function, a callback/);
        }
      }
    });

    it('are what a function pointer is to answer, or an error of the call', () => {
      const sort = declare('void qsort(void *base, size_t count, size_t size, ValCompare *compare)');
      const numbers = Int32Array.of(2, 1);
      sort(numbers, 2, 4, (a: unknown, b: unknown) => koffi.decode(a, 'int') - koffi.decode(b, 'int'));
      expect([...numbers]).to.deep.equal([1, 2]);
      expectError(() => sort(numbers, 2, 4, () => 'text'), 'ERR_CSLICE_TYPE', /its result must be an integer/);
    });

    it('are numbers for a double', () => {
      const absolute = declare('double fabs(double number)');
      expect(absolute(-1.5)).to.equal(1.5);
      for (const value of ['1', null, true, {}]) {
        expectError(() => absolute(value), 'ERR_CSLICE_TYPE', /number must be a number \(double\)/);
      }
    });

    it('are strings only for a pointer to characters', () => {
      expect(declare('size_t strlen(const char *text)')('four')).to.equal(4);
      const compare = declare('int memcmp(const void *a, const void *b, size_t size)');
      expectError(() => compare(5.5, 'text', 0), 'ERR_CSLICE_TYPE', /must be a slice, a handle/);
      expectError(() => declare('size_t strlen(const char *text)')({ length: 1 }), 'ERR_CSLICE_TYPE');
      expectError(
        () => declare('size_t strlen(const char *text)')(true),
        'ERR_CSLICE_TYPE',
        /must be a string, a slice/,
      );
    });

    it('are buffers without bytes too, of any class', () => {
      const compare = declare('int memcmp(const void *a, const void *b, size_t size)');
      for (const empty of [
        new ArrayBuffer(0),
        new Uint8Array(0),
        new DataView(new ArrayBuffer(0)),
        new SharedArrayBuffer(0),
      ]) {
        expect(compare(empty, empty, 0)).to.equal(0);
      }
      const shared = new SharedArrayBuffer(4);
      expect(compare(shared, new Uint8Array(shared), 4)).to.equal(0);
    });

    it('are values of koffi.as() in a call that waits for C, and in no other', async () => {
      const compare = declare('int memcmp(const void *a, const void *b, size_t size)');
      const passed = koffi.as(Uint8Array.of(7), 'uint8_t *');
      expect(compare(passed, Uint8Array.of(7), 1)).to.equal(0);
      const error: Error = await compare.async(passed, Uint8Array.of(7), 1).then(wrong, (reason) => reason);
      expect(error.message).to.match(/^memcmp: a is a value of koffi\.as\(\), which cannot be held/);
    });

    it('are arrays and objects of the shape that the pointer points to', () => {
      const copy = declare('void *memcpy(void *to, const ValNested *from, size_t size)');
      const to = new Uint32Array(1);
      copy(to, { inner: { all: 77 }, data: null }, 4);
      expect(to[0]).to.equal(77);
      using slice = Slice.alloc(4);
      for (const inner of [slice, [1], 5, 'text']) {
        expectError(() => copy(to, { inner, data: null }, 4), 'ERR_CSLICE_TYPE', /from\.inner must be/);
      }
      expectError(() => copy(to, { inner: { all: 1 }, data: {} }, 4), 'ERR_CSLICE_TYPE');
      const table = declare('void *memcpy(void *to, const ValTable *from, size_t size)');
      const two = new Int32Array(2);
      table(two, { numbers: [5, 6], text: 'text' }, 8);
      expect([...two]).to.deep.equal([5, 6]);
      expectError(() => table(two, { numbers: [5, 2 ** 31], text: null }, 8), 'ERR_CSLICE_RANGE');
    });

    it('are unions with one member, or such that koffi made', () => {
      const copy = declare('void *memcpy(void *to, const ValUnion *from, size_t size)');
      const to = new BigInt64Array(1);
      copy(to, { number: 7n }, 8);
      expect(to[0]).to.equal(7n);
      const made: { number: number } = new (wrong(koffi.Union))('ValUnion');
      made.number = 9;
      copy(to, made, 8);
      expect(to[0]).to.equal(9n);
      expectError(() => copy(to, { number: 'text' }, 8), 'ERR_CSLICE_TYPE');
    });

    it('are callbacks that have not been released, in a struct as well', () => {
      const copy = declare('void *memcpy(void *to, const ValNested *from, size_t size)');
      const to = new BigUint64Array(2);
      const made = callback('int made()', () => 1);
      copy(to, { inner: { all: 0 }, data: made }, 16);
      expect(to[1]).to.not.equal(0n);
      made.release();
      expectError(() => copy(to, { inner: { all: 0 }, data: made }, 16), 'ERR_CSLICE_RELEASED');
    });

    it('are refused in an array that contains itself', () => {
      const pointers = declare('int memcmp(const ValUnion *a, const void *b, size_t size)');
      const loop: { number: unknown } = { number: undefined };
      loop.number = loop;
      expectError(() => pointers(loop, null, 0), 'ERR_CSLICE_TYPE');
    });

    it('are filled where the parameter is an output', () => {
      const convert = declare('long strtol(const char *text, _Out_ void **end, int base)');
      const end: unknown[] = [null];
      expect(convert('12x', end, 10)).to.equal(12);
      expect(end[0]).to.be.a('bigint');
    });
  });

describe('an array for C to fill', () => {
  it('is refused where it has no element, since C would write past it', () => {
    for (const direction of ['_Out_', '_Inout_']) {
      const copy = declare(`void *memcpy(${direction} int *to, const void *from, size_t size)`);
      const refused = /^memcpy: to must have an element for each one that C fills \(int \*\), got an empty array$/;
      expectError(() => copy([], Buffer.alloc(4), 4), 'ERR_CSLICE_RANGE', refused);
      const filled = [0, 0];
      copy(filled, Int32Array.of(5, 6), 8);
      expect(filled).to.deep.equal([5, 6]);
    }
  });
});

describe('a function of JavaScript where C wants a pointer', () => {
  it('is refused, and the message names what makes a callback of it', () => {
    const sort = declare('void qsort(void *base, size_t n, size_t size, void *compare)');
    expectError(() => sort(Buffer.alloc(8), 2, 4, () => 0), 'ERR_CSLICE_TYPE', /compare must be .*callback\(\)/);
  });

  it('is named where its callback has been released', () => {
    const sort = declare('void qsort(void *base, size_t n, size_t size, void *compare)');
    const compare = callback('int compare(const void *a, const void *b)', () => 0);
    compare.release();
    expectError(
      () => sort(Buffer.alloc(8), 2, 4, compare),
      'ERR_CSLICE_RELEASED',
      /^qsort: compare has been released$/,
    );
  });
});

describe('a prototype', () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['int abs(void number)', /a parameter cannot be void/],
    ['int abs(int numbers[])', /arrays are passed as pointers: write \*/],
    ['int abs(int & number)', /"&" is out of place/],
    ['void qsort(void *base, int (*compare)(void))', /declare it with koffi\.proto/],
    ['int abs(int number) extra', /"extra" follows it/],
    ['int abs(*)', /a type is missing/],
    ['int (int)', /no name or no result/],
    [
      `int abs(no_such ${'x'.repeat(300)})`,
      /…".*the type "no_such" is unknown: declare it, as koffi\.alias\('no_such', /,
    ],
  ];

  it('may end with a semicolon, name a calling convention and leave out names', () => {
    expect(declare('int abs(int number);')(-3)).to.equal(3);
    expect(declare('extern int abs(int number);')(-3)).to.equal(3);
    expect(declare('int __cdecl abs(unsigned int)')(3)).to.equal(3);
    expect(declare('int __stdcall abs(int number)')(-3)).to.equal(3);
    using made = callback('int __cdecl made(int)', () => 1);
    expect(made.released).to.equal(false);
  });

  it('makes koffi throw for the unknown types behind pointers alone, whatever its parameters are named', () => {
    const used = createRequire(import.meta.url)('koffi') as typeof koffi;
    const { type } = used;
    const thrown: unknown[] = [];
    used.type = (spec) => {
      try {
        return type(spec);
      } catch (error) {
        thrown.push(spec);
        throw error;
      }
    };
    try {
      declare('int abs(int number, long unsigned int size, const ValUnion *one, struct no_such *other, ssize_t)');
    } finally {
      used.type = type;
    }
    expect(thrown).to.deep.equal(['no_such']);
  });

  for (const [text, why] of refused) {
    it(`is refused with the reason: ${text.slice(0, 60)}`, () => {
      expectError(() => declare(text), 'ERR_CSLICE_TYPE', why);
    });
  }

  it('is not declared where the library has no such function', () => {
    expectError(() => declare('int no_such_function(int a)'), 'ERR_CSLICE_RANGE', /no_such_function/);
  });
});

describe('a callback', () => {
  const prototype = 'int made(void *context, const char *bytes, int size)';
  const make = (views: unknown) => wrong(callback)(prototype, { views }, () => 0);

  it('is refused for a prototype that cannot be called back', () => {
    expectError(() => wrong(callback)('int made(int a, ...)', () => 0), 'ERR_CSLICE_TYPE', /cannot be variadic/);
    expectError(() => wrong(callback)('int made()', 5), 'ERR_CSLICE_TYPE', /fn must be a function/);
  });

  it('is refused for views that its parameters do not have', () => {
    for (const views of [null, 5, 'bytes'])
      expectError(() => make(views), 'ERR_CSLICE_TYPE', /views must be an object/);
    expectError(() => make({ other: 'size' }), 'ERR_CSLICE_RANGE', /made has no parameter "other"/);
    expectError(() => make({ bytes: 'other' }), 'ERR_CSLICE_RANGE', /made has no parameter "other"/);
    expectError(() => make({ size: 'size' }), 'ERR_CSLICE_TYPE', /size of made is no pointer/);
    expectError(() => make({ bytes: 5 }), 'ERR_CSLICE_TYPE', /the size of bytes must be a name or a function, got 5/);
    const hostile = new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('no keys');
        },
      },
    );
    expectError(() => make(hostile), 'ERR_CSLICE_TYPE', /views cannot be read.*no keys/);
  });

  it('is refused where koffi has no room for more, and made again after a release', () => {
    const made: Disposable[] = [];
    try {
      expectError(
        () => {
          for (let i = 0; i < 100_000; i++) made.push(callback('int made()', () => 1));
        },
        'ERR_CSLICE_EXHAUSTED',
        /was not registered/,
      );
    } finally {
      for (const each of made) each[Symbol.dispose]();
    }
    callback('int made()', () => 1).release();
  });
});

describe('a call with many arguments', () => {
  it('passes numbers, buffers and both, and refuses one argument more or less', () => {
    const compare = declare('int memcmp(const void *a, const void *b, size_t size)');
    using slice = Slice.fromString('ab');
    expect(compare(slice, slice, 2)).to.equal(0);
    expect(compare(slice, Uint8Array.of(0x61, 0x63), 2)).to.be.below(0);
    expectError(() => compare(slice, slice), 'ERR_CSLICE_TYPE', /3 arguments/);
    expectError(() => compare(slice, slice, 2, 3), 'ERR_CSLICE_TYPE', /3 arguments/);
    const print4 = declare('int snprintf(char *out, size_t size, const char *format, int number)');
    const out = new Uint8Array(8);
    expect(print4(out, 8, '%d', 5)).to.equal(1);
    expect(print4(null, 0, 'text', 5)).to.equal(4);
    expectError(() => print4(null, 0, 'text'), 'ERR_CSLICE_TYPE', /4 arguments/);
    const print5 = declare('int snprintf(char *out, size_t size, const char *format, int a, int b)');
    expect(print5(slice, 0, slice, 5, 6)).to.equal(2);
    expect(print5(out, 8, '%d %d', 5, 6)).to.equal(3);
    expectError(() => print5(null, 0, 'text', 5), 'ERR_CSLICE_TYPE', /5 arguments/);
    const print6 = declare('int snprintf(char *out, size_t size, const char *format, int a, int b, int c)');
    expect(print6(slice, 0, slice, 5, 6, 7)).to.equal(2);
    expect(print6(out, 8, '%d%d%d', 5, 6, 7)).to.equal(3);
    expectError(() => print6(null, 0, 'text', 5, 6), 'ERR_CSLICE_TYPE', /6 arguments/);
  });

  it('makes a handle of what C returns, whatever the arguments are', () => {
    const free = { returns: 'handle', free: 'free' };
    using slice = Slice.fromString('text');
    for (const [prototype, args] of [
      ['copied *strdup(const char *text)', [slice]],
      ['copied *strdup(const char *text)', ['text']],
      ['zeroed *calloc(size_t count, size_t size)', [2, 8]],
      ['copied *strndup(const char *text, size_t size)', ['text', 2]],
      ['copied *realpath(const char *path, char *out)', ['/', null]],
      ['copied *reallocarray(void *memory, size_t count, size_t size)', [null, 2, 8]],
    ] as const) {
      const handle = declare(prototype, free)(...args) as { released: boolean; release(): void };
      expect(handle.released).to.equal(false);
      handle.release();
    }
  });
});

describe('what a call concludes', () => {
  const ofNobody = { returns: 'handle', free: () => {} };

  it('is a handle, for numbers, buffers and any number of arguments', () => {
    const bytes = Uint8Array.of(7, 8);
    using slice = Slice.fromBytes(bytes);
    const find = declare('found *memchr(const void *memory, int byte, size_t size)', ofNobody);
    const findAll = declare('found *memmem(const void *in, size_t size, const void *what, size_t length)', ofNobody);
    const map = declare('mapped *mmap(void *at, size_t size, int access, int flags, int file, long from)', ofNobody);
    const { privately, anonymously } = { privately: 2, anonymously: process.platform === 'linux' ? 0x20 : 0x1000 };
    const handles = [
      find(bytes, 8, 2),
      find(slice, 8, 2),
      findAll(bytes, 2, bytes, 2),
      findAll(slice, 2, slice, 2),
      map(null, 4096, 1, privately | anonymously, -1, 0),
      map(bytes, 4096, 1, privately | anonymously, -1, 0),
    ] as { released: boolean; release(): void }[];
    for (const handle of handles) {
      expect(handle.released).to.equal(false);
      handle.release();
    }
  });

  it('is an error for NULL, whatever the arguments are', () => {
    const bytes = new Uint8Array(4);
    using slice = Slice.alloc(4);
    const search = declare('found *bsearch(void *key, void *in, size_t count, size_t size, void *compare)', ofNobody);
    for (const memory of [bytes, slice]) {
      expectError(() => search(memory, memory, 0, 4, null), 'ERR_CSLICE_CALL', /bsearch/);
    }
    expectError(() => search({}, slice, 0, 4, null), 'ERR_CSLICE_TYPE', /key must be/);
  });

  it('is what the declaration says of a failure, though that is no text', () => {
    const copy = declare('const char *strdup(const char *text)', {
      returns: 'string',
      free: 'free',
      failed: () => true,
      message: () => 5,
    });
    expectError(() => copy('text'), 'ERR_CSLICE_CALL', /5/);
  });
});

describe('parts of arguments', () => {
  koffi.struct('ValCalls', { compare: 'ValCompare *', data: 'void *' });

  it('are functions too, which C can call while the call lasts', () => {
    const copy = declare('void *memcpy(void *to, const ValCalls *from, size_t size)');
    const to = new BigUint64Array(2);
    copy(to, { compare: () => 0, data: null }, 16);
    expect(to[0]).to.not.equal(0n);
    expectError(() => copy(to, { compare: {}, data: null }, 16), 'ERR_CSLICE_TYPE');
  });

  it('are values of koffi.as(), but not in the background', async () => {
    const copy = declare('void *memcpy(void *to, const ValCalls *from, size_t size)');
    const from = () => ({ compare: null, data: koffi.as(Uint8Array.of(1), 'uint8_t *') });
    const to = new BigUint64Array(2);
    copy(to, from(), 16);
    expect(to[1]).to.not.equal(0n);
    const error: Error = await copy.async(to, from(), 16).then(wrong, (reason) => reason);
    expect(error.message).to.match(/a value of koffi\.as\(\) cannot be held/);
  });

  it('are what C wrote to an object, after the call', () => {
    const copy = declare('void *memcpy(_Out_ ValBytes4 *to, const void *from, size_t size)');
    const to = { all: 0 };
    copy(to, Uint32Array.of(77), 4);
    expect(to.all).to.equal(77);
    const add = declare('void *memcpy(_Inout_ ValBytes4 *to, const void *from, size_t size)');
    add(to, null, 0);
    expect(to.all).to.equal(77);
  });

  it('are structs that a callback answers', () => {
    const sort = declare('void qsort(void *base, size_t count, size_t size, ValMake *compare)');
    let calls = 0;
    sort(Int32Array.of(2, 1), 2, 4, () => {
      calls++;
      return { all: 0 };
    });
    expect(calls).to.be.above(0);
  });

  it('are refused where a buffer shrank while they were read', () => {
    const copy = declare('void *memcpy(void *to, const ValNested *from, size_t size)');
    const buffer: ArrayBuffer = new (wrong(ArrayBuffer))(16, { maxByteLength: 16 });
    const from = {
      inner: { all: 1 },
      get data() {
        wrong(buffer).resize(4);
        return null;
      },
    };
    expectError(() => copy(buffer, from, 4), 'ERR_CSLICE_TYPE');
  });

  it('of a released handle are told by name, also for a number', () => {
    const copy = declare('copied *strdup(const char *text)', { returns: 'handle', free: 'free' });
    const handle = copy('text') as { release(): void };
    handle.release();
    expectError(() => declare('int abs(int number)')(handle), 'ERR_CSLICE_RELEASED', /number has been released/);
  });
});
