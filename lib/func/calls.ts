/**
 * How a declared function is called. A wrapper for each number of arguments, since a call through koffi takes some 25 ns
 * and a rest array would double that; no code is generated, since some processes forbid `eval`.
 */
import { runDestructors } from '../core/destructor.ts';
import { keepAlive } from '../core/keep-alive.ts';
import { type CSliceError, describeError, errorOf, typeError } from '../errors.ts';
import type { KoffiFunction } from '../native/koffi.ts';
import { clearErrno } from '../native/symbols.ts';
import { tracing } from '../record/channels.ts';
import { direct, numeric, type Parameter, Preparation, parameterOf, unfit } from './arguments.ts';
import { koffiSpecOf, parseVariable } from './prototype.ts';
import { kinds } from './shape.ts';
import { enterBackground, leaveBackground, liveCallbacks, within } from './trap.ts';

type AnyFunction = (...args: unknown[]) => unknown;

/** What is needed to call a C function. */
export interface Callee {
  readonly name: string;
  readonly fn: KoffiFunction;
  /** koffi's way to call it on another thread. Undefined for a variadic function. */
  readonly start: KoffiFunction['async'] | undefined;
  /** The same function with an integer for each pointer, which is what numbers are passed to fastest. */
  readonly numbers: AnyFunction;
  /** Those that the caller gives. */
  readonly parameters: readonly Parameter[];
  readonly variadic: boolean;
  /** What a call makes of the result, where that needs nothing of the call. Undefined: koffi's result is the call's. */
  readonly conclude: ((result: unknown) => unknown) | undefined;
}

/** What a caller gave, with a parameter for each argument. */
export interface Call {
  readonly parameters: readonly Parameter[];
  readonly args: ArrayLike<unknown>;
  /** What koffi gets, from what it gets for each parameter: before a variable one it wants its type. */
  arrange(passed: unknown[]): unknown[];
}

const asTheyAre = (passed: unknown[]): unknown[] => passed;

function counted(n: number): string {
  return n === 1 ? '1 argument' : `${n} arguments`;
}

/** Checks the count. @throws {CSliceError} `ERR_CSLICE_TYPE` */
export function expand(callee: Callee, args: ArrayLike<unknown>): Call {
  const { name, parameters } = callee;
  if (callee.variadic) return expandVariadic(callee, args);
  if (args.length !== parameters.length) {
    throw typeError(`${name} takes ${counted(parameters.length)}, got ${args.length}`);
  }
  return { parameters, args, arrange: asTheyAre };
}

/** Variable arguments come in pairs: a type, and a value of it. */
function expandVariadic({ name, parameters }: Callee, args: ArrayLike<unknown>): Call {
  const fixed = parameters.length;
  if (args.length < fixed) throw typeError(`${name} takes ${counted(fixed)} or more, got ${args.length}`);
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

/** What a call does whose arguments need preparation. */
type Prepare = (args: ArrayLike<unknown>) => unknown;

/**
 * The function that JavaScript calls. It tries the way of numbers first, then what koffi takes as it is, such as strings
 * and buffers, and prepares the arguments where neither serves.
 */
export function wrap(callee: Callee, prepare: Prepare): AnyFunction {
  const makers = [wrap0, wrap1, wrap2, wrap3, wrap4, wrap5, wrap6];
  const make = callee.variadic ? undefined : makers[callee.parameters.length];
  return make === undefined ? (...args) => prepare(args) : make(callee, prepare);
}

// In each of these, what does not change is a constant: V8 then knows which function of koffi it calls.
// biome-ignore-start lint/complexity/noArguments: a rest array costs as much as the call into C

function wrap0(callee: Callee, prepare: Prepare): AnyFunction {
  const { fn, conclude } = callee;
  return function () {
    if (arguments.length !== 0 || liveCallbacks > 0) return prepare(arguments);
    if (conclude === undefined) return fn();
    clearErrno();
    return conclude(fn());
  };
}

function wrap1(callee: Callee, prepare: Prepare): AnyFunction {
  const { numbers, fn, conclude } = callee;
  const [p1] = callee.parameters as [Parameter];
  return function (a) {
    if (arguments.length !== 1 || liveCallbacks > 0) return prepare(arguments);
    let x1 = numeric(p1, a);
    let result: unknown;
    if (x1 !== unfit) {
      if (conclude !== undefined) clearErrno();
      result = numbers(x1);
    } else {
      x1 = direct(p1, a);
      if (x1 === unfit) return prepare(arguments);
      if (conclude !== undefined) clearErrno();
      result = fn(x1);
    }
    keepAlive(a);
    return conclude === undefined ? result : conclude(result);
  };
}

function wrap2(callee: Callee, prepare: Prepare): AnyFunction {
  const { numbers, fn, conclude } = callee;
  const [p1, p2] = callee.parameters as [Parameter, Parameter];
  return function (a, b) {
    if (arguments.length !== 2 || liveCallbacks > 0) return prepare(arguments);
    let x1 = numeric(p1, a);
    let x2 = numeric(p2, b);
    let result: unknown;
    if (x1 !== unfit && x2 !== unfit) {
      if (conclude !== undefined) clearErrno();
      result = numbers(x1, x2);
    } else {
      x1 = direct(p1, a);
      x2 = direct(p2, b);
      if (x1 === unfit || x2 === unfit) return prepare(arguments);
      if (conclude !== undefined) clearErrno();
      result = fn(x1, x2);
    }
    keepAlive(a);
    keepAlive(b);
    return conclude === undefined ? result : conclude(result);
  };
}

function wrap3(callee: Callee, prepare: Prepare): AnyFunction {
  const { numbers, fn, conclude } = callee;
  const [p1, p2, p3] = callee.parameters as [Parameter, Parameter, Parameter];
  return function (a, b, c) {
    if (arguments.length !== 3 || liveCallbacks > 0) return prepare(arguments);
    let x1 = numeric(p1, a);
    let x2 = numeric(p2, b);
    let x3 = numeric(p3, c);
    let result: unknown;
    if (x1 !== unfit && x2 !== unfit && x3 !== unfit) {
      if (conclude !== undefined) clearErrno();
      result = numbers(x1, x2, x3);
    } else {
      x1 = direct(p1, a);
      x2 = direct(p2, b);
      x3 = direct(p3, c);
      if (x1 === unfit || x2 === unfit || x3 === unfit) return prepare(arguments);
      if (conclude !== undefined) clearErrno();
      result = fn(x1, x2, x3);
    }
    keepAlive(a);
    keepAlive(b);
    keepAlive(c);
    return conclude === undefined ? result : conclude(result);
  };
}

function wrap4(callee: Callee, prepare: Prepare): AnyFunction {
  const { numbers, fn, conclude } = callee;
  const [p1, p2, p3, p4] = callee.parameters as [Parameter, Parameter, Parameter, Parameter];
  return function (a, b, c, d) {
    if (arguments.length !== 4 || liveCallbacks > 0) return prepare(arguments);
    let x1 = numeric(p1, a);
    let x2 = numeric(p2, b);
    let x3 = numeric(p3, c);
    let x4 = numeric(p4, d);
    let result: unknown;
    if (x1 !== unfit && x2 !== unfit && x3 !== unfit && x4 !== unfit) {
      if (conclude !== undefined) clearErrno();
      result = numbers(x1, x2, x3, x4);
    } else {
      x1 = direct(p1, a);
      x2 = direct(p2, b);
      x3 = direct(p3, c);
      x4 = direct(p4, d);
      if (x1 === unfit || x2 === unfit || x3 === unfit || x4 === unfit) return prepare(arguments);
      if (conclude !== undefined) clearErrno();
      result = fn(x1, x2, x3, x4);
    }
    keepAlive(a);
    keepAlive(b);
    keepAlive(c);
    keepAlive(d);
    return conclude === undefined ? result : conclude(result);
  };
}

function wrap5(callee: Callee, prepare: Prepare): AnyFunction {
  const { numbers, fn, conclude } = callee;
  const [p1, p2, p3, p4, p5] = callee.parameters as [Parameter, Parameter, Parameter, Parameter, Parameter];
  return function (a, b, c, d, e) {
    if (arguments.length !== 5 || liveCallbacks > 0) return prepare(arguments);
    let x1 = numeric(p1, a);
    let x2 = numeric(p2, b);
    let x3 = numeric(p3, c);
    let x4 = numeric(p4, d);
    let x5 = numeric(p5, e);
    let result: unknown;
    if (x1 !== unfit && x2 !== unfit && x3 !== unfit && x4 !== unfit && x5 !== unfit) {
      if (conclude !== undefined) clearErrno();
      result = numbers(x1, x2, x3, x4, x5);
    } else {
      x1 = direct(p1, a);
      x2 = direct(p2, b);
      x3 = direct(p3, c);
      x4 = direct(p4, d);
      x5 = direct(p5, e);
      if (x1 === unfit || x2 === unfit || x3 === unfit || x4 === unfit || x5 === unfit) return prepare(arguments);
      if (conclude !== undefined) clearErrno();
      result = fn(x1, x2, x3, x4, x5);
    }
    keepAlive(a);
    keepAlive(b);
    keepAlive(c);
    keepAlive(d);
    keepAlive(e);
    return conclude === undefined ? result : conclude(result);
  };
}

function wrap6(callee: Callee, prepare: Prepare): AnyFunction {
  const { numbers, fn, conclude } = callee;
  const [p1, p2, p3, p4, p5, p6] = callee.parameters as [
    Parameter,
    Parameter,
    Parameter,
    Parameter,
    Parameter,
    Parameter,
  ];
  return function (a, b, c, d, e, f) {
    if (arguments.length !== 6 || liveCallbacks > 0) return prepare(arguments);
    let x1 = numeric(p1, a);
    let x2 = numeric(p2, b);
    let x3 = numeric(p3, c);
    let x4 = numeric(p4, d);
    let x5 = numeric(p5, e);
    let x6 = numeric(p6, f);
    let result: unknown;
    if (x1 !== unfit && x2 !== unfit && x3 !== unfit && x4 !== unfit && x5 !== unfit && x6 !== unfit) {
      if (conclude !== undefined) clearErrno();
      result = numbers(x1, x2, x3, x4, x5, x6);
    } else {
      x1 = direct(p1, a);
      x2 = direct(p2, b);
      x3 = direct(p3, c);
      x4 = direct(p4, d);
      x5 = direct(p5, e);
      x6 = direct(p6, f);
      if (x1 === unfit || x2 === unfit || x3 === unfit || x4 === unfit || x5 === unfit || x6 === unfit)
        return prepare(arguments);
      if (conclude !== undefined) clearErrno();
      result = fn(x1, x2, x3, x4, x5, x6);
    }
    keepAlive(a);
    keepAlive(b);
    keepAlive(c);
    keepAlive(d);
    keepAlive(e);
    keepAlive(f);
    return conclude === undefined ? result : conclude(result);
  };
}

// biome-ignore-end lint/complexity/noArguments: as above

/** Calls with everything held, for arguments that koffi cannot have as they are, and where callbacks may run. */
export function callHeld(callee: Callee, args: ArrayLike<unknown>): unknown {
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
    runDestructors();
  }
}

/** Whether callbacks may run before C returns. */
export function mayRunJavaScript({ parameters }: Callee): boolean {
  return liveCallbacks > 0 || parameters.some(({ kind }) => kind === kinds.function);
}

/** koffi refuses arguments before it calls C, so there is nothing to give back. */
export function callC({ name, fn }: Callee, passed: unknown[], { trap }: Preparation): unknown {
  return within(trap, () => {
    try {
      return fn(...passed);
    } catch (cause) {
      throw typeError(`${name} was not called: ${describeError(cause, 'message')}`, { cause });
    }
  });
}

/** How many calls koffi has under way, and those that it has no room for. Each waits for the end of one before it. */
let underWay = 0;
const waiting: (() => boolean)[] = [];

/**
 * Calls C on another thread. `done` gets the result in the moment in which koffi has it, when C's errno is still that of
 * the call. What it throws, and what koffi refuses, rejects the promise; all holds end in every case.
 */
export function callInBackground<T>(
  { name, fn, start }: Callee,
  call: Preparation,
  passed: unknown[],
  done: (result: unknown) => T,
): Promise<T> {
  if (start === undefined) {
    call.end();
    throw typeError(`${name} takes a variable number of arguments, and koffi cannot call it asynchronously`);
  }
  const traced = tracing(name);
  return new Promise((resolve, reject) => {
    const { trap } = call;
    const settle = (error: unknown, result: unknown): void => {
      underWay--;
      leaveBackground(trap);
      try {
        if (error) throw refusedByKoffi(name, error);
        const value = done(result);
        traced?.result(value);
        resolve(value);
      } catch (thrown) {
        traced?.error(thrown);
        reject(thrown);
      } finally {
        call.end();
        while (waiting[0]?.()) waiting.shift();
        runDestructors();
      }
    };
    /** False: there is no room yet. */
    const begin = (): boolean => {
      try {
        Reflect.apply(start, fn, [...passed, settle]);
        underWay++;
        enterBackground(trap);
      } catch (error) {
        if (underWay > 0 && isFull(error)) return false;
        const refused = refusedByKoffi(name, error);
        traced?.error(refused);
        call.end();
        reject(refused);
      }
      return true;
    };
    if (!begin()) waiting.push(begin);
    if (traced !== undefined) traced.started();
    runDestructors();
  });
}

function isFull(error: unknown): boolean {
  return /too many/i.test(describeError(error, 'message'));
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
  const reason = describeError(cause, 'message');
  const code = isFull(cause) ? 'ERR_CSLICE_EXHAUSTED' : 'ERR_CSLICE_TYPE';
  return errorOf(code, `The asynchronous call of ${name} failed: ${reason}`, { cause });
}
