import { inspect } from 'node:util';

/**
 * Makes `util.inspect`, and so `console.log`, print objects of a class as `Name { field: value, … }`. Addresses are bigints
 * here, and printed in hexadecimal.
 */
export function inspectAs<T extends object>(
  type: { readonly name: string; readonly prototype: T },
  fields: (object: T) => Readonly<Record<string, number | bigint | boolean | string>>,
): void {
  const { name, prototype } = type;
  Object.defineProperty(prototype, inspect.custom, {
    value(this: T): string {
      try {
        return `${name} { ${listed(fields(this))} }`;
      } catch {
        return `${name} {}`; // for an object that only has the prototype: console.log must not throw
      }
    },
  });
}

function listed(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([key, value]) => `${key}: ${typeof value === 'bigint' ? `0x${value.toString(16)}` : inspect(value)}`)
    .join(', ');
}
