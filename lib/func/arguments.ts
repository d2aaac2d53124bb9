/**
 * What JavaScript passes to C. A call checks every argument before C is called, and koffi gets only what it takes
 * exactly: by itself it cuts numbers to size, takes numbers for pointers, and reads objects while it converts them.
 */
import { types } from 'node:util';
import { bytesOf, lengthOfBytes } from '../core/check.ts';
import { leaseOf } from '../core/lease.ts';
import { type Hold, type Kind, kindOf, type Owner, releaseAll } from '../core/owner.ts';
import { CSliceError, describeError, errorOf, isOurs, rangeError, show, typeError, unreadable } from '../errors.ts';
import { type Callback, type Handle, isCallback, isHandle, ownerOfCallbackOrNone, ownerOrNone } from '../handle.ts';
import type { Integer } from '../native/symbols.ts';
import { pin } from '../pin.ts';
import { addressOf, isSlice, liveReference, type Slice } from '../slice.ts';
import type { DeclaredParameter, Direction } from './prototype.ts';
import { kinds, type Member, type Shape } from './shape.ts';
import { type Trap, throwAlone, trapOf } from './trap.ts';

/** One parameter that the caller of a function gives. */
export interface Parameter {
  /** Of the C function, for messages. */
  readonly owner: string;
  readonly name: string;
  readonly kind: number;
  readonly direction: Direction;
  readonly shape: Shape;
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
  const { name, direction, shape, text, target, isConst, stars } = declared;
  const handles = stars === 1 && target === 'void' ? undefined : kindOf(stars > 1 ? text : target);
  return newParameter(owner, name, direction, shape, text, handles, isConst || stars === 0);
}

/** In one place, so that all have the same hidden class. */
function newParameter(
  owner: string,
  name: string,
  direction: Direction,
  shape: Shape,
  text: string,
  target: Kind | undefined,
  isConst: boolean,
): Parameter {
  const { kind } = shape;
  const isReal = kind === kinds.real;
  const [lowest, highest] = kind < kinds.real ? numbersOf(kind) : [0.5, -0.5];
  const takesStrings = kind === kinds.string && direction === 'in' && isConst;
  return { owner, name, kind, direction, shape, lowest, highest, isReal, text, target, takesStrings };
}

/** The range of an integer type, as far as numbers are exact. */
function numbersOf(kind: number): [number, number] {
  const [lowest, highest] = integersOf(kind);
  const most = Number.MAX_SAFE_INTEGER;
  return [Math.max(Number(lowest), -most), Math.min(Number(highest), most)];
}

/** Of a function that koffi has declared, whose parameters have no names. */
export function parameterOfKoffi(owner: string, index: number, direction: Direction, shape: Shape): Parameter {
  return newParameter(owner, `argument ${index + 1}`, direction, shape, shape.name, undefined, true);
}

/** Says that koffi cannot have a value as it is. */
export const unfit: unique symbol = Symbol('unfit');

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
    const address = addressOf(value) ?? addressOfHandle(parameter, value);
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
  if (typeof value === 'string') return parameter.takesStrings && !value.includes('\0') ? value : unfit;
  if (typeof value === 'bigint') return BigInt.asUintN(64, value) === value ? value : unfit;
  if (typeof value !== 'object') return unfit;
  if (types.isTypedArray(value)) return lengthOfBytes(value) > 0 ? value : unfit; // none: empty, or detached
  const address = addressOf(value) ?? addressOfHandle(parameter, value);
  return address === undefined ? unfit : BigInt(address);
}

/** What a call holds, and what it does once C is done. */
export class Preparation {
  readonly holds: Hold[] = [];
  readonly trap: Trap = { caught: false, error: undefined };
  readonly #afterwards: (() => void)[] = [];
  /** JavaScript's memory that is passed, and its length when it was. */
  readonly #memories: [Memory, number][] = [];
  /** Code of the caller's has run since the first argument was read. */
  #wasRead = false;
  /** koffi may run code of the caller's when it reads an object. */
  #mayBeRead = false;
  /** Where in an argument {@link #snapshot} is: a member or an index for each level. */
  readonly #path: (string | number)[] = [];
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
      const passed = parameters.map((parameter, i) => this.#one(parameter, args[i]));
      this.#checkMemories();
      return passed;
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** Fills what the caller gave for outputs. @throws {CSliceError} `ERR_CSLICE_TYPE` where that does not let itself be filled */
  finish(): void {
    for (const action of this.#afterwards) action();
  }

  /** The memory that earlier arguments gave must be there still. */
  #checkMemories(): void {
    for (const [memory, byteLength] of this.#memories) {
      if (this.#mayBeRead && !this.#pins) this.holds.push(pin(memory as ArrayBuffer));
      if ((this.#wasRead || this.#mayBeRead) && bytesOf('a buffer', memory).byteLength !== byteLength) {
        throw typeError('a buffer shrank while the arguments were read');
      }
    }
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
      return guarded(value as AnyFunction, parameter.shape.result, this.trap);
    }
    if (typeof value !== 'object' || value === null) {
      const passed = direct(parameter, value);
      if (passed === unfit) throw refusal(parameter, value);
      return passed;
    }
    return this.#object(parameter, value);
  }

  #object(parameter: Parameter, value: object): unknown {
    const { direction, shape, kind } = parameter;
    if (isHandle(value) || isCallback(value)) return this.#held(parameter, value);
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
    if (shape.primitive === 'Pointer' && shape.ref?.primitive === 'Void') throw refusal(parameter, value);
    this.#wasRead = true;
    try {
      if (direction === 'in') return this.#snapshot(parameter, value, shape, 0);
      return this.#filled(parameter, value);
    } catch (error) {
      throw unreadable(`${parameter.owner}: ${parameter.name}`, error);
    }
  }

  #held(parameter: Parameter, value: Handle | Callback): bigint {
    const owner = isHandle(value) ? ownerOrNone(value) : ownerOfCallbackOrNone(value);
    if (owner === undefined) throw released(parameter);
    const fits = isCallback(value) || parameter.target === undefined || parameter.target === owner.kind;
    if (!fits || parameter.kind === kinds.struct) throw refusal(parameter, value);
    return this.#use(owner);
  }

  #use(owner: Owner): bigint {
    this.holds.push(owner.use());
    if (owner.views !== undefined) owner.endViews();
    return BigInt(owner.address);
  }

  #memory(parameter: Parameter, value: Slice | Memory): unknown {
    if (isSlice(value)) {
      if (addressOf(value) === undefined) throw released(parameter);
      const lease = leaseOf(liveReference(value));
      this.holds.push(lease);
      return lease.address;
    }
    try {
      const bytes = bytesOf(parameter.name, value);
      if (this.#pins) this.holds.push(pin(value as ArrayBuffer));
      this.#memories.push([value, bytes.byteLength]);
      if (bytes.byteLength === 0) return types.isArrayBuffer(bytes.buffer) ? value : bytes;
      return types.isSharedArrayBuffer(value) ? bytes : value;
    } catch (error) {
      throw isOurs(error) ? errorOf(error.code, `${parameter.owner}: ${error.message}`) : error;
    }
  }

  /** An array or object for C to fill: a copy of it, whose contents the caller's gets at the end. */
  #filled(parameter: Parameter, value: object): unknown {
    const { shape, direction } = parameter;
    if (shape.ref?.primitive === 'Union') {
      this.#mayBeRead = true;
      return value; // only koffi's own object can tell what it holds
    }
    if (Array.isArray(value)) {
      if (value.length === 0) throw roomless(parameter);
      const copy: unknown[] =
        direction === 'out' ? Array.from(value, blank) : this.#elements(parameter, value, shape.ref, 0);
      this.#fillLater(parameter, () => {
        for (let i = 0; i < copy.length; i++) value[i] = copy[i];
      });
      return copy;
    }
    const copy = direction === 'out' ? {} : (this.#snapshot(parameter, value, shape, 0) as object);
    this.#fillLater(parameter, () => Object.assign(value, copy));
    return copy;
  }

  /** The caller's object may be frozen, or have setters that throw. */
  #fillLater({ owner, name }: Parameter, fill: () => void): void {
    this.#afterwards.push(() => {
      try {
        fill();
      } catch (cause) {
        const reason = describeError(cause, 'message');
        throw typeError(`${owner}: ${name} cannot be filled: ${reason}`, { cause });
      }
    });
  }

  #elements(parameter: Parameter, value: readonly unknown[], shape: Shape | undefined, depth: number): unknown[] {
    return Array.from(value, (element, i) => this.#inside(i, parameter, element, shape, depth));
  }

  #inside(
    key: string | number,
    parameter: Parameter,
    value: unknown,
    shape: Shape | undefined,
    depth: number,
  ): unknown {
    this.#path[depth] = key;
    return this.#snapshot(parameter, value, shape, depth + 1);
  }

  /** Names the part of an argument, as in `address.ports[2]`. */
  #part(parameter: Parameter, shape: Shape, depth: number): Parameter {
    const keys = this.#path.slice(0, depth).map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`));
    return partOf(parameter, `${parameter.name}${keys.join('')}`, shape);
  }

  #refusal(parameter: Parameter, value: unknown, shape: Shape | undefined, depth: number): CSliceError {
    return refusal(shape === undefined ? parameter : this.#part(parameter, shape, depth), value);
  }

  /** A part of an array or a struct that is no object. */
  #checked(parameter: Parameter, value: unknown, shape: Shape, depth: number): unknown {
    const part = partOf(parameter, parameter.name, shape);
    if (typeof value === 'string' && shape.primitive === 'Array') {
      if (hasRoom(shape, value)) return value;
      const { owner, name } = this.#part(parameter, shape, depth);
      throw rangeError(`${owner}: ${name} has no room for the NUL after this text (${shape.name}), got ${show(value)}`);
    }
    if (value === null && part.kind > kinds.bool && part.kind !== kinds.struct) return value;
    if (direct(part, value) === unfit) throw this.#refusal(parameter, value, shape, depth);
    return value;
  }

  /**
   * What koffi would read of a value, read once: a getter may give koffi another buffer than the one that is held. Only
   * the containers are new; buffers are the caller's. Every part is checked, since koffi cuts numbers to size, and ends
   * the process on a struct's member of the wrong type (Node 22 and later).
   */
  #snapshot(parameter: Parameter, value: unknown, shape: Shape | undefined, depth: number): unknown {
    const kind = shape?.kind;
    if (kind === kinds.function && typeof value === 'function') {
      return guarded(value as AnyFunction, shape?.result, this.trap);
    }
    if (typeof value !== 'object' || value === null || (kind !== undefined && kind < kinds.string)) {
      return shape === undefined ? value : this.#checked(parameter, value, shape, depth);
    }
    if (isHandle(value) || isCallback(value)) return this.#heldPart(parameter, value);
    if (isSlice(value) || isMemory(value)) {
      if (kind === kinds.struct && isSlice(value)) throw this.#refusal(parameter, value, shape, depth);
      return this.#memory(parameter, value);
    }
    if (types.isExternal(value)) {
      if (!this.#background) return value;
      throw typeError('a value of koffi.as() cannot be held: pin its buffer, and pass that');
    }
    if (depth === deepest) {
      throw typeError(`${parameter.owner}: ${parameter.name} must not be nested deeper than ${deepest} levels`);
    }
    const part = shape?.primitive === 'Pointer' || shape?.primitive === 'Array' ? shape.ref : shape;
    if (Array.isArray(value)) {
      if (shape !== undefined && part === shape) throw this.#refusal(parameter, value, shape, depth);
      return this.#elements(parameter, value, part, depth);
    }
    const members = part?.members;
    if (members === undefined && shape !== undefined && part?.primitive !== 'Union') {
      throw this.#refusal(parameter, value, shape, depth);
    }
    if (members === undefined || part?.primitive === 'Union') return this.#union(parameter, value, members, depth);
    const copy: Record<string, unknown> = {};
    for (const { name, shape: memberShape } of members) {
      const member = (value as Record<string, unknown>)[name];
      if (member !== undefined) copy[name] = this.#inside(name, parameter, member, memberShape, depth);
    }
    for (const key of Object.keys(value)) {
      if (members.some(({ name }) => name === key)) continue;
      const { owner, name, text } = this.#part(parameter, part as Shape, depth);
      throw typeError(`${owner}: ${name} has no member ${show(key)} (${text})`);
    }
    return copy;
  }

  /** An object with one member, of which koffi gets a copy; or one that koffi made, which alone tells what it holds. */
  #union(parameter: Parameter, value: object, members: readonly Member[] | undefined, depth: number): object {
    const [name, ...more] = Object.keys(value);
    if (name === undefined || more.length > 0) {
      this.#mayBeRead = true;
      return value;
    }
    const shape = members?.find((member) => member.name === name)?.shape;
    const member = (value as Record<string, unknown>)[name];
    return { [name]: this.#inside(name, parameter, member, shape, depth) };
  }

  /** A handle in a struct: its type has no name there that could be compared. */
  #heldPart(parameter: Parameter, value: Handle | Callback): bigint {
    const owner = isHandle(value) ? ownerOrNone(value) : ownerOfCallbackOrNone(value);
    if (owner === undefined) throw released(parameter);
    return this.#use(owner);
  }
}

const deepest = 64;

function partOf({ owner }: Parameter, name: string, shape: Shape): Parameter {
  return newParameter(owner, name, 'in', shape, shape.name, undefined, true);
}

/** koffi writes a NUL after a text in an array, and cuts the text for it. It takes none for wider characters. */
function hasRoom({ size, ref }: Shape, text: string): boolean {
  return ref?.size === 2 ? text.length < size / 2 : Buffer.byteLength(text) < size;
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
export function guarded(fn: AnyFunction, result: Shape | undefined, trap: Trap | undefined): AnyFunction {
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
function answer(shape: Shape, value: unknown): unknown {
  if (shape.kind === kinds.struct) return value;
  const parameter = newParameter('a callback', 'its result', 'in', shape, shape.name, undefined, true);
  const passed = direct(parameter, value);
  if (passed === unfit) throw refusal(parameter, value);
  return passed;
}

function zeroOf(shape: Shape | undefined): unknown {
  if (shape === undefined || shape.primitive === 'Void') return undefined;
  const { kind } = shape;
  if (kind === kinds.bool) return false;
  if (kind === kinds.struct) return {};
  return kind < kinds.string ? 0 : null;
}

function released({ owner, name }: Parameter): CSliceError {
  return new CSliceError('ERR_CSLICE_RELEASED', `${owner}: ${name} has been released`);
}

/** Why a value is no argument for a parameter. */
function refusal(parameter: Parameter, value: unknown): CSliceError {
  const { owner, name, kind } = parameter;
  const isInteger = kind <= kinds.uint64;
  const isNumber = typeof value === 'number' || (typeof value === 'bigint' && kind >= kinds.int64);
  if (isSlice(value) && addressOf(value) === undefined) return released(parameter);
  if (isHandle(value) && ownerOrNone(value) === undefined) return released(parameter);
  const subject = `${owner}: ${name}`;
  if (typeof value === 'string' && parameter.takesStrings) {
    const nul = `found one at ${value.indexOf('\0')}. Pass bytes in a Buffer`;
    return rangeError(`${subject} must not contain a NUL, which ends a C string; ${nul}`);
  }
  if (isInteger && Number.isInteger(value) && direct(parameter, BigInt(value as number)) !== unfit) {
    return rangeError(`${subject} must be a bigint past 2^53, where numbers are not exact, got ${shown(value)}`);
  }
  const message = `${subject} must be ${wanted(parameter)}, got ${shown(value)}${hintFor(parameter, value)}`;
  return (isInteger && isNumber) || typeof value === 'bigint' ? rangeError(message) : typeError(message);
}

/** koffi gives C as many elements as the array has, and C cannot see how many those are. */
function roomless({ owner, name, text }: Parameter): CSliceError {
  return rangeError(`${owner}: ${name} must have an element for each one that C fills (${text}), got an empty array`);
}

function hintFor({ kind, direction, text }: Parameter, value: unknown): string {
  if (typeof value === 'function') return '. C can call what callback() makes of a function';
  const mayBeText = typeof value === 'string' && kind === kinds.string && direction === 'in';
  return mayBeText ? `. C may write to ${text}: a string needs const` : '';
}

function wanted({ kind, text, takesStrings }: Parameter): string {
  if (kind <= kinds.uint64) return `an integer ${rangeOf(kind)} (${text})`;
  if (kind === kinds.real) return `a number (${text})`;
  if (kind === kinds.bool) return 'a boolean';
  if (kind === kinds.struct) return `an object with the members of ${text}`;
  if (kind === kinds.function) return `a function, a callback, an address (a bigint) or null (${text})`;
  return `${takesStrings ? 'a string, ' : ''}a slice, a handle, a buffer, an address (a bigint) or null (${text})`;
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
