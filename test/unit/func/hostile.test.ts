/** What user code may do while a call is prepared, concluded or ended. */
import { createContext, runInContext } from 'node:vm';
import { expect } from 'chai';
import koffi from 'koffi';
import {
  type CSliceError,
  callback,
  destructor,
  func,
  Handle,
  type Slice,
  Slice as Slices,
  stats,
} from '../../../lib/index.ts';
import { collectUntil } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { freed, objects, objectsPath } from '../../helpers/objects.ts';
import { runForJson } from '../../helpers/run.ts';

koffi.struct('ObjSized', { data: 'void *', size: 'int32_t' });
koffi.union('ObjUnion', { data: 'void *', size: 'int64_t' });

function open(name: string): Handle<'object'> {
  return func(objects(), 'object *obj_new(object *parent, int name)', { returns: 'handle', free: 'obj_free' })(
    null,
    name.charCodeAt(0),
  );
}

for (const callbacks of [0, 1])
  describe(`under hostile arguments, a declared function, with ${callbacks} callbacks of others registered,`, () => {
    let others: Disposable[] = [];

    beforeEach(() => {
      freed();
      others = Array.from({ length: callbacks }, () => callback('void other()', () => undefined));
    });

    afterEach(() => {
      for (const other of others) other[Symbol.dispose]();
    });

    /** Refused, unless the bytes could not be taken away: they are pinned while there are callbacks, collected or not. */
    function expectRefusal(bytes: Uint8Array, action: () => unknown): void {
      let result: unknown;
      try {
        result = action();
      } catch (error) {
        const { code, message } = error as CSliceError;
        expect(`${code} ${message}`).to.match(/TYPE.*(detached|cannot be read)/);
        return;
      }
      expect([result, bytes.byteLength > 0]).to.deep.equal([6, true]);
    }

    const sized = () => func(objects(), 'int obj_sized(const void *before, const ObjSized *sized)');

    it('refuses a buffer that a later argument took away, before C is called', () => {
      const before = new Uint8Array(1 << 20).fill(5);
      const takeAway = (): number => {
        structuredClone(before.buffer, { transfer: [before.buffer] });
        return 1;
      };
      const data = new Uint8Array(8);
      expect(sized()(Uint8Array.of(5), { data, size: 1 })).to.equal(6);
      const argument = {
        data,
        get size() {
          return takeAway();
        },
      };
      expectRefusal(before, () => sized()(before, argument));
    });

    it('refuses a buffer in a struct that its next member took away', () => {
      const data = new Uint8Array(64);
      const argument = {
        data,
        get size() {
          structuredClone(data.buffer, { transfer: [data.buffer] });
          return 1;
        },
      };
      expectRefusal(data, () => sized()(Uint8Array.of(5), argument));
    });

    it('refuses a view of a slice that a later argument released, and keeps a slice that one released', () => {
      const view = Slices.alloc(64);
      const { bytes } = view;
      const releasing = (slice: Slice) => ({
        data: Uint8Array.of(1),
        get size() {
          slice.release();
          return 1;
        },
      });
      expectRefusal(bytes, () => sized()(bytes, releasing(view)));
      const slice = Slices.alloc(64);
      slice.bytes[0] = 9;
      expect(sized()(slice, releasing(slice))).to.equal(10);
      expect(slice.released).to.equal(true);
    });

    it('reads the one member of a union once', () => {
      const read = func(objects(), 'int obj_sized(const ObjUnion *before, const ObjUnion *after)');
      let reads = 0;
      const union = {
        get size() {
          reads++;
          return 7;
        },
      };
      expect(read(union, union)).to.be.a('number');
      expect(reads).to.equal(2);
    });

    it('tells where an output cannot be filled', () => {
      const openInto = func(objects(), 'int obj_open(int name, int code, _Out_ object **object)');
      const frozen = Object.freeze([null]);
      expectError(() => openInto(97, 0, wrong(frozen)), 'ERR_CSLICE_TYPE', /obj_open: object cannot be filled/);
    });

    it('holds a handle whose views have an owner that releases it when they end', () => {
      const handle = open('h');
      const view = func(objects(), 'void *obj_peek(object *object)', { returns: 'view', size: 1, until: ['object'] });
      const name = func(objects(), 'int obj_name(const object *object)');
      const slice = view(handle) as Slice;
      expect(String.fromCharCode(slice.bytes[0] as number)).to.equal('h');
      const owned = Slices.adopt(4096n, 0, () => handle.release());
      owned.release();
      expect([freed(), slice.released]).to.deep.equal(['h', true]);
      expectError(() => name(handle), 'ERR_CSLICE_RELEASED');
    });

    it('keeps its count of what needs a handle where the view cannot be made', async () => {
      const handle = open('h');
      const peek = (size: number | (() => number)) =>
        func(objects(), 'void *obj_peek(object *object)', { returns: 'view', size, keeps: ['object'] });
      for (let i = 0; i < 5; i++) expectError(() => peek(() => -1)(handle), 'ERR_CSLICE_RANGE');
      const view = peek(1)(handle) as Slice;
      handle.release();
      await collectUntil(() => true, 'something');
      expect(freed()).to.equal('');
      view.release();
      await collectUntil(() => stats().liveHandles.object === undefined, 'the handle goes after its view');
      expect(freed()).to.equal('h');
    });

    it('gives up a view whose handle was released by the functions of the declaration', () => {
      const handle = open('h');
      const view = func(objects(), 'void *obj_peek(object *object)', {
        returns: 'view',
        size: () => {
          handle.release();
          return 1;
        },
        until: ['object'],
      });
      expectError(() => view(handle), 'ERR_CSLICE_RELEASED');
      expect(freed()).to.equal('h');
    });

    it('goes on with handles after a destructor was interrupted by a timeout', async () => {
      const context = createContext({ release: () => handle.release() });
      let running = true;
      const handle = Handle.adopt('stuck', 1n, () => {
        while (running); // until it is stopped
      });
      expect(() => runInContext('release()', context, { timeout: 50 })).to.throw(/timed out/);
      running = false;
      await new Promise(setImmediate);
      open('a').release();
      expect(freed()).to.equal('a');
      expect(stats().liveHandles.object).to.equal(undefined);
    });

    it('takes no proxy for a handle, a callback or a slice', () => {
      const name = func(objects(), 'int obj_name(const object *object)');
      using handle = open('a');
      using call = callback('int call(void *context, const char *bytes, size_t size)', () => 0);
      for (const value of [handle, call, Slices.alloc(8)]) {
        const proxy = new Proxy(value, {});
        expectError(() => name(wrong(proxy)), 'ERR_CSLICE_TYPE');
        expectError(() => Handle.adopt('x', 1n, null, { keeps: [wrong(proxy)] }), 'ERR_CSLICE_TYPE');
      }
      expectError(() => Reflect.construct(call.constructor as never, [{ owner: {} }]), 'ERR_CSLICE_TYPE');
      expectError(() => Reflect.construct(handle.lease().constructor as never, [{}]), 'ERR_CSLICE_TYPE');
    });

    it('leaves an object alone that C works on when its thread is terminated, until C is done', () => {
      expect(runForJson('func/terminated-async.ts', { args: [objectsPath()] })).to.deep.equal(['a', 0]);
    });

    it('says why a thing that is thrown by a declaration cannot be told', () => {
      const thrown = new Proxy(
        {},
        {
          get() {
            throw new Error('no property');
          },
          getPrototypeOf() {
            throw new Error('no prototype');
          },
        },
      );
      const make = func(objects(), 'object *obj_new(object *parent, int name)', {
        returns: 'bytes',
        size: () => {
          throw thrown;
        },
        free: destructor(objects(), 'obj_free'),
      });
      expectError(() => make(null, 97), 'ERR_CSLICE_TYPE', /a function of the declaration threw/);
      expect(freed()).to.equal('a');
    });
  });
