import { expect } from 'chai';
import { configure, liveBlocks, Slice } from '../../../lib/index.ts';
import { takeStack } from '../../../lib/record/stack.ts';
import { nearTheEnd } from '../../helpers/overflow.ts';

const properties = ['prepareStackTrace', 'stackTraceLimit'] as const;

describe('stacks', () => {
  const before = properties.map((name) => [name, Object.getOwnPropertyDescriptor(Error, name)] as const);

  afterEach(() => {
    for (const [name, descriptor] of before) {
      if (descriptor === undefined) Reflect.deleteProperty(Error, name);
      else Object.defineProperty(Error, name, descriptor);
    }
  });

  it("have the program's frames, innermost first; equal ones are one object", () => {
    const take = () => takeStack();
    const [first, second] = [1, 2].map(take);
    expect(first?.frames[0]).to.match(/take .*stack\.test\.ts|stack\.test\.ts/);
    expect(first).to.equal(second);
  });

  it("neither run nor lose a program's own prepareStackTrace, and leave its limit", () => {
    let ran = 0;
    const mine = () => {
      ran++;
      return 'mine';
    };
    Error.prepareStackTrace = mine;
    Error.stackTraceLimit = 1;
    expect(takeStack().frames.length).to.be.above(1);
    expect(ran).to.equal(0);
    expect(Error.prepareStackTrace).to.equal(mine);
    expect(Error.stackTraceLimit).to.equal(1);
    expect(new Error('x').stack).to.equal('mine');
  });

  it('run no accessor that stands in its place, and put it back', () => {
    let ran = 0;
    const accessor = {
      get: () => {
        ran++;
        return undefined;
      },
      set: () => void ran++,
      configurable: true,
      enumerable: true,
    };
    Object.defineProperty(Error, 'prepareStackTrace', accessor);
    takeStack();
    expect(ran).to.equal(0);
    expect(Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace')?.get).to.equal(accessor.get);
  });

  it('throw nothing but an overflow where the stack is almost full, and leave everything as it was', () => {
    const { stackTraceLimit } = Error;
    takeStack(); // compiled, which needs room too
    for (let depth = 1; depth <= 60; depth++) nearTheEnd(depth, () => void takeStack());
    expect(Error.stackTraceLimit).to.equal(stackTraceLimit);
    expect(Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace')).to.deep.equal(before[0]?.[1]);
    expect(takeStack().frames.length).to.be.above(0);
  });

  it('do not keep what their functions were called on', () => {
    configure({ track: true });
    class Owner {
      make(): Slice {
        return Slice.alloc(8);
      }
    }
    using slice = new Owner().make();
    const block = liveBlocks().find(({ address }) => address === slice.address);
    configure({ track: false });
    expect(block?.stack[0]?.name).to.match(/Owner\.make/);
  });
});
