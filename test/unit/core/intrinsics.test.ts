import { expect } from 'chai';
import { Slice } from '../../../lib/index.ts';

/** Does `work` while a property of `object` has another value. */
function where(object: object, name: PropertyKey, changed: PropertyDescriptor, work: () => void): void {
  const before = Object.getOwnPropertyDescriptor(object, name) as PropertyDescriptor;
  Object.defineProperty(object, name, { ...before, ...changed });
  try {
    work();
  } finally {
    Object.defineProperty(object, name, before);
  }
}

describe('functions and classes of the language that the program has replaced', () => {
  const seen: unknown[] = [];
  const note = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) seen.push(value.buffer);
    else if (typeof value === 'object' && value !== null) seen.push(value, (value as { buffer?: unknown }).buffer);
  };

  /** A function that notes what it is given. */
  const noting = (original: (...args: never[]) => unknown): PropertyDescriptor => ({
    value: function (this: unknown, ...args: never[]): unknown {
      for (const value of [this, ...args]) note(value);
      return Reflect.apply(original, this, args);
    },
  });

  /** Everything that is done with a slice without handing out a view. */
  const use = (): void => {
    const slice = Slice.fromString('text');
    slice.text();
    for (const type of ['bool', 'uint8_t', 'int', 'uint64_t', 'double', 'void *', 'char *'] as const) {
      using values = Slice.alloc(16);
      if (type !== 'char *') values.write(type, 8, type === 'bool' ? true : type === 'void *' ? null : 1);
      values.read(type, type === 'char *' ? 0 : 8);
    }
    slice.copy();
    slice.release();
  };

  for (const type of [DataView, Uint8Array]) {
    it(`get no memory of a slice: ${type.name} itself`, () => {
      seen.length = 0;
      const value = new Proxy(type, {
        construct(target, args, asked) {
          for (const arg of args) note(arg);
          return Reflect.construct(target, args, asked);
        },
      });
      where(globalThis, type.name, { value }, use);
      expect(seen.filter((thing) => thing instanceof ArrayBuffer && thing.byteLength === 16)).to.deep.equal([]);
    });
  }

  it('get no memory of a slice: the methods of DataView', () => {
    const methods = Object.getOwnPropertyNames(DataView.prototype).filter((name) => /^[gs]et/.test(name));
    for (const name of methods) {
      seen.length = 0;
      where(DataView.prototype, name, noting(Reflect.get(DataView.prototype, name)), use);
      expect(seen, name).to.deep.equal([]);
    }
  });

  it('do not say how much C copies: byteLength', () => {
    const prototype = Object.getPrototypeOf(Uint8Array.prototype);
    const { get } = Object.getOwnPropertyDescriptor(prototype, 'byteLength') as { get: () => number };
    const source = new Uint8Array(24);
    using target = Slice.alloc(1 << 16);
    const longer = (): number => 1 << 16;
    const lying = function (this: Uint8Array): number {
      return Reflect.apply(get, this, []) === 24 ? longer() : Reflect.apply(get, this, []);
    };
    const codes: unknown[] = [];
    const attempt = (action: () => unknown): void => {
      try {
        codes.push(action() === undefined ? 'done' : 'made');
      } catch (error) {
        codes.push((error as { code?: unknown }).code);
      }
    };
    where(prototype, 'byteLength', { get: lying }, () => {
      attempt(() => Slice.fromBytes(source));
      attempt(() => target.copyFrom(source));
      attempt(() => Slice.concat([source]));
    });
    expect(codes).to.deep.equal(['ERR_CSLICE_TYPE', 'ERR_CSLICE_TYPE', 'ERR_CSLICE_TYPE']);
  });
});
