/** Has a collection before and after every call of a slice's methods: what a caller does not hold is gone at once. */
import { Slice } from '../../lib/index.ts';
import { collect } from '../helpers/engine.ts';

function wrap(holder: object): void {
  for (const key of Reflect.ownKeys(holder)) {
    const { value: method, ...descriptor } = Object.getOwnPropertyDescriptor(holder, key) as PropertyDescriptor;
    if (key === 'constructor' || typeof method !== 'function' || descriptor.writable !== true) continue;
    const value = function (this: unknown, ...args: unknown[]): unknown {
      collect();
      try {
        return Reflect.apply(method, this, args);
      } finally {
        collect();
      }
    };
    Object.defineProperty(holder, key, { ...descriptor, value });
  }
}

wrap(Slice);
wrap(Slice.prototype);
