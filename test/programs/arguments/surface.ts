/** Everything public, found in the exports of the package, so that nothing new goes untried. */
import * as cslice from '../../../lib/index.ts';

/** What a caller gets hold of without a class that is exported. */
export type Instances = Readonly<Record<string, () => object>>;

const methodsOfAll = new Set(['constructor', 'length', 'name', 'prototype']);

function isClass(value: unknown): value is { prototype: object } {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

/** Node 20 describes these symbols otherwise. */
function nameOf(key: string | symbol): string {
  if (key === Symbol.dispose) return '[Symbol.dispose]';
  if (key === Symbol.asyncDispose) return '[Symbol.asyncDispose]';
  return typeof key === 'symbol' ? `[${key.description ?? ''}]` : key;
}

function membersOf(object: object): string[] {
  return Reflect.ownKeys(object)
    .filter((key) => typeof key === 'symbol' || !methodsOfAll.has(key))
    .filter((key) => key !== Symbol.toStringTag)
    .map(nameOf);
}

/** `name`, `Class`, `Class.method`, `Class#method` and `object.method` for each of them. */
export function surfaceOf(instances: Instances): string[] {
  const names: string[] = [];
  for (const [name, value] of Object.entries(cslice as Record<string, unknown>)) {
    if (!isClass(value) && typeof value === 'function') names.push(name);
    else if (isClass(value)) names.push(`new ${name}`, ...membersOf(value).map((member) => `${name}.${member}`));
    else if (typeof value === 'object' && value !== null)
      names.push(...membersOf(value).map((member) => `${name}.${member}`));
  }
  for (const [name, make] of Object.entries(instances)) {
    names.push(...membersOf(Object.getPrototypeOf(make())).map((member) => `${name}#${member}`));
  }
  return names;
}

/** Classes among the exports: each must have an instance. */
export function exportedClasses(): string[] {
  return Object.entries(cslice as Record<string, unknown>)
    .filter(([, value]) => isClass(value) && !(value.prototype instanceof Error))
    .map(([name]) => name);
}

export type Member = (...args: unknown[]) => unknown;

/** A member as a function of `this` and the arguments. Getters are called, fields are read. */
export function memberOf(
  name: string,
  instances: Instances,
): { of: object | undefined; call: (self: unknown, args: unknown[]) => unknown } {
  const exported = cslice as unknown as Record<string, unknown>;
  if (name.startsWith('new ')) {
    const Class = exported[name.slice(4)] as new (...args: unknown[]) => object;
    return { of: undefined, call: (_, args) => new Class(...args) };
  }
  const [, owner = '', member] = /^(\w+)[.#]?(.+)?$/.exec(name) ?? [];
  if (member === undefined) return { of: undefined, call: (_, args) => (exported[owner] as Member)(...args) };
  const holder = name.includes('#') ? Object.getPrototypeOf(instances[owner]?.()) : (exported[owner] as object);
  const key = Reflect.ownKeys(holder).find((candidate) => nameOf(candidate) === member);
  if (key === undefined) throw new Error(`there is no ${name}`);
  const descriptor = Object.getOwnPropertyDescriptor(holder, key) as PropertyDescriptor;
  const method = (descriptor.get ?? descriptor.value) as Member;
  return { of: holder, call: (self, args) => Reflect.apply(method, self, args) };
}
