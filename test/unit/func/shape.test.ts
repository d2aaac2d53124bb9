import { expect } from 'chai';
import koffi from 'koffi';
import { shapeOf } from '../../../lib/func/shape.ts';
import { callAsync } from '../../../lib/index.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';

const int = { name: 'int', primitive: 'Int32', size: 4 };

describe('the shape of a type', () => {
  it('has what koffi knows of it, also where the type points to itself', () => {
    const node = koffi.struct('ShapeNode', { next: 'ShapeNode *', value: 'int32_t' });
    const shape = shapeOf(node);
    expect(shape.members?.map(({ name, offset }) => [name, offset])).to.deep.equal([
      ['next', 0],
      ['value', 8],
    ]);
    const loop: Record<string, unknown> = { name: 'loop', primitive: 'Pointer', size: 8 };
    loop.ref = loop;
    const looped = shapeOf(loop);
    expect(looped.ref).to.equal(looped);
  });

  it('has the result of a function that C calls', () => {
    const pointer = koffi.pointer(koffi.proto('double ShapeFunction(int number)'));
    expect(shapeOf(pointer).result?.name).to.equal('double');
  });

  it('is refused for what is no type of koffi', () => {
    for (const type of [undefined, null, 5, 'int', {}, { name: 'x' }, { ...int, size: -1 }, { ...int, size: 0.5 }]) {
      expectError(() => shapeOf(type), 'ERR_CSLICE_TYPE', /must be a koffi type/);
    }
  });

  it('is refused for a struct whose members are not within it', () => {
    for (const member of [
      { name: 'm', offset: 4, type: int },
      { name: 'm', offset: -1, type: int },
      { name: 5, offset: 0, type: int },
    ]) {
      const struct = { name: 's', primitive: 'Record', size: 4, members: { m: member } };
      expectError(() => shapeOf(struct), 'ERR_CSLICE_TYPE', /members do not fit/);
    }
  });

  it('is refused for types within types without an end', () => {
    let type: object = int;
    for (let i = 0; i < 100; i++) type = { name: `p${i}`, primitive: 'Pointer', size: 8, ref: type };
    expectError(() => shapeOf(type), 'ERR_CSLICE_TYPE', /nested deeper than 64 levels/);
  });

  it('is refused, with the reason, where reading it throws', () => {
    const type = {
      get name() {
        throw new Error('no name');
      },
    };
    expectError(() => shapeOf(type), 'ERR_CSLICE_TYPE', /type cannot be read.*no name/);
  });
});

describe('callAsync()', () => {
  const fake = (info: unknown) => Object.assign(() => 0, { async: () => undefined, info });

  it('rejects an imitation of a koffi function, before it calls it', async () => {
    const imitations = [
      fake({ name: 'x', arguments: [{ direction: 'Sideways', type: 'int' }] }),
      fake({ name: 'x', arguments: null }),
      fake({
        get name() {
          throw new Error('no name');
        },
      }),
      fake(undefined),
      { async: () => undefined },
      null,
    ];
    for (const imitation of imitations) {
      const error = await callAsync(wrong(imitation)).then(wrong, (reason) => reason);
      expect(error.code).to.equal('ERR_CSLICE_TYPE');
    }
  });
});
