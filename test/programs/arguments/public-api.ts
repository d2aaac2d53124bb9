/** Lists the public functions, classes and methods from the exports of the package, so that none is forgotten. */
import { inspect } from 'node:util';
import * as cslice from '../../../lib/index.ts';

/** By the name of the class, exported or not, a function that makes an object of it. */
export type Instances = Readonly<Record<string, () => object>>;

const inEveryClass = new Set(['constructor', 'length', 'name', 'prototype']);

/** What `instanceof` and `console.log` call with any object, which must not throw. */
const forTheLanguage = new Set<string | symbol>([Symbol.toStringTag, Symbol.hasInstance, inspect.custom]);

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
    .filter((key) => typeof key === 'symbol' || !inEveryClass.has(key))
    .filter((key) => !forTheLanguage.has(key))
    .map(nameOf);
}

/** `name`, `Class`, `Class.method`, `Class#method` and `object.method` for each of them. */
export function publicNames(instances: Instances): string[] {
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

/** Calls a public function with `this` and arguments. A getter is called too. */
export type PublicFunction = (self: unknown, args: readonly unknown[]) => unknown;

/** The function of a name that `publicNames` has listed. */
export function functionOf(name: string, instances: Instances): PublicFunction {
  const exported = cslice as unknown as Record<string, unknown>;
  if (name.startsWith('new ')) {
    const Class = exported[name.slice(4)] as new (...args: unknown[]) => object;
    return (_, args) => new Class(...args);
  }
  const [, owner = '', member] = /^(\w+)[.#]?(.+)?$/.exec(name) ?? [];
  type Function = (...args: unknown[]) => unknown;
  if (member === undefined) return (_, args) => (exported[owner] as Function)(...args);
  const holder = name.includes('#') ? Object.getPrototypeOf(instances[owner]?.()) : (exported[owner] as object);
  const key = Reflect.ownKeys(holder).find((candidate) => nameOf(candidate) === member);
  if (key === undefined) throw new Error(`there is no ${name}`);
  const { get, value } = Object.getOwnPropertyDescriptor(holder, key) as PropertyDescriptor;
  return (self, args) => Reflect.apply((get ?? value) as Function, self, args);
}
