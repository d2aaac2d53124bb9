/**
 * How a declared function is called. A wrapper for each number of arguments, since a call through koffi takes some 25 ns
 * and a rest array would double that; no code is generated, since some processes forbid `eval`.
 */
import { CSliceError, typeError } from '../errors.ts';
import type { KoffiFunction } from '../native/koffi.ts';
import { direct, type Parameter, parameterOf, Preparation, reasonOf, unfit } from './arguments.ts';
import { koffiSpecOf, parseVariable } from './prototype.ts';
import { enterBackground, leaveBackground, liveCallbacks, within } from './trap.ts';

type AnyFunction = (...args: unknown[]) => unknown;

/** What is needed to call a C function. */
export interface Callee {
  readonly name: string;
  readonly fn: KoffiFunction;
  /** Those that the caller gives. */
  readonly parameters: readonly Parameter[];
  readonly variadic: boolean;
}

/** What a caller gave, with a parameter for each argument. */
export interface Call {
  readonly parameters: readonly Parameter[];
  readonly args: ArrayLike<unknown>;
  /** What koffi gets, from what it gets for each parameter: before a variable one it wants its type. */
  arrange(passed: unknown[]): unknown[];
}

const asTheyAre = (passed: unknown[]): unknown[] => passed;

/** Checks the count. @throws {CSliceError} `ERR_CSLICE_TYPE` */
export function expand(callee: Callee, args: ArrayLike<unknown>): Call {
  const { name, parameters } = callee;
  if (callee.variadic) return expandVariadic(callee, args);
  if (args.length !== parameters.length) {
    throw typeError(`${name} takes ${parameters.length} arguments, got ${args.length}`);
  }
  return { parameters, args, arrange: asTheyAre };
}

/** Variable arguments come in pairs: a type, and a value of it. */
function expandVariadic({ name, parameters }: Callee, args: ArrayLike<unknown>): Call {
  const fixed = parameters.length;
  if (args.length < fixed) throw typeError(`${name} takes ${fixed} arguments or more, got ${args.length}`);
  if ((args.length - fixed) % 2 !== 0) {
    throw typeError(`${name} takes a type and a value for each further argument, got ${args.length - fixed} in all`);
  }
  const all = [...parameters];
  const values = Array.from({ length: fixed }, (_, i) => args[i]);
  const specs: unknown[] = [];
  for (let i = fixed; i < args.length; i += 2) {
    const declared = parseVariable(name, i + 1, args[i]);
    specs.push(koffiSpecOf(declared));
    all.push(parameterOf(name, declared));
    values.push(args[i + 1]);
  }
  const arrange = (passed: unknown[]): unknown[] => {
    const first = passed.length - specs.length; // outputs of ours may have joined the fixed ones
    return [...passed.slice(0, first), ...specs.flatMap((spec, i) => [spec, passed[first + i]])];
  };
  return { parameters: all, args: values, arrange };
}

/** Never passed. Comparing with it makes an argument live until after the call: see {@link afterCall}. */
let neverPassed: unknown = {};

/**
 * Keeps `argument` reachable up to here. Without it V8 may take a slice for garbage once its address has been read, and
 * free its block, on a thread of its own, before C has read it.
 */
export function afterCall(argument: unknown): void {
  if (argument === neverPassed) neverPassed = {};
}

/** The function that JavaScript calls, for what returns koffi's own result. */
export function wrap(callee: Callee): AnyFunction {
  switch (callee.variadic ? -1 : callee.parameters.length) {
    case 0:
      return wrap0(callee);
    case 1:
      return wrap1(callee);
    case 2:
      return wrap2(callee);
    case 3:
      return wrap3(callee);
    case 4:
      return wrap4(callee);
    case 5:
      return wrap5(callee);
    case 6:
      return wrap6(callee);
    default:
      return (...args) => callHeld(callee, args);
  }
}

// biome-ignore-start lint/complexity/noArguments: a rest array costs as much as the call into C

function wrap0(callee: Callee): AnyFunction {
  const { fn } = callee;
  return function () {
    if (arguments.length === 0 && liveCallbacks === 0) return fn();
    return callHeld(callee, arguments);
  };
}

function wrap1(callee: Callee): AnyFunction {
  const { fn } = callee;
  const [p] = callee.parameters as [Parameter];
  return function (a) {
    if (arguments.length === 1 && liveCallbacks === 0) {
      const x = direct(p, a);
      if (x !== unfit) {
        const result = fn(x);
        afterCall(a);
        return result;
      }
    }
    return callHeld(callee, arguments);
  };
}

function wrap2(callee: Callee): AnyFunction {
  const { fn } = callee;
  const [p, q] = callee.parameters as [Parameter, Parameter];
  return function (a, b) {
    if (arguments.length === 2 && liveCallbacks === 0) {
      const x = direct(p, a);
      const y = direct(q, b);
      if (x !== unfit && y !== unfit) {
        const result = fn(x, y);
        afterCall(a);
        afterCall(b);
        return result;
      }
    }
    return callHeld(callee, arguments);
  };
}

function wrap3(callee: Callee): AnyFunction {
  const { fn } = callee;
  const [p, q, r] = callee.parameters as [Parameter, Parameter, Parameter];
  return function (a, b, c) {
    if (arguments.length === 3 && liveCallbacks === 0) {
      const x = direct(p, a);
      const y = direct(q, b);
      const z = direct(r, c);
      if (x !== unfit && y !== unfit && z !== unfit) {
        const result = fn(x, y, z);
        afterCall(a);
        afterCall(b);
        afterCall(c);
        return result;
      }
    }
    return callHeld(callee, arguments);
  };
}

function wrap4(callee: Callee): AnyFunction {
  const { fn } = callee;
  const [p, q, r, s] = callee.parameters as [Parameter, Parameter, Parameter, Parameter];
  return function (a, b, c, d) {
    if (arguments.length === 4 && liveCallbacks === 0) {
      const w = direct(p, a);
      const x = direct(q, b);
      const y = direct(r, c);
      const z = direct(s, d);
      if (w !== unfit && x !== unfit && y !== unfit && z !== unfit) {
        const result = fn(w, x, y, z);
        afterCall(a);
        afterCall(b);
        afterCall(c);
        afterCall(d);
        return result;
      }
    }
    return callHeld(callee, arguments);
  };
}

function wrap5(callee: Callee): AnyFunction {
  const { fn } = callee;
  const [p, q, r, s, t] = callee.parameters as [Parameter, Parameter, Parameter, Parameter, Parameter];
  return function (a, b, c, d, e) {
    if (arguments.length === 5 && liveCallbacks === 0) {
      const v = direct(p, a);
      const w = direct(q, b);
      const x = direct(r, c);
      const y = direct(s, d);
      const z = direct(t, e);
      if (v !== unfit && w !== unfit && x !== unfit && y !== unfit && z !== unfit) {
        const result = fn(v, w, x, y, z);
        afterCall(a);
        afterCall(b);
        afterCall(c);
        afterCall(d);
        afterCall(e);
        return result;
      }
    }
    return callHeld(callee, arguments);
  };
}

function wrap6(callee: Callee): AnyFunction {
  const { fn } = callee;
  const [p, q, r, s, t, o] = callee.parameters as [Parameter, Parameter, Parameter, Parameter, Parameter, Parameter];
  return function (a, b, c, d, e, f) {
    if (arguments.length === 6 && liveCallbacks === 0) {
      const u = direct(p, a);
      const v = direct(q, b);
      const w = direct(r, c);
      const x = direct(s, d);
      const y = direct(t, e);
      const z = direct(o, f);
      if (u !== unfit && v !== unfit && w !== unfit && x !== unfit && y !== unfit && z !== unfit) {
        const result = fn(u, v, w, x, y, z);
        afterCall(a);
        afterCall(b);
        afterCall(c);
        afterCall(d);
        afterCall(e);
        afterCall(f);
        return result;
      }
    }
    return callHeld(callee, arguments);
  };
}

// biome-ignore-end lint/complexity/noArguments: as above

/** Calls with everything held, for arguments that koffi cannot have as they are, and where callbacks may run. */
function callHeld(callee: Callee, args: ArrayLike<unknown>): unknown {
  const { parameters, args: values, arrange } = expand(callee, args);
  const call = new Preparation(mayRunJavaScript(callee), false);
  const passed = arrange(call.all(parameters, values));
  return finish(call, () => callC(callee, passed, call));
}

/** Runs a prepared call to its end, whatever becomes of it. */
function finish(call: Preparation, run: () => unknown): unknown {
  try {
    const result = run();
    call.finish();
    if (call.trap.caught) throw call.trap.error;
    return result;
  } finally {
    call.end();
  }
}

/** Whether callbacks may run before C returns. */
export function mayRunJavaScript({ parameters }: Callee): boolean {
  return liveCallbacks > 0 || parameters.some(({ type }) => type.primitive === 'Callback');
}

/** koffi refuses arguments before it calls C, so there is nothing to give back. */
export function callC({ name, fn }: Callee, passed: unknown[], { trap }: Preparation): unknown {
  return within(trap, () => {
    try {
      return fn(...passed);
    } catch (cause) {
      throw new CSliceError('ERR_CSLICE_TYPE', `${name} was not called: ${reasonOf(cause)}`, { cause });
    }
  });
}

/**
 * Calls C on another thread. `done` gets the result in the moment in which koffi has it, when C's errno is still that of
 * the call. What it throws, and what koffi refuses, rejects the promise; all holds end in every case.
 */
export function callInBackground<T>(
  { name, fn }: Callee,
  call: Preparation,
  passed: unknown[],
  done: (result: unknown) => T,
): Promise<T> {
  if (typeof fn.async !== 'function') {
    call.end();
    throw typeError(`${name} takes a variable number of arguments, and koffi cannot call it asynchronously`);
  }
  return new Promise((resolve, reject) => {
    const { trap } = call;
    const end = (): void => {
      leaveBackground(trap);
      call.end();
    };
    enterBackground(trap);
    try {
      fn.async(...passed, (error: unknown, result: unknown) => {
        try {
          if (error) throw refusedByKoffi(name, error);
          resolve(done(result));
        } catch (thrown) {
          reject(thrown);
        } finally {
          end();
        }
      });
    } catch (error) {
      end();
      reject(refusedByKoffi(name, error));
    }
  });
}

/** The same for what returns koffi's own result. */
export async function callAsyncHeld(callee: Callee, args: ArrayLike<unknown>): Promise<unknown> {
  expand(callee, args);
  const call = new Preparation(true, true);
  const passed = call.all(callee.parameters, args);
  return callInBackground(callee, call, passed, (result) => {
    call.finish();
    if (call.trap.caught) throw call.trap.error;
    return result;
  });
}

function refusedByKoffi(name: string, cause: unknown): CSliceError {
  const reason = reasonOf(cause);
  const code = /too many/i.test(reason) ? 'ERR_CSLICE_LIMIT' : 'ERR_CSLICE_TYPE';
  return new CSliceError(code, `The asynchronous call of ${name} failed: ${reason}`, { cause });
}

