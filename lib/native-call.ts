/**
 * Native destructors, called as koffi calls fastest: with one number. The way by way of `giveBack` serves every signature
 * and every thread, for twice the price.
 */
import { isMainThread } from 'node:worker_threads';
import type { NativeDestructor } from './core/destructor.ts';
import { koffi } from './native/koffi.ts';
import type { Integer } from './native/symbols.ts';

type Caller = (address: Integer) => void;

const callers = new WeakMap<NativeDestructor, Caller>();

/** Calls the destructor for an object, whose size is 0. */
export function callerOf(destructor: NativeDestructor): Caller {
  const caller = callers.get(destructor) ?? makeCaller(destructor);
  callers.set(destructor, caller);
  return caller;
}

function makeCaller(destructor: NativeDestructor): Caller {
  const { fn, signature } = destructor.fields;
  if (signature !== 0 || !isMainThread) return (address) => destructor.run(address, 0);
  const { decode, proto } = koffi();
  return decode(fn, proto('void', ['uintptr_t']));
}
