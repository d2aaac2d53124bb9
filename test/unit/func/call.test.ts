import { expect } from 'chai';
import koffi from 'koffi';
import { callback, stats as counts, func, Handle, pin, Slice, stats } from '../../../lib/index.ts';
import { c } from '../../helpers/c-library.ts';
import { collectUntil, settle } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { freed, objects } from '../../helpers/objects.ts';

koffi.struct('ObjPair', { a: 'int32_t', b: 'double' });

type Any = ((...args: unknown[]) => unknown) & { async(...args: unknown[]): Promise<unknown> };

function declare(prototype: string, ownership?: unknown): Any {
  return wrong(ownership === undefined ? func(objects(), prototype) : wrong(func)(objects(), prototype, ownership));
}

async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => error,
  );
}

const integers = 'int obj_types(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f)';

describe('a declared function', () => {
  beforeEach(() => void freed());

  describe('takes', () => {
    it('every integer that its type has, and no other, by the name of the parameter', () => {
      const types = declare(integers);
      expect(types(-128, 255, -32768, 65535, -(2 ** 31), 2 ** 32 - 1)).to.equal(
        -128 + 255 - 32768 + 65535 - 2 ** 31 + 1,
      );
      const ranges = [
        ['a', -129, 128],
        ['b', -1, 256],
        ['c', -32769, 32768],
        ['d', -1, 65536],
        ['e', -(2 ** 31) - 1, 2 ** 31],
        ['f', -1, 2 ** 32],
      ] as const;
      for (const [i, [name, low, high]] of ranges.entries()) {
        for (const value of [low, high, 0.5, Number.NaN, Infinity]) {
          const args: unknown[] = [0, 0, 0, 0, 0, 0];
          args[i] = value;
          expectError(
            () => types(...args),
            'ERR_CSLICE_RANGE',
            new RegExp(`^obj_types: ${name} must be .*, got ${value}$`),
          );
        }
        for (const value of ['1', null, undefined, true, {}, [], 1n, Symbol('1'), { valueOf: () => 1 }]) {
          const args: unknown[] = [0, 0, 0, 0, 0, 0];
          args[i] = value;
          expectError(() => types(...args), typeof value === 'bigint' ? 'ERR_CSLICE_RANGE' : 'ERR_CSLICE_TYPE');
        }
      }
    });

    it('64-bit integers as numbers where those are exact, else as bigints', () => {
      const wide = declare('int64_t obj_wide(int64_t a, uint64_t b)');
      expect(wide(-5, 2n ** 64n - 1n)).to.equal(-4);
      expect(wide(-(2n ** 63n), 0)).to.equal(-(2n ** 63n));
      for (const [a, b] of [
        [2 ** 53, 0],
        [2n ** 63n, 0],
        [0, -1],
        [0, 2n ** 64n],
        [0, -1n],
        [0.5, 0],
      ]) {
        expectError(() => wide(a, b), 'ERR_CSLICE_RANGE');
      }
    });

    it('booleans alone where the prototype has one', () => {
      const not = declare('bool obj_not(bool value)');
      expect([not(true), not(false)]).to.deep.equal([false, true]);
      for (const value of [0, 1, 'true', null, undefined]) expectError(() => not(value), 'ERR_CSLICE_TYPE', /value/);
    });

    it('whatever has bytes where the prototype has a pointer', async () => {
      const sum = declare('int64_t obj_sum(const int32_t *numbers, size_t count)');
      const numbers = Int32Array.of(1, 2, 3);
      const shared = new SharedArrayBuffer(12);
      new Int32Array(shared).set(numbers);
      using slice = Slice.fromBytes(numbers);
      using pinned = pin(numbers);
      const memory = [
        slice,
        numbers,
        numbers.buffer,
        new DataView(numbers.buffer),
        Buffer.from(numbers.buffer),
        shared,
      ];
      for (const value of [...memory, new Int32Array(shared), slice.bytes, slice.address, pinned.address, [1, 2, 3]]) {
        expect(sum(value, 3)).to.equal(6);
        expect(await sum.async(value, 3)).to.equal(6);
      }
      expect(sum(null, 0)).to.equal(0);
      for (const value of [5, 'text', undefined, true, {}, () => {}, Symbol('x'), new Date(), [1, '2']]) {
        expectError(() => sum(value, 0), 'ERR_CSLICE_TYPE');
        expect(await rejectionOf(sum.async(value, 0))).to.have.property('code', 'ERR_CSLICE_TYPE');
      }
      for (const value of [-1n, 2n ** 64n]) expectError(() => sum(value, 0), 'ERR_CSLICE_RANGE', /obj_sum: numbers/);
    });

    it('structs by objects, and fills those that are outputs', async () => {
      const pair = declare('double obj_pair(const ObjPair *pair)');
      expect(pair({ a: 1, b: 1.5 })).to.equal(2.5);
      const swap = declare('void obj_swap(_Inout_ ObjPair *pair)');
      const object = { a: 1, b: 2 };
      swap(object);
      expect(object).to.deep.equal({ a: 2, b: 1 });
      await swap.async(object);
      expect(object).to.deep.equal({ a: 1, b: 2 });
      for (const a of [2 ** 40, 0.5, '1', null, {}, [], [1], new Int32Array(1), () => 1, true]) {
        expectError(
          () => pair({ a, b: 0 }),
          typeof a === 'number' ? 'ERR_CSLICE_RANGE' : 'ERR_CSLICE_TYPE',
          /obj_pair: pair\.a must be/,
        );
      }
    });

    it('handles of the type that the prototype names, and of any where it has a void *', () => {
      const name = declare('int obj_name(const struct object *object)');
      const anything = declare('int obj_name(void *object)');
      using object = declare('object *obj_new(object *parent, int name)', { returns: 'handle', free: 'obj_free' })(
        null,
        65,
      ) as Handle;
      using other = Handle.adopt('other', object.address, null);
      expect([name(object), anything(object), anything(other), name(other.address)]).to.deep.equal([65, 65, 65, 65]);
      expectError(() => name(other), 'ERR_CSLICE_TYPE', /obj_name: object must be .*, got a handle of other/);
      other.release();
      expectError(() => anything(other), 'ERR_CSLICE_RELEASED', /obj_name: object/);
    });

    it('exactly as many arguments as there are parameters, in any number', () => {
      const many = declare('int obj_many(int a, int b, int c, int d, int e, int f, int g, int h)');
      expect(many(1, 1, 1, 1, 1, 1, 1, 1)).to.equal(36);
      for (const count of [0, 1, 7, 9]) {
        expectError(() => many(...new Array(count).fill(1)), 'ERR_CSLICE_TYPE', new RegExp(`takes 8 .*got ${count}`));
      }
      for (const prototype of ['int obj_fail(int a)', 'int obj_call_kept()', 'bool obj_not(bool a)', integers]) {
        expectError(() => declare(prototype)(1, 2, 3, 4, 5, 6, 7), 'ERR_CSLICE_TYPE', /got 7/);
      }
    });
  });

  describe('reads what it is given once, before it takes an address', () => {
    it('so that a getter cannot release an earlier argument', () => {
      const each = declare('double obj_pair(const ObjPair *pair)');
      let reads = 0;
      const object = {
        get a() {
          return ++reads;
        },
        b: 0,
      };
      expect(each(object)).to.equal(1);
      expect(reads).to.equal(1);
      const sum = declare('int64_t obj_sum(const int32_t *numbers, size_t count)');
      const slice = Slice.fromBytes(Int32Array.of(7));
      const size = {
        valueOf() {
          slice.release();
          return 1;
        },
      };
      expectError(() => sum(slice, size), 'ERR_CSLICE_TYPE', /count/);
      expect(slice.released).to.equal(false);
      slice.release();
      expectError(() => sum(slice, 1), 'ERR_CSLICE_RELEASED', /obj_sum: numbers has been released/);
    });
  });

  describe('off the event loop', () => {
    it("tells the errno of C's thread", async () => {
      const fail = declare('int obj_fail(int error)', { failed: (code: number) => code < 0 });
      const errors = await Promise.all([2, 5, 13].map((errno) => rejectionOf(fail.async(errno))));
      expect(errors.map((error) => (error as { errno: number }).errno)).to.deep.equal([2, 5, 13]);
      expect((errors[0] as Error).message).to.equal('obj_fail failed: ENOENT (errno 2)');
    });

    it('holds handles that are released, slices that are dropped and buffers, until C is done', async () => {
      const name = declare('int obj_name_later(object *object, int milliseconds)');
      const handle = declare('object *obj_new(object *parent, int name)', { returns: 'handle', free: 'obj_free' })(
        null,
        66,
      ) as Handle;
      const call = name.async(handle, 50);
      handle.release();
      expect(freed()).to.equal('');
      expect(await call).to.equal(66);
      expect(freed()).to.equal('B');
      const pins = counts().livePins;
      const ofBuffer = name.async(Buffer.alloc(64, 67), 20);
      expect(counts().livePins).to.equal(pins + 1);
      await ofBuffer;
      expect(counts().livePins).to.equal(pins);
    });

    it('rejects rather than throws, and holds nothing then', async () => {
      const sum = declare('int64_t obj_sum(const int32_t *numbers, size_t count)');
      using slice = Slice.alloc(8);
      const before = stats().liveBlocks;
      for (const args of [[], [slice], [slice, 'x'], [slice, -1], [slice, 1, 2]]) {
        expect(await rejectionOf(sum.async(...args))).to.have.property('name', 'CSliceError');
      }
      slice.resize(16); // nothing holds it
      expect(stats().liveBlocks).to.equal(before);
    });
  });

  describe('with a callback', () => {
    const each = 'int obj_each(void *call, void *context, int times)';
    const sized = 'int call(void *context, const char *bytes, size_t size)';

    it('hands over views that are dead when it has returned, also where it threw', () => {
      const views: Uint8Array[] = [];
      using call = callback(sized, { views: { bytes: 'size' } }, (_, bytes) => {
        views.push(bytes);
        if (bytes.length === 3) throw new Error('three');
        return bytes.length;
      });
      expect(declare(each)(call, null, 3)).to.equal(3);
      expect(() => declare(each)(call, null, 9)).to.throw('three');
      expect(views.length).to.equal(7); // after an exception none runs until C has returned
      for (const view of views) expect(view.length).to.equal(0);
    });

    it('refuses a size of a view that is no number, or none that a view can have', () => {
      for (const [size, code] of [
        ...['4', true, null, undefined, 4n, [4], { valueOf: () => 4 }].map(
          (value) => [value, 'ERR_CSLICE_TYPE'] as const,
        ),
        ...[-1, 0.5, Number.NaN].map((value) => [value, 'ERR_CSLICE_RANGE'] as const),
      ]) {
        using call = callback(sized, { views: { bytes: () => wrong(size) } }, (_, bytes) => bytes.length);
        expectError(() => declare(each)(call, null, 1), code, /the size of bytes must be/);
      }
    });

    it('throws what the callback threw, whatever that is, and gives back what C handed over', async () => {
      const make = declare('int obj_make_with(void *call, _Out_ object **object)', {
        returns: 'handle',
        from: 'object',
        free: 'obj_free',
      });
      const hostile = new Proxy(
        {},
        {
          get() {
            throw new Error('trap');
          },
          getPrototypeOf() {
            throw new Error('trap');
          },
        },
      );
      for (const thrown of [new Error('e'), 'text', undefined, null, hostile]) {
        using call = callback(sized, () => {
          throw thrown;
        });
        let caught: unknown = 'nothing';
        try {
          make(call);
        } catch (error) {
          caught = error;
        }
        expect(caught === thrown).to.equal(true);
        expect(freed()).to.equal('w');
        const rejection = await make.async(call).then(
          () => [],
          (error: unknown) => [error],
        ); // a proxy must not be awaited
        expect(rejection.length === 1 && rejection[0] === thrown).to.equal(true);
        expect(freed()).to.equal('w');
      }
    });

    it('refuses an answer that C cannot have', () => {
      for (const answer of ['text', 1.5, undefined, null, {}, 2 ** 40]) {
        using call = callback(sized, () => wrong(answer));
        expectError(
          () => declare(each)(call, null, 1),
          answer === 1.5 || answer === 2 ** 40 ? 'ERR_CSLICE_RANGE' : 'ERR_CSLICE_TYPE',
          /its result/,
        );
      }
    });

    it('keeps it for good where the function keeps it, and for the life of a handle where that does', async () => {
      const { callbacks } = koffi.stats();
      const keep = declare('void obj_keep(void *call)', { keeps: ['call'] });
      keep(callback(sized, () => 77));
      await settle(stats);
      expect(declare('int obj_call_kept()')()).to.equal(77);
      (() => callback(sized, () => 1))();
      await collectUntil(() => koffi.stats().callbacks === callbacks + 1, 'a dropped callback is unregistered');
    });

    it('may be released while it runs', () => {
      const call = callback(sized, () => {
        call.release();
        return 5;
      });
      expect(declare(each)(call, null, 1)).to.equal(5);
      expectError(() => declare(each)(call, null, 1), 'ERR_CSLICE_RELEASED');
    });
  });

  describe('with a variable number of arguments', () => {
    const print = (): Any => wrong(func(c, 'int snprintf(char *out, size_t size, const char *format, ...)'));

    it('takes pairs of a type and a value, and checks both', () => {
      const out = Buffer.alloc(32);
      expect(print()(out, 32, '%d %s %.1f', 'int', -5, 'const char *', 'text', koffi.types.double, 1.5)).to.equal(11);
      expect(out.toString('latin1', 0, 11)).to.equal('-5 text 1.5');
      expectError(() => print()(out, 32, '%d', 'int'), 'ERR_CSLICE_TYPE', /a type and a value/);
      expectError(() => print()(out, 32, '%d', 'int', '5'), 'ERR_CSLICE_TYPE', /argument 5/);
      expectError(() => print()(out, 32, '%d', 'no_such', 5), 'ERR_CSLICE_TYPE', /no_such/);
      expectError(() => print()(out, 32, '%d', 5, 5), 'ERR_CSLICE_TYPE', /argument 4/);
      expectError(() => print()(out, 32), 'ERR_CSLICE_TYPE', /3 arguments or more/);
    });

    it('takes an ownership too, and no asynchronous calls', async () => {
      const format = wrong(
        func(c, 'int asprintf(_Out_ char **text, const char *format, ...)', {
          returns: 'string',
          from: 'text',
          free: 'free',
          failed: (count) => Number(count) < 0,
        }),
      ) as Any;
      expect(format('%d-%s', 'int', 5, 'const char *', 'x')).to.equal('5-x');
      expect(await rejectionOf(format.async('%d', 'int', 5))).to.have.property('code', 'ERR_CSLICE_TYPE');
    });
  });
});
