import { getSystemErrorName } from 'node:util';
import { expect } from 'chai';
import koffi from 'koffi';
import { CCallError } from '../../../lib/errors.ts';
import { configure, type Destructor, func as declare, destructor, Slice, stats } from '../../../lib/index.ts';
import { testFailAllocation } from '../../../lib/native/symbols.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { failEach } from '../../helpers/fail-each.ts';
import { ownedCounts, ownedLibrary } from '../../helpers/interop.ts';

/** How a function of owned.c ends. */
const [succeed, failBefore, failAfter, failBetween, succeedWithout] = [0, 1, 2, 3, 4];

const { ENOENT, EIO, EDOM } = { ENOENT: 2, EIO: 5, EDOM: 33 };

koffi.struct('OwnBuffer', { tag: 'int32_t', data: 'void *', size: 'uint32_t' });

type AnyFunction = (...args: unknown[]) => Slice;
type Options = Record<string, unknown>;

function func(prototype: string): ReturnType<ReturnType<typeof ownedLibrary>['func']> {
  return ownedLibrary().func(prototype);
}

function release(): Destructor {
  return destructor(ownedLibrary(), 'own_free');
}

function releaseSized(): Destructor {
  return destructor(ownedLibrary(), 'own_free_sized', { signature: 'ptr,size' });
}

const readPrototype = 'int own_read(size_t size, int how, _Out_ void **data, _Out_ size_t *length)';
const fillPrototype = 'int own_fill(_Out_ OwnBuffer *buffer, size_t size, int how)';

function owned(prototype: string, options: Options): AnyFunction {
  return wrong(declare(ownedLibrary(), prototype, wrong({ returns: 'bytes', free: release(), ...options })));
}

function readAll(options: Options = {}): AnyFunction {
  return owned(readPrototype, { from: 'data', size: 'length', ...options });
}

function fillAll(options: Options = {}): AnyFunction {
  return owned(fillPrototype, { from: 'buffer.data', size: 'buffer.size', ...options });
}

/** What `action` made, freed and threw. */
function outcome(action: () => unknown): { made: number; freed: number; error: unknown } {
  const before = ownedCounts();
  let error: unknown;
  try {
    action();
  } catch (thrown) {
    error = thrown;
  }
  const after = ownedCounts();
  return { made: after.made - before.made, freed: after.freed - before.freed, error };
}

/** `action` must throw a CSliceError, or one of the given code, after which nothing that C made is left. */
function expectFreed(action: () => unknown, made: number, code?: string): CCallError {
  const { liveBlocks } = stats();
  const result = outcome(action);
  expect(result.error, String((result.error as Error)?.stack)).to.have.property('name', 'CSliceError');
  expect([result.made, result.freed]).to.deep.equal([made, made]);
  expect(stats().liveBlocks).to.be.at.most(liveBlocks); // blocks of other tests may be collected meanwhile
  if (code !== undefined) expect(result.error).to.have.property('code', code);
  return result.error as CCallError;
}

function iota(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i + 1);
}

describe('functions of a declaration', () => {
  const prototype = 'void *own_make_sized(size_t size, _Out_ size_t *length)';

  it('see what C has filled: an array, an array of 64-bit integers, in the background as well', async () => {
    const size = (_: number, length: ArrayLike<number | bigint>): number => Number(length[0]);
    const make = owned(prototype, { size }) as AnyFunction & { async: (...args: unknown[]) => Promise<Slice> };
    for (const length of [[0], new BigUint64Array(1)]) {
      using slice = make(12, length);
      expect([slice.byteLength, Number(length[0])]).to.deep.equal([12, 12]);
    }
    const length = [0];
    using slice = await make.async(13, length);
    expect([slice.byteLength, length[0]]).to.deep.equal([13, 13]);
  });

  it('that decide on a failure and say why see it, too, and so does the caller', () => {
    const make = owned(prototype, {
      size: () => 5,
      failed: (_result: unknown, _size: number, [length]: [number]) => length === 5,
      message: (_result: unknown, _size: number, [length]: [number]) => `told ${length}`,
    });
    const length = [0];
    expect(expectFreed(() => make(5, length), 1, 'ERR_CSLICE_CALL').message).to.match(/ failed: told 5$/);
    expect(length).to.deep.equal([5]);
  });

  it('are called once, also a size that throws', () => {
    let calls = 0;
    const size = (): never => {
      calls++;
      throw new Error('no size');
    };
    expectFreed(() => owned(prototype, { size })(5, [0]), 1, 'ERR_CSLICE_TYPE');
    expect(calls).to.equal(1);
  });

  it('are not called where what C has filled cannot be stored, and the memory goes back with its size', () => {
    const make = owned(prototype, { size: () => 9, free: releaseSized() });
    expectFreed(() => make(9, Object.freeze([0])), 1, 'ERR_CSLICE_TYPE');
    expect(ownedCounts().size).to.equal(9);
  });
});

describe('a function that returns bytes', () => {
  describe('makes a slice of what C hands over', () => {
    it('through out parameters, which its callers leave out', () => {
      const read = readAll();
      const before = ownedCounts();
      const slice = read(100, succeed);
      expect(slice).to.be.instanceOf(Slice);
      expect(slice.copy()).to.deep.equal(iota(100));
      expect(ownedCounts().freed).to.equal(before.freed);
      const { address } = slice;
      slice.release();
      slice.release();
      expect(ownedCounts()).to.include({ freed: before.freed + 1, address });
    });

    it('in a struct that C fills', () => {
      const { made, freed } = outcome(() => {
        using slice = fillAll()(50, succeed);
        expect(slice.copy()).to.deep.equal(iota(50));
      });
      expect([made, freed]).to.deep.equal([1, 1]);
    });

    it('as its result, with a size from a parameter, from a constant, or from the arguments', () => {
      const make = 'void *own_make(size_t size)';
      const sized = 'void *own_make_sized(size_t size, _Out_ size_t *length)';
      const functions = [
        owned(sized, { size: 'length' }),
        owned(make, { size: 30 }),
        owned(make, { size: 'size' }),
        owned(make, { size: (size: number) => size }),
      ];
      for (const each of functions) {
        const { made, freed } = outcome(() => {
          using slice = each(30);
          expect(slice.copy()).to.deep.equal(iota(30));
        });
        expect([made, freed]).to.deep.equal([1, 1]);
      }
    });

    it('with the size in the result and the pointer in a parameter', () => {
      const count = owned('uint32_t own_count(size_t size, _Out_ void **data)', { from: 'data', size: 'result' });
      using slice = count(12);
      expect(slice.copy()).to.deep.equal(iota(12));
    });

    it('with a size that goes in and comes out by one parameter', () => {
      const swap = owned('int own_swap(_Out_ void **data, _Inout_ size_t *length)', { from: 'data', size: 'length' });
      using slice = swap([40]);
      expect(slice.copy()).to.deep.equal(iota(20));
    });

    it('whatever the pointer points to by its declaration', () => {
      for (const type of [
        'void *',
        'uint8_t *',
        'own_opaque *',
        'struct own *',
        'OwnBuffer *',
        'const double *',
        'char *',
        'const char *',
      ]) {
        const make = owned(`${type} own_make(size_t size)`, { size: 8 });
        const { made, freed, error } = outcome(() => make(8).release());
        expect([made, freed, error], type).to.deep.equal([1, 1, undefined]);
      }
    });

    it('of no bytes', () => {
      using slice = readAll()(0, succeed);
      expect(slice.byteLength).to.equal(0);
    });

    it('and hands address and size to the destructor, also to one in JavaScript', () => {
      const read = readAll({ free: releaseSized() });
      const slice = read(77, succeed);
      const { address } = slice;
      slice.release();
      expect(ownedCounts()).to.include({ address, size: 77 });
      const calls: [bigint, number][] = [];
      const free = func('void own_free(void *memory)');
      const other = readAll({
        free: (at: bigint, size: number) => {
          calls.push([at, size]);
          free(at);
        },
      })(7, succeed);
      const at = other.address;
      other.release();
      expect(calls).to.deep.equal([[at, 7]]);
    });

    it('which is given back after a collection where nobody releases it', async () => {
      const before = ownedCounts();
      (() => {
        for (let i = 0; i < 20; i++) readAll()(10, succeed);
      })();
      await collectUntil(() => ownedCounts().freed === before.freed + 20, 'all have been given back');
      expect(ownedCounts().made).to.equal(before.made + 20);
    });

    it('in a thousand calls one after the other, with nothing left', () => {
      const read = readAll();
      const { made, freed } = outcome(() => {
        for (let i = 0; i < 1000; i++) read(i % 50, succeed).release();
      });
      expect([made, freed]).to.deep.equal([1000, 1000]);
    });
  });

  describe('when C says that it failed', () => {
    it('throws with the errno, the result and the name of the function', () => {
      const error = expectFreed(() => readAll()(8, failBefore), 0, 'ERR_CSLICE_CALL');
      expect(error).to.be.instanceOf(CCallError);
      expect(error.message).to.match(/own_read.*ENOENT/);
      expect([error.result, error.errno]).to.deep.equal([-1, ENOENT]);
      expect(getSystemErrorName(-error.errno)).to.equal('ENOENT');
    });

    it('gives back what C had handed over before it failed, with the size if that was told', () => {
      const read = readAll({ free: releaseSized() });
      const error = expectFreed(() => read(60, failAfter), 1, 'ERR_CSLICE_CALL');
      expect(error.errno).to.equal(EIO);
      expect(ownedCounts().size).to.equal(60);
      expectFreed(() => fillAll({ free: releaseSized() })(61, failAfter), 1, 'ERR_CSLICE_CALL');
      expect(ownedCounts().size).to.equal(61);
    });

    it('gives back what C had handed over before it failed, though the size was not told', () => {
      expect(expectFreed(() => readAll()(60, failBetween), 1, 'ERR_CSLICE_CALL').errno).to.equal(EDOM);
      expectFreed(() => fillAll()(60, failBetween), 1, 'ERR_CSLICE_CALL');
      expectFreed(() => fillAll()(60, failBefore), 0, 'ERR_CSLICE_CALL');
    });

    it('gives it back by a JavaScript destructor as well, once', () => {
      const calls: number[] = [];
      const free = func('void own_free(void *memory)');
      const read = readAll({
        free: (at: bigint, size: number) => {
          calls.push(size);
          free(at);
        },
      });
      expectFreed(() => read(9, failAfter), 1, 'ERR_CSLICE_CALL');
      expect(calls).to.deep.equal([9]);
    });

    it('throws for a NULL pointer with a result that says nothing of a failure', () => {
      expectFreed(() => readAll()(8, succeedWithout), 0, 'ERR_CSLICE_CALL');
      const make = owned('void *own_make(size_t size)', { size: 8 });
      const error = expectFreed(() => make(2 ** 40), 0, 'ERR_CSLICE_CALL');
      expect(error.message).to.match(/own_make.*ENOMEM/);
      expect(error.result).to.equal(null);
    });

    it("throws with the library's own message where the declaration says how to get it", () => {
      const text = func('const char *own_message()');
      const results: unknown[] = [];
      const read = readAll({
        message: (result: unknown) => {
          results.push(result);
          return text();
        },
      });
      const error = expectFreed(() => read(8, failAfter), 1, 'ERR_CSLICE_CALL');
      expect(error.message).to.match(/own_read failed: broken off/);
      expect(error.errno).to.equal(EIO);
      expect(results).to.deep.equal([-1]);
    });

    it('goes by the declaration where that says what a failure is', () => {
      const never = readAll({ failed: () => false });
      using slice = never(8, failAfter);
      expect(slice.copy()).to.deep.equal(iota(8));
      const always = readAll({ failed: (result: unknown) => result === 0 });
      expectFreed(() => always(8, succeed), 1, 'ERR_CSLICE_CALL');
      expectFreed(() => never(8, failBefore), 0, 'ERR_CSLICE_CALL'); // NULL is no memory whatever it says
    });

    it('keeps nothing of what C handed over when the functions of the declaration throw themselves', () => {
      const thrower = (): never => {
        throw new Error('no message either');
      };
      for (const options of [{ failed: thrower }, { message: thrower }, { size: thrower }]) {
        const { made, freed, error } = outcome(() =>
          readAll(options)(8, failAfter, ...('size' in options ? [[null]] : [])),
        );
        expect(error).to.be.instanceOf(Error);
        expect([made, freed], Object.keys(options).join()).to.deep.equal([1, 1]);
      }
    });

    it('says why the call failed although a JavaScript destructor throws on the way', () => {
      const free = func('void own_free(void *memory)');
      const read = readAll({
        free: (at: bigint) => {
          free(at);
          throw new Error('in the destructor');
        },
      });
      expectFreed(() => read(8, failAfter), 1, 'ERR_CSLICE_CALL');
    });

    it('does not put it down to an errno that an earlier call has left', () => {
      expectFreed(() => readAll()(8, failBefore), 0);
      const quiet = owned('int own_quiet_failure(_Out_ void **data)', { from: 'data', size: 1 });
      const error = expectFreed(() => quiet(), 0, 'ERR_CSLICE_CALL');
      expect(error.message).to.match(/own_quiet_failure failed: .*-3/);
    });
  });

  describe('when the size that C tells is none', () => {
    const prototype = 'int own_report(size_t size, int64_t reported, _Out_ void **data, _Out_ int64_t *length)';

    it('throws ERR_CSLICE_RANGE, and has given the memory back', () => {
      const report = owned(prototype, { from: 'data', size: 'length' });
      for (const size of [-1, -(2 ** 40), 2n ** 53n, (1n << 63n) - 1n, -(1n << 63n)]) {
        expectFreed(() => report(8, size), 1, 'ERR_CSLICE_RANGE');
      }
      using slice = report(8, 8);
      expect(slice.byteLength).to.equal(8);
    });

    it('reads a size of any integer type, in either order of bytes', () => {
      const types: Record<string, bigint> = {
        int8_t: 8n,
        uint8_t: 200n,
        int16_t: 300n,
        uint16_t: 40_000n,
        int32_t: 70_000n,
        uint32_t: 70_000n,
        int64_t: 8n,
        uint64_t: 8n,
        int16_be_t: 0x0800n,
        uint32_be_t: 0x0800_0000n,
        uint64_be_t: 0x0800_0000_0000_0000n,
      };
      for (const [type, told] of Object.entries(types)) {
        const text = `int own_report(size_t size, int64_t reported, _Out_ void **data, _Out_ ${type} *length)`;
        using slice = wrong(owned(text, { from: 'data', size: 'length' }))(70_000, told);
        expect(slice.byteLength, type).to.equal(type.includes('_be_') ? 8 : Number(told));
      }
    });

    it('throws for whatever a size function makes up, and has given the memory back', () => {
      for (const [size, code] of [
        [-1, 'ERR_CSLICE_RANGE'],
        [0.5, 'ERR_CSLICE_RANGE'],
        [Number.NaN, 'ERR_CSLICE_RANGE'],
        [Infinity, 'ERR_CSLICE_RANGE'],
        [2 ** 60, 'ERR_CSLICE_RANGE'],
        [undefined, 'ERR_CSLICE_TYPE'],
        [null, 'ERR_CSLICE_TYPE'],
        ['8', 'ERR_CSLICE_TYPE'],
        [{}, 'ERR_CSLICE_TYPE'],
      ] as const) {
        expectFreed(() => readAll({ size: () => wrong(size) })(8, succeed, [null]), 1, code);
      }
    });

    it('never tells a destructor a size that no memory has', () => {
      const sizes: unknown[] = [];
      const free = func('void own_free(void *memory)');
      const take: Destructor = (at, size) => {
        sizes.push(size);
        free(at);
      };
      for (const size of [-1, 0.5, Number.NaN, Infinity, '8', undefined]) {
        expectFreed(() => readAll({ size: () => wrong(size), free: take })(8, succeed, [null]), 1);
      }
      for (const size of sizes)
        expect(Number.isSafeInteger(size) && (size as number) >= 0, String(size)).to.equal(true);
      expect(sizes.length).to.equal(6);
    });
  });

  describe('when memory is exhausted', () => {
    it('throws ERR_CSLICE_NOMEM at each allocation that fails, and has given back what C had handed over', () => {
      for (const options of [{}, { free: releaseSized() }]) {
        const read = readAll(options);
        const before = ownedCounts();
        const { failures, codes } = failEach(
          () => read(32, succeed),
          (slice) => slice.release(),
        );
        expect(failures).to.be.at.least(1);
        expect(codes).to.deep.equal(['ERR_CSLICE_NOMEM']);
        const after = ownedCounts();
        expect([after.made, after.freed]).to.deep.equal([before.made + failures + 1, before.freed + failures + 1]);
      }
    });

    it('runs a JavaScript destructor once at each allocation that fails', () => {
      const free = func('void own_free(void *memory)');
      let calls = 0;
      const read = readAll({
        free: (at: bigint) => {
          calls++;
          free(at);
        },
      });
      const { failures } = failEach(
        () => read(32, succeed),
        (slice) => slice.release(),
      );
      expect(calls).to.equal(failures + 1);
    });

    it('takes what C hands over past the configured limit: it is there already', () => {
      configure({ limitBytes: 1 });
      try {
        readAll()(100, succeed).release();
      } finally {
        configure({ limitBytes: 0 });
      }
    });
  });

  describe('takes slices', () => {
    it('wherever a pointer is expected, as their first byte', () => {
      const copyOf = owned('void *own_copy(const void *source, size_t size)', {
        size: (_: unknown, size: number) => size,
      });
      using source = Slice.fromBytes(Uint8Array.of(9, 8, 7, 6));
      using middle = source.subslice(1, 3);
      for (const [from, bytes] of [
        [source, [9, 8, 7, 6]],
        [middle, [8, 7]],
        [source.address, [9, 8]],
        [Uint8Array.of(1, 2, 3), [1, 2, 3]],
        [source.bytes, [9, 8, 7]],
      ] as const) {
        using copied = copyOf(from, bytes.length);
        expect([...copied.copy()]).to.deep.equal(bytes);
      }
    });

    it('and refuses a released one before C is called', () => {
      const copyOf = owned('void *own_copy(const void *source, size_t size)', {
        size: (_: unknown, size: number) => size,
      });
      const released = Slice.alloc(8);
      released.release();
      expectFreed(() => copyOf(released, 8), 0, 'ERR_CSLICE_RELEASED');
    });

    it('and shows them to a size function as they were given', () => {
      const copyOf = owned('void *own_copy(const void *source, size_t size)', {
        size: (source: Slice) => source.byteLength,
      });
      using source = Slice.fromBytes(Uint8Array.of(1, 2, 3));
      using copied = copyOf(source, 3);
      expect(copied.byteLength).to.equal(3);
    });
  });

  describe('refuses', () => {
    it('too few and too many arguments, and calls nothing', () => {
      const read = readAll();
      expectFreed(() => read(), 0, 'ERR_CSLICE_TYPE');
      expectFreed(() => read(8), 0, 'ERR_CSLICE_TYPE');
      expectFreed(() => read(8, succeed, [null]), 0, 'ERR_CSLICE_TYPE');
      expect(expectFreed(() => read(8, succeed, [null], [null]), 0).message).to.match(/own_read takes 2 .*got 4/);
    });

    it('arguments that C does not take, with an error of its own', () => {
      for (const [size, how] of [
        ['8', 0],
        [{}, 0],
        [8, '0'],
        [undefined, 0],
        [Symbol('8'), 0],
      ]) {
        expectFreed(() => readAll()(size, how), 0, 'ERR_CSLICE_TYPE');
      }
    });

    it('what is not a library, and what is not a prototype', () => {
      for (const lib of [undefined, null, () => 0, 'own.so', {}, Math]) {
        expectError(() => declare(wrong(lib), readPrototype), 'ERR_CSLICE_TYPE', /lib/);
      }
      for (const prototype of [
        undefined,
        null,
        5,
        {},
        '',
        'own_read',
        'int own_read',
        'int own_read(',
        'own_read()',
        'int own_read() 5',
      ]) {
        expectError(() => declare(ownedLibrary(), wrong(prototype)), 'ERR_CSLICE_TYPE', /prototype/);
      }
      expectError(() => declare(ownedLibrary(), 'int own_nothing()'), 'ERR_CSLICE_RANGE', /own_nothing/);
      expectError(() => declare(ownedLibrary(), 'own_unknown own_read()'), 'ERR_CSLICE_TYPE', /own_unknown/);
    });

    it('what is not a declaration, and names the keys of one', () => {
      for (const ownership of [null, 5, 'result', [1], () => {}]) {
        expectError(() => declare(ownedLibrary(), readPrototype, wrong(ownership)), 'ERR_CSLICE_TYPE', /ownership/);
      }
      expectError(() => readAll({ pointer: 2 }), 'ERR_CSLICE_TYPE', /"pointer".*returns.*from.*size.*free.*keeps/);
      expectError(() => readAll({ returns: 'slice' }), 'ERR_CSLICE_RANGE', /bytes, string, handle, block, view/);
      expectError(() => readAll({ returns: 'toString' }), 'ERR_CSLICE_RANGE', /returns/);
      expectError(() => readAll({ until: ['data'] }), 'ERR_CSLICE_TYPE', /until/);
      expectError(
        () => owned('void *own_make(size_t size)', { returns: 'string', size: 8 }),
        'ERR_CSLICE_TYPE',
        /size/,
      );
    });

    it('a pointer that is at no such place, or that is none', () => {
      for (const from of ['', 'none', 'Data', 'size', 'how', 'data.none', 'data.x.y']) {
        expectError(() => readAll({ from }), 'ERR_CSLICE_RANGE', /from/);
      }
      for (const from of [null, 2, {}, 2n]) expectError(() => readAll({ from }), 'ERR_CSLICE_TYPE', /from/);
      expectError(() => readAll({ from: 'result' }), 'ERR_CSLICE_TYPE', /from/);
      expectError(() => readAll({ from: 'length' }), 'ERR_CSLICE_TYPE', /from/);
      for (const member of ['none', 'toString', '__proto__']) {
        expectError(() => fillAll({ from: `buffer.${member}` }), 'ERR_CSLICE_RANGE', /from/);
      }
      expectError(() => fillAll({ from: 'buffer.tag' }), 'ERR_CSLICE_TYPE', /from/);
      expectError(() => fillAll({ from: 'size.data' }), 'ERR_CSLICE_RANGE', /from/);
    });

    it('a size that is at no such place, or that is none', () => {
      for (const size of [-1, 0.5, 2 ** 60, 'none', 'buffer.none']) {
        expectError(() => fillAll({ size }), 'ERR_CSLICE_RANGE', /size/);
      }
      for (const size of [undefined, null, {}, 3n]) expectError(() => readAll({ size }), 'ERR_CSLICE_TYPE', /size/);
      expectError(() => fillAll({ size: 'buffer.data' }), 'ERR_CSLICE_TYPE', /integer/);
      expectError(() => readAll({ size: 'data' }), 'ERR_CSLICE_TYPE', /integer/);
    });

    it('what gives nothing back, and functions that are none', () => {
      for (const free of [undefined, null, {}, 5n])
        expectError(() => readAll({ free }), 'ERR_CSLICE_TYPE', /free|destructor/);
      expectError(() => readAll({ free: 'own_no_such' }), 'ERR_CSLICE_RANGE', /own_no_such/);
      for (const value of [null, 5, 'text', {}])
        expectError(() => readAll({ failed: value }), 'ERR_CSLICE_TYPE', /failed/);
      for (const value of [null, 5, {}]) expectError(() => readAll({ message: value }), 'ERR_CSLICE_TYPE', /message/);
      for (const keeps of [null, 5, 'data', {}]) expectError(() => readAll({ keeps }), 'ERR_CSLICE_TYPE', /keeps/);
      expectError(() => readAll({ keeps: ['none'] }), 'ERR_CSLICE_RANGE', /keeps/);
      expectError(() => readAll({ keeps: ['size'] }), 'ERR_CSLICE_TYPE', /keeps/);
    });

    it('no property of the declaration is read twice: what its getter returns later has no effect', () => {
      let reads = 0;
      const ownership = {
        returns: 'bytes',
        from: 'data',
        free: 'own_free',
        get size() {
          return ++reads === 1 ? 'length' : 'none';
        },
      };
      const read = wrong(declare(ownedLibrary(), readPrototype, wrong(ownership))) as AnyFunction;
      read(8, succeed).release();
      read(8, succeed).release();
      expect(reads).to.equal(1);
    });
  });
});

describe('a function that returns a string', () => {
  type Text = (...args: unknown[]) => string;

  function textOf(options: Options = {}): Text {
    return wrong(owned('char *own_text(const char *text)', { returns: 'string', ...options }));
  }

  function copiedOf(options: Options = {}): Text {
    const prototype = 'int own_text_out(const char *text, int how, _Out_ char **copy)';
    return wrong(owned(prototype, { returns: 'string', from: 'copy', ...options }));
  }

  it("returns C's string as a JavaScript string, with C's given back", () => {
    for (const text of ['', 'text', 'grüße, 世界 🌍', 'x'.repeat(100_000)]) {
      const before = ownedCounts();
      expect(textOf()(text)).to.equal(text);
      const { made, freed } = ownedCounts();
      expect([made - before.made, freed - before.freed]).to.deep.equal([1, 1]);
    }
  });

  it('takes it from an out parameter too', () => {
    const copied = copiedOf();
    expect(copied('über', succeed)).to.equal('über');
    expectFreed(() => copied('text', failBefore), 0, 'ERR_CSLICE_CALL');
    expectFreed(() => copied('text', failAfter), 1, 'ERR_CSLICE_CALL');
  });

  it('throws for NULL', () => {
    expectFreed(() => textOf()(null), 0, 'ERR_CSLICE_CALL');
  });

  it('tells a destructor the size that the string has in C, its NUL included', () => {
    const sized = textOf({ free: releaseSized() });
    expect(sized('grüße')).to.equal('grüße');
    expect(ownedCounts().size).to.equal(Buffer.byteLength('grüße') + 1);
  });

  it('tells a destructor the right size also of a string that is not UTF-8', () => {
    const latin1 = owned('void *own_latin1()', { returns: 'string', free: releaseSized() });
    expect(latin1()).to.equal('caf\ufffd');
    expect(ownedCounts().size).to.equal(5);
  });

  it('is read by the width of its characters', () => {
    const units: readonly [string, Uint16Array | Uint32Array][] = [
      ['char16_t', Uint16Array.from([0x67, 0xd83c, 0xdf0d, 0])],
      ['char32_t', Uint32Array.from([0x67, 0x1f30d, 0])],
    ];
    for (const [type, characters] of units) {
      const copy = owned(`${type} *own_copy(const void *source, size_t size)`, {
        returns: 'string',
        free: releaseSized(),
      });
      expect(wrong(copy)(characters, characters.byteLength), type).to.equal('g🌍');
      expect(ownedCounts().size, type).to.equal(characters.byteLength);
    }
  });

  it('tells a destructor the right size also when the call failed', () => {
    const copied = copiedOf({ free: releaseSized() });
    expectFreed(() => copied('longer text', failAfter), 1, 'ERR_CSLICE_CALL');
    expect(ownedCounts().size).to.equal(12);
  });

  it('needs no memory of C, and gives the string back when there is none', () => {
    const before = ownedCounts();
    const text = textOf();
    testFailAllocation(1);
    try {
      expect(text('text')).to.equal('text');
    } finally {
      testFailAllocation(0);
    }
    const after = ownedCounts();
    expect(after.freed - before.freed).to.equal(after.made - before.made);
  });
});
