/** Reads objects of the program's in the midst of an operation, where no code of its own must run: no getter, no trap. */
import { types } from 'node:util';

/** Stands for a value that cannot be read so. */
export const hidden: unique symbol = Symbol('hidden');

/** The value of an object's own property; undefined where there is none. */
export function ownValue(object: unknown, key: PropertyKey): unknown {
  if ((typeof object !== 'object' && typeof object !== 'function') || object === null) return undefined;
  if (types.isProxy(object)) return hidden;
  const property = Object.getOwnPropertyDescriptor(object, key);
  return property === undefined || Object.hasOwn(property, 'value') ? property?.value : hidden;
}

/** The same by the description of a symbol, which is how Node names what it keeps to itself. */
export function ownSymbolValue(object: object, description: string): unknown {
  if (types.isProxy(object)) return hidden;
  const key = Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
  return key === undefined ? undefined : ownValue(object, key);
}

/** The name of an object's class. */
export function classOf(object: object): unknown {
  if (types.isProxy(object)) return hidden;
  const type = ownValue(Object.getPrototypeOf(object), 'constructor');
  return type === hidden ? hidden : ownValue(type, 'name');
}
