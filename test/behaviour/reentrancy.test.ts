import { Script } from 'node:vm';
import { expect } from 'chai';
import { Arena, Pool, Slice } from '../../lib/index.ts';

const released = 'has been released';

describe('user code in the middle of an operation', () => {
  it('a view class that resizes the slice gets an error with a code', () => {
    using slice = Slice.alloc(64);
    class Resizing extends Uint8Array<ArrayBuffer> {
      constructor(buffer: ArrayBuffer, byteOffset: number, length: number) {
        slice.resize(8);
        super(buffer, byteOffset, length);
      }
    }
    expect(() => slice.view(Resizing))
      .to.throw()
      .with.property('code', 'ERR_CSLICE_RELEASED');
  });

  it('a destructor that releases the arena within array() leaves a dead view and throws nothing', () => {
    const arena = new Arena();
    const child = arena.arena();
    class Releasing extends Uint8Array<ArrayBuffer> {
      constructor(buffer: ArrayBuffer, byteOffset: number, length: number) {
        super(buffer, byteOffset, length);
        Slice.adopt(4096n, 1, () => arena.release()).release();
      }
    }
    const view = child.array(Releasing, 8);
    expect(view.byteLength).to.equal(0);
    expect(child.released).to.equal(true);
  });

  it('a released arena makes no child, also where a getter of the options releases it', () => {
    const arena = new Arena();
    const options = {
      get slabBytes() {
        arena.release();
        return 64;
      },
    };
    expect(() => arena.arena(options)).to.throw(released);
  });

  it('writeTo() of a slice that a property of the stream releases is refused', async () => {
    const slice = Slice.alloc(2048);
    const stream = {
      write: () => true,
      get on() {
        slice.release();
        return () => stream;
      },
    };
    const failure = await slice.writeTo(stream as never).catch((error: unknown) => error);
    expect(failure).to.have.property('code', 'ERR_CSLICE_RELEASED');
  });

  it('a block of a pool that was returned during a loan is not returned again by a later loan', async () => {
    using pool = new Pool({ byteLength: 64, capacity: 1 });
    const first = pool.rent();
    await first.lend(async () => first.release());
    using second = pool.rent();
    await second.lend(async () => {});
    expect(() => pool.rent())
      .to.throw()
      .with.property('code', 'ERR_CSLICE_EXHAUSTED');
  });

  it('a loan whose use a timeout has stopped is over with the job', async () => {
    using slice = Slice.alloc(64);
    const shared = globalThis as { lendForEver?: () => void };
    shared.lendForEver = () => {
      void slice.lend(() => {
        for (;;);
      });
    };
    expect(() => new Script('lendForEver()').runInThisContext({ timeout: 20 })).to.throw();
    await new Promise(setImmediate);
    slice.resize(8);
    await slice[Symbol.asyncDispose]();
    expect(slice.released).to.equal(true);
  });
});
