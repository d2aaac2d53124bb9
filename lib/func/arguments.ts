/**
 * What JavaScript passes to C. A call checks every argument before C is called, and koffi gets only what it takes
 * exactly: by itself it cuts numbers to size, takes numbers for pointers, and reads objects while it converts them.
 */
import { types } from 'node:util';
import { bytesOf } from '../core/check.ts';
import { type Hold, type Kind, kindOf, releaseAll } from '../core/owner.ts';
import { CSliceError, isOurs, rangeError, show, typeError, unreadable } from '../errors.ts';
import { type Handle, isHandle, isTied, ownerOfTied, ownerOrNone, type Tied } from '../handle.ts';
import type { TypeObject } from '../native/koffi.ts';
import type { Integer } from '../native/symbols.ts';
import { pin } from '../pin.ts';
import { integerOf, isSlice, type Slice, sliceLease } from '../slice.ts';
import type { DeclaredParameter, Direction } from './prototype.ts';
import { type Trap, throwAlone, trapOf } from './trap.ts';

/** What kind of values a parameter takes. Numbers, since a switch over them is what a call can afford. */
export const kinds = {
  int8: 0,
  uint8: 1,
  int16: 2,
  uint16: 3,
  int32: 4,
  uint32: 5,
  int64: 6,
  uint64: 7,
  real: 8,
  bool: 9,
  string: 10,
  pointer: 11,
  function: 12,
  struct: 13,
} as const;

const kindsOfPrimitives: Readonly<Record<string, number>> = {
  Bool: kinds.bool,
  Int8: kinds.int8,
  UInt8: kinds.uint8,
  Int16: kinds.int16,
  Int16S: kinds.int16,
  UInt16: kinds.uint16,
  UInt16S: kinds.uint16,
  Int32: kinds.int32,
  Int32S: kinds.int32,
  UInt32: kinds.uint32,
  UInt32S: kinds.uint32,
  Int64: kinds.int64,
  Int64S: kinds.int64,
  UInt64: kinds.uint64,
  UInt64S: kinds.uint64,
  Float32: kinds.real,
  Float64: kinds.real,
  String: kinds.string,
  String16: kinds.string,
  String32: kinds.string,
  Pointer: kinds.pointer,
  Callback: kinds.function,
  Record: kinds.struct,
  Union: kinds.struct,
};

/** One parameter that the caller of a function gives. */
export interface Parameter {
  /** Of the C function, for messages. */
  readonly owner: string;
  readonly name: string;
  readonly kind: number;
  readonly direction: Direction;
  readonly type: TypeObject;
  /** Of the integers that it takes; none lies between them where it takes none. */
  readonly lowest: number;
  readonly highest: number;
  readonly isReal: boolean;
  /** As the prototype has it. */
  readonly text: string;
  /** Of the handles that it takes; undefined: of all. */
  readonly target: Kind | undefined;
  readonly takesStrings: boolean;
}

export function parameterOf(owner: string, declared: DeclaredParameter): Parameter {
  const { name, direction, type, text, target, isConst, stars } = declared;
  const handles = stars === 1 && target === 'void' ? undefined : kindOf(stars > 1 ? text : target);
  return newParameter(owner, name, direction, type, text, handles, isConst || stars === 0);
}

/** In one place, so that all have the same hidden class. */
function newParameter(
  owner: string,
  name: string,
  direction: Direction,
  type: TypeObject,
  text: string,
  target: Kind | undefined,
  isConst: boolean,
): Parameter {
  const kind = kindOfType(type);
  const isReal = kind === kinds.real;
  const [lowest, highest] = kind < kinds.real ? numbersOf(kind) : [0.5, -0.5];
  const takesStrings = kind === kinds.string && direction === 'in' && isConst;
  return { owner, name, kind, direction, type, lowest, highest, isReal, text, target, takesStrings };
}

/** The range of an integer type, as far as numbers are exact. */
function numbersOf(kind: number): [number, number] {
  const [lowest, highest] = integersOf(kind);
  const most = Number.MAX_SAFE_INTEGER;
  return [Math.max(Number(lowest), -most), Math.min(Number(highest), most)];
}

/** Of a function that koffi has declared, whose parameters have no names. */
export function parameterOfKoffi(owner: string, index: number, direction: Direction, type: TypeObject): Parameter {
  return newParameter(owner, `argument ${index + 1}`, direction, type, type.name, undefined, true);
}

export function kindOfType(type: TypeObject): number {
  return kindsOfPrimitives[type.primitive] ?? kinds.struct;
}

/** Says that koffi cannot have a value as it is. */
export const unfit: unique symbol = Symbol('unfit');

const lengthOfArray = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'byteLength')
  ?.get as () => number;

/**
 * What a call that passes numbers alone gets for a value, or {@link unfit}. Objects of C go as numbers, since koffi takes
 * those as fast as any pointer, and JavaScript makes no bigint for them.
 *
 * Runs no code of the caller's: nothing that an earlier argument stands for can be released by a later one.
 */
export function numeric(parameter: Parameter, value: unknown): unknown {
  if (typeof value === 'number') {
    if (parameter.isReal) return value;
    return value >= parameter.lowest && value <= parameter.highest && Math.floor(value) === value ? value : unfit;
  }
  if (parameter.kind < kinds.string) return otherScalar(parameter, value);
  if (parameter.kind === kinds.struct) return unfit;
  if (value === null) return 0;
  if (typeof value === 'object') {
    const address = integerOf(value) ?? addressOfHandle(parameter, value);
    return typeof address === 'number' ? address : unfit;
  }
  if (typeof value !== 'bigint') return unfit;
  return value >= 0n && value <= largestExact ? Number(value) : unfit;
}

const largestExact = BigInt(Number.MAX_SAFE_INTEGER);

/** Undefined for what is no handle, that the parameter does not take, or that must be looked at before. */
function addressOfHandle({ target }: Parameter, value: object): Integer | undefined {
  const owner = ownerOrNone(value);
  if (owner === undefined || owner.views !== undefined) return undefined;
  return target === undefined || target === owner.kind ? owner.address : undefined;
}

function otherScalar({ kind }: Parameter, value: unknown): unknown {
  if (typeof value === 'boolean') return kind === kinds.bool ? value : unfit;
  if (typeof value !== 'bigint') return unfit;
  if (kind === kinds.uint64) return BigInt.asUintN(64, value) === value ? value : unfit;
  return kind === kinds.int64 && BigInt.asIntN(64, value) === value ? value : unfit;
}

/** The same for any call: what koffi gets for a value that needs no preparation. */
export function direct(parameter: Parameter, value: unknown): unknown {
  if (parameter.kind < kinds.string) return numeric(parameter, value);
  if (parameter.kind === kinds.struct) return unfit;
  if (value === null) return null;
  if (typeof value === 'string') return parameter.takesStrings ? value : unfit;
  if (typeof value === 'bigint') return BigInt.asUintN(64, value) === value ? value : unfit;
  if (typeof value !== 'object') return unfit;
  if (types.isTypedArray(value)) return lengthOfArray.call(value) > 0 ? value : unfit; // none: empty, or detached
  const address = integerOf(value) ?? addressOfHandle(parameter, value);
  return address === undefined ? unfit : BigInt(address);
}

/** What a call holds, and what it does once C is done. */
export class Preparation {
  readonly holds: Hold[] = [];
  readonly trap: Trap = { caught: false, error: undefined };
  readonly #afterwards: (() => void)[] = [];
  /** JavaScript may run before C is done, so buffers must stay where they are. */
  readonly #pins: boolean;
  /** C runs while JavaScript does. */
  readonly #background: boolean;

  constructor(pins: boolean, background: boolean) {
    this.#pins = pins;
    this.#background = background;
  }

  /** What koffi gets for each argument, with all that it reaches held. On an error nothing is. */
  all(parameters: readonly Parameter[], args: ArrayLike<unknown>): unknown[] {
    try {
      return parameters.map((parameter, i) => this.#one(parameter, args[i]));
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** Fills what the caller gave for outputs. */
  finish(): void {
    for (const action of this.#afterwards) action();
  }

  end(): void {
    releaseAll(this.holds.splice(0));
  }

  #one(parameter: Parameter, value: unknown): unknown {
    if (parameter.kind < kinds.string) {
      const passed = direct(parameter, value);
      if (passed === unfit) throw refusal(parameter, value);
      return passed;
    }
    if (typeof value === 'function' && parameter.kind === kinds.function) {
      return guarded(value as AnyFunction, parameter.type.proto?.result, this.trap);
    }
    if (typeof value !== 'object' || value === null) {
      const passed = direct(parameter, value);
      if (passed === unfit) throw refusal(parameter, value);
      return passed;
    }
    return this.#object(parameter, value);
  }

  #object(parameter: Parameter, value: object): unknown {
    const { direction, type, kind } = parameter;
    if (isHandle(value) || isTied(value)) return this.#held(parameter, value);
    if (isSlice(value) || isMemory(value)) {
      if (kind === kinds.struct) throw refusal(parameter, value);
      return this.#memory(parameter, value);
    }
    if (types.isExternal(value)) {
      if (!this.#background) return value; // made by koffi.as, which koffi converts
      throw typeError(
        `${parameter.owner}: ${parameter.name} is a value of koffi.as(), which cannot be held: pin its buffer`,
      );
    }
    if (kind === kinds.function) throw refusal(parameter, value);
    if (type.primitive === 'Pointer' && type.ref?.primitive === 'Void') throw refusal(parameter, value);
    try {
      if (direction === 'in') return this.#snapshot(parameter, value, type, 0);
      return this.#filled(parameter, value);
    } catch (error) {
      throw unreadable(`${parameter.owner}: ${parameter.name}`, error);
    }
  }

  #held(parameter: Parameter, value: Handle | Tied): bigint {
    const owner = isHandle(value) ? ownerOrNone(value) : ownerOfTied(value);
    if (owner === undefined) throw released(parameter);
    const fits = isTied(value) || parameter.target === undefined || parameter.target === owner.kind;
    if (!fits || parameter.kind === kinds.struct) throw refusal(parameter, value);
    if (owner.views !== undefined) owner.endViews();
    this.holds.push(owner.use());
    return BigInt(owner.address);
  }

  #memory(parameter: Parameter, value: Slice | Memory): unknown {
    if (isSlice(value)) {
      if (integerOf(value) === undefined) throw released(parameter);
      const lease = sliceLease(value);
      this.holds.push(lease);
      return lease.address;
    }
    try {
      const bytes = bytesOf(parameter.name, value);
      if (this.#pins) this.holds.push(pin(value as ArrayBuffer));
      if (bytes.byteLength === 0) return types.isArrayBuffer(bytes.buffer) ? value : bytes;
      return types.isSharedArrayBuffer(value) ? bytes : value;
    } catch (error) {
      throw isOurs(error) ? new CSliceError(error.code, `${parameter.owner}: ${error.message}`) : error;
    }
  }

  /** An array or object for C to fill: a copy of it, whose contents the caller's gets at the end. */
  #filled(parameter: Parameter, value: object): unknown {
    const { type, direction } = parameter;
    if (type.ref?.primitive === 'Union') return value; // only koffi's own object can tell what it holds
    if (Array.isArray(value)) {
      const copy: unknown[] =
        direction === 'out' ? Array.from(value, blank) : this.#elements(parameter, value, type.ref, 0);
      this.#afterwards.push(() => {
        for (let i = 0; i < copy.length; i++) value[i] = copy[i];
      });
      return copy;
    }
    const copy = direction === 'out' ? {} : (this.#snapshot(parameter, value, type, 0) as object);
    this.#afterwards.push(() => Object.assign(value, copy));
    return copy;
  }

  #elements(parameter: Parameter, value: readonly unknown[], type: TypeObject | undefined, depth: number): unknown[] {
    return Array.from(value, (element) => this.#snapshot(parameter, element, type, depth + 1));
  }

  /**
   * What koffi would read of a value, read once: a getter may give koffi another buffer than the one that is held. Only
   * the containers are new; buffers are the caller's. Every part is checked, since koffi cuts numbers to size, and ends
   * the process on a struct's member of the wrong type (Node 22 and later).
   */
  #snapshot(parameter: Parameter, value: unknown, type: TypeObject | undefined, depth: number): unknown {
    const kind = type === undefined ? undefined : kindOfType(type);
    if (kind === kinds.function && typeof value === 'function') {
      return guarded(value as AnyFunction, type?.proto?.result, this.trap);
    }
    if (typeof value !== 'object' || value === null || (kind !== undefined && kind < kinds.string)) {
      return type === undefined ? value : checkedPart(parameter, value, type);
    }
    if (isHandle(value) || isTied(value)) return this.#part(parameter, value);
    if (isSlice(value) || isMemory(value)) {
      if (kind === kinds.struct && isSlice(value)) throw partRefusal(parameter, value, type);
      return this.#memory(parameter, value);
    }
    if (types.isExternal(value)) {
      if (!this.#background) return value;
      throw typeError('a value of koffi.as() cannot be held: pin its buffer, and pass that');
    }
    if (depth === deepest) {
      throw typeError(`${parameter.owner}: ${parameter.name} must not be nested deeper than ${deepest} levels`);
    }
    const part = type?.primitive === 'Pointer' || type?.primitive === 'Array' ? type.ref : type;
    if (Array.isArray(value)) {
      if (type !== undefined && part === type) throw partRefusal(parameter, value, type);
      return this.#elements(parameter, value, part, depth);
    }
    const members = part?.members;
    if (members === undefined && type !== undefined && part?.primitive !== 'Union')
      throw partRefusal(parameter, value, type);
    if (members === undefined || part?.primitive === 'Union') {
      for (const inner of Object.values(value)) this.#snapshot(parameter, inner, undefined, depth + 1);
      return value; // a union knows which of its members it holds, so koffi must get the very object
    }
    const copy: Record<string, unknown> = {};
    for (const { name, type: memberType } of Object.values(members)) {
      const member = (value as Record<string, unknown>)[name];
      if (member !== undefined) copy[name] = this.#snapshot(parameter, member, memberType, depth + 1);
    }
    return copy;
  }

  /** A handle in a struct: its type has no name there that could be compared. */
  #part(parameter: Parameter, value: Handle | Tied): bigint {
    const owner = isHandle(value) ? ownerOrNone(value) : ownerOfTied(value);
    if (owner === undefined) throw released(parameter);
    this.holds.push(owner.use());
    return BigInt(owner.address);
  }
}

const deepest = 64;

/** A part of an array or a struct that is no object. */
function checkedPart(parameter: Parameter, value: unknown, type: TypeObject): unknown {
  const part = partOf(parameter, type);
  const isText = typeof value === 'string' && (part.kind === kinds.string || type.primitive === 'Array');
  if (isText || (value === null && part.kind > kinds.bool && part.kind !== kinds.struct)) return value;
  if (direct(part, value) === unfit) throw refusal(part, value);
  return value;
}

function partOf({ owner, name }: Parameter, type: TypeObject): Parameter {
  return newParameter(owner, `a part of ${name}`, 'in', type, type.name, undefined, true);
}

function partRefusal(parameter: Parameter, value: unknown, type: TypeObject | undefined): CSliceError {
  return refusal(type === undefined ? parameter : partOf(parameter, type), value);
}

type AnyFunction = (...args: unknown[]) => unknown;
type Memory = ArrayBuffer | SharedArrayBuffer | ArrayBufferView;

function isMemory(value: unknown): value is Memory {
  return ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value);
}

/** koffi makes room in an output array for as many elements, and for a string by the one that is there. */
function blank(element: unknown): unknown {
  return typeof element === 'string' ? element : null;
}

/** A function for C to call, whose exceptions reach `trap`, or else the call that has run it. */
export function guarded(fn: AnyFunction, result: TypeObject | undefined, trap: Trap | undefined): AnyFunction {
  const zero = zeroOf(result);
  const expected = result === undefined || result.primitive === 'Void' ? undefined : result;
  return (...args) => {
    const caught = trapOf(trap);
    if (caught?.caught) return zero;
    try {
      const value = fn(...args);
      return expected === undefined ? undefined : answer(expected, value);
    } catch (error) {
      if (caught === undefined) throwAlone(error);
      else {
        caught.caught = true;
        caught.error = error;
      }
      return zero;
    }
  };
}

/** What a callback answers, checked: an error in koffi's own conversion would lose what C hands over. */
function answer(type: TypeObject, value: unknown): unknown {
  const kind = kindOfType(type);
  if (kind === kinds.struct) return value;
  const parameter = newParameter('a callback', 'its result', 'in', type, type.name, undefined, true);
  const passed = direct(parameter, value);
  if (passed === unfit) throw refusal(parameter, value);
  return passed;
}

function zeroOf(type: TypeObject | undefined): unknown {
  if (type === undefined || type.primitive === 'Void') return undefined;
  const kind = kindOfType(type);
  if (kind === kinds.bool) return false;
  if (kind === kinds.struct) return {};
  return kind < kinds.string ? 0 : null;
}

function released({ owner, name }: Parameter): CSliceError {
  return new CSliceError('ERR_CSLICE_RELEASED', `${owner}: ${name} has been released`);
}

/** Why a value is no argument for a parameter. */
export function refusal(parameter: Parameter, value: unknown): CSliceError {
  const { owner, name, kind } = parameter;
  const isInteger = kind <= kinds.uint64;
  const isNumber = typeof value === 'number' || (typeof value === 'bigint' && kind >= kinds.int64);
  if (isSlice(value) && integerOf(value) === undefined) return released(parameter);
  if (isHandle(value) && ownerOrNone(value) === undefined) return released(parameter);
  const message = `${owner}: ${name} must be ${wanted(parameter)}, got ${shown(value)}`;
  return (isInteger && isNumber) || typeof value === 'bigint' ? rangeError(message) : typeError(message);
}

function wanted({ kind, text, takesStrings }: Parameter): string {
  if (kind <= kinds.uint64) return `an integer ${rangeOf(kind)} (${text})`;
  if (kind === kinds.real) return `a number (${text})`;
  if (kind === kinds.bool) return 'a boolean';
  if (kind === kinds.struct) return `an object with the members of ${text}`;
  if (kind === kinds.function) return `a function, a callback, an address or null (${text})`;
  return `${takesStrings ? 'a string, ' : ''}a slice, a handle, a buffer, an address or null (${text})`;
}

const bits = [8, 8, 16, 16, 32, 32, 64, 64];

function integersOf(kind: number): [bigint, bigint] {
  const width = BigInt(bits[kind] ?? 64);
  const isSigned = kind % 2 === 0;
  return [isSigned ? -(1n << (width - 1n)) : 0n, (1n << (isSigned ? width - 1n : width)) - 1n];
}

function rangeOf(kind: number): string {
  const [lowest, highest] = integersOf(kind);
  return `from ${lowest} to ${highest}`;
}

function shown(value: unknown): string {
  return isHandle(value) ? `a handle of ${value.name}` : show(value);
}
