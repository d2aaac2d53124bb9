/**
 * How a declared function is called. A wrapper for each number of arguments, since a call through koffi takes some 25 ns
 * and a rest array would double that; no code is generated, since some processes forbid `eval`.
 */
import { CSliceError, typeError } from '../errors.ts';
import type { KoffiFunction } from '../native/koffi.ts';
import { direct, numeric, type Parameter, Preparation, parameterOf, reasonOf, unfit } from './arguments.ts';
import { koffiSpecOf, parseVariable } from './prototype.ts';
import { enterBackground, leaveBackground, liveCallbacks, within } from './trap.ts';

type AnyFunction = (...args: unknown[]) => unknown;

/** What is needed to call a C function. */
export interface Callee {
  readonly name: string;
  readonly fn: KoffiFunction;
  /** The same function with an integer for each pointer, which is what numbers are passed to fastest. */
  readonly numbers: AnyFunction;
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

/**
 * The function that JavaScript calls, for what returns koffi's own result. It tries the way of numbers first, then what
 * koffi takes as it is, such as strings and buffers, and prepares the arguments where neither serves.
 */
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

/** Says that the call has not been made. */
const notCalled: unique symbol = Symbol('notCalled');

// biome-ignore-start lint/complexity/noArguments: a rest array costs as much as the call into C

function wrap0(callee: Callee): AnyFunction {
  const { fn } = callee;
  return function () {
    if (arguments.length === 0 && liveCallbacks === 0) return fn();
    return callHeld(callee, arguments);
  };
}

function wrap1(callee: Callee): AnyFunction {
  const { numbers } = callee;
  const [p1] = callee.parameters as [Parameter];
  return function (a) {
    if (arguments.length === 1 && liveCallbacks === 0) {
      const x1 = numeric(p1, a);
      if (x1 !== unfit) {
        const result = numbers(x1);
        afterCall(a);
        return result;
      }
      const result = direct1(callee, a);
      if (result !== notCalled) return result;
    }
    return callHeld(callee, arguments);
  };
}

function wrap2(callee: Callee): AnyFunction {
  const { numbers } = callee;
  const [p1, p2] = callee.parameters as [Parameter, Parameter];
  return function (a, b) {
    if (arguments.length === 2 && liveCallbacks === 0) {
      const x1 = numeric(p1, a);
      const x2 = numeric(p2, b);
      if (x1 !== unfit && x2 !== unfit) {
        const result = numbers(x1, x2);
        afterCall(a);
        afterCall(b);
        return result;
      }
      const result = direct2(callee, a, b);
      if (result !== notCalled) return result;
    }
    return callHeld(callee, arguments);
  };
}

function wrap3(callee: Callee): AnyFunction {
  const { numbers } = callee;
  const [p1, p2, p3] = callee.parameters as [Parameter, Parameter, Parameter];
  return function (a, b, c) {
    if (arguments.length === 3 && liveCallbacks === 0) {
      const x1 = numeric(p1, a);
      const x2 = numeric(p2, b);
      const x3 = numeric(p3, c);
      if (x1 !== unfit && x2 !== unfit && x3 !== unfit) {
        const result = numbers(x1, x2, x3);
        afterCall(a);
        afterCall(b);
        afterCall(c);
        return result;
      }
      const result = direct3(callee, a, b, c);
      if (result !== notCalled) return result;
    }
    return callHeld(callee, arguments);
  };
}

function wrap4(callee: Callee): AnyFunction {
  const { numbers } = callee;
  const [p1, p2, p3, p4] = callee.parameters as [Parameter, Parameter, Parameter, Parameter];
  return function (a, b, c, d) {
    if (arguments.length === 4 && liveCallbacks === 0) {
      const x1 = numeric(p1, a);
      const x2 = numeric(p2, b);
      const x3 = numeric(p3, c);
      const x4 = numeric(p4, d);
      if (x1 !== unfit && x2 !== unfit && x3 !== unfit && x4 !== unfit) {
        const result = numbers(x1, x2, x3, x4);
        afterCall(a);
        afterCall(b);
        afterCall(c);
        afterCall(d);
        return result;
      }
      const result = direct4(callee, a, b, c, d);
      if (result !== notCalled) return result;
    }
    return callHeld(callee, arguments);
  };
}

function wrap5(callee: Callee): AnyFunction {
  const { numbers } = callee;
  const [p1, p2, p3, p4, p5] = callee.parameters as [Parameter, Parameter, Parameter, Parameter, Parameter];
  return function (a, b, c, d, e) {
    if (arguments.length === 5 && liveCallbacks === 0) {
      const x1 = numeric(p1, a);
      const x2 = numeric(p2, b);
      const x3 = numeric(p3, c);
      const x4 = numeric(p4, d);
      const x5 = numeric(p5, e);
      if (x1 !== unfit && x2 !== unfit && x3 !== unfit && x4 !== unfit && x5 !== unfit) {
        const result = numbers(x1, x2, x3, x4, x5);
        afterCall(a);
        afterCall(b);
        afterCall(c);
        afterCall(d);
        afterCall(e);
        return result;
      }
      const result = direct5(callee, a, b, c, d, e);
      if (result !== notCalled) return result;
    }
    return callHeld(callee, arguments);
  };
}

function wrap6(callee: Callee): AnyFunction {
  const { numbers } = callee;
  const [p1, p2, p3, p4, p5, p6] = callee.parameters as [
    Parameter,
    Parameter,
    Parameter,
    Parameter,
    Parameter,
    Parameter,
  ];
  return function (a, b, c, d, e, f) {
    if (arguments.length === 6 && liveCallbacks === 0) {
      const x1 = numeric(p1, a);
      const x2 = numeric(p2, b);
      const x3 = numeric(p3, c);
      const x4 = numeric(p4, d);
      const x5 = numeric(p5, e);
      const x6 = numeric(p6, f);
      if (x1 !== unfit && x2 !== unfit && x3 !== unfit && x4 !== unfit && x5 !== unfit && x6 !== unfit) {
        const result = numbers(x1, x2, x3, x4, x5, x6);
        afterCall(a);
        afterCall(b);
        afterCall(c);
        afterCall(d);
        afterCall(e);
        afterCall(f);
        return result;
      }
      const result = direct6(callee, a, b, c, d, e, f);
      if (result !== notCalled) return result;
    }
    return callHeld(callee, arguments);
  };
}

// biome-ignore-end lint/complexity/noArguments: as above

// With what koffi takes as it is.

function direct1({ fn, parameters }: Callee, a: unknown): unknown {
  const [p1] = parameters as [Parameter];
  const x1 = direct(p1, a);
  if (x1 === unfit) return notCalled;
  const result = fn(x1);
  afterCall(a);
  return result;
}

function direct2({ fn, parameters }: Callee, a: unknown, b: unknown): unknown {
  const [p1, p2] = parameters as [Parameter, Parameter];
  const x1 = direct(p1, a);
  const x2 = direct(p2, b);
  if (x1 === unfit || x2 === unfit) return notCalled;
  const result = fn(x1, x2);
  afterCall(a);
  afterCall(b);
  return result;
}

function direct3({ fn, parameters }: Callee, a: unknown, b: unknown, c: unknown): unknown {
  const [p1, p2, p3] = parameters as [Parameter, Parameter, Parameter];
  const x1 = direct(p1, a);
  const x2 = direct(p2, b);
  const x3 = direct(p3, c);
  if (x1 === unfit || x2 === unfit || x3 === unfit) return notCalled;
  const result = fn(x1, x2, x3);
  afterCall(a);
  afterCall(b);
  afterCall(c);
  return result;
}

function direct4({ fn, parameters }: Callee, a: unknown, b: unknown, c: unknown, d: unknown): unknown {
  const [p1, p2, p3, p4] = parameters as [Parameter, Parameter, Parameter, Parameter];
  const x1 = direct(p1, a);
  const x2 = direct(p2, b);
  const x3 = direct(p3, c);
  const x4 = direct(p4, d);
  if (x1 === unfit || x2 === unfit || x3 === unfit || x4 === unfit) return notCalled;
  const result = fn(x1, x2, x3, x4);
  afterCall(a);
  afterCall(b);
  afterCall(c);
  afterCall(d);
  return result;
}

function direct5({ fn, parameters }: Callee, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown): unknown {
  const [p1, p2, p3, p4, p5] = parameters as [Parameter, Parameter, Parameter, Parameter, Parameter];
  const x1 = direct(p1, a);
  const x2 = direct(p2, b);
  const x3 = direct(p3, c);
  const x4 = direct(p4, d);
  const x5 = direct(p5, e);
  if (x1 === unfit || x2 === unfit || x3 === unfit || x4 === unfit || x5 === unfit) return notCalled;
  const result = fn(x1, x2, x3, x4, x5);
  afterCall(a);
  afterCall(b);
  afterCall(c);
  afterCall(d);
  afterCall(e);
  return result;
}

function direct6(
  { fn, parameters }: Callee,
  a: unknown,
  b: unknown,
  c: unknown,
  d: unknown,
  e: unknown,
  f: unknown,
): unknown {
  const [p1, p2, p3, p4, p5, p6] = parameters as [Parameter, Parameter, Parameter, Parameter, Parameter, Parameter];
  const x1 = direct(p1, a);
  const x2 = direct(p2, b);
  const x3 = direct(p3, c);
  const x4 = direct(p4, d);
  const x5 = direct(p5, e);
  const x6 = direct(p6, f);
  if (x1 === unfit || x2 === unfit || x3 === unfit || x4 === unfit || x5 === unfit || x6 === unfit) return notCalled;
  const result = fn(x1, x2, x3, x4, x5, x6);
  afterCall(a);
  afterCall(b);
  afterCall(c);
  afterCall(d);
  afterCall(e);
  afterCall(f);
  return result;
}

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
