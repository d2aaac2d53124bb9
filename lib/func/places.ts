/**
 * Where a C function leaves what it hands over: in its result, in an `_Out_` parameter, or in a struct that it fills.
 * Outputs that an ownership takes are memory of ours, which koffi passes as it is: what C wrote there can be read
 * whatever koffi would have made of it, and even if a callback threw.
 */
import { endianness } from 'node:os';
import { rangeError, typeError } from '../errors.ts';
import type { Prototype } from './prototype.ts';
import { isAddress, kinds, type Shape } from './shape.ts';

/** A place, by the text of a declaration: `'result'`, `'size'`, `'buffer.data'`. */
export interface Place {
  /** -1: the result. */
  readonly index: number;
  readonly offset: number;
  readonly shape: Shape;
  /** As a handle to what is there would be called. */
  readonly target: string;
  /** Read from memory of ours. Otherwise the value is the result or an argument. */
  readonly isCell: boolean;
  /** All of what the parameter points to. */
  readonly isScalar: boolean;
}

/** @throws {CSliceError} `ERR_CSLICE_RANGE` for what the prototype does not have */
export function placeAt(prototype: Prototype, option: string, text: string): Place {
  const { name, parameters, result } = prototype;
  const [root = '', member, ...more] = text.split('.');
  const index = parameters.findIndex((parameter) => parameter.name === root);
  const parameter = parameters[index];
  if (parameter === undefined) {
    if (text !== 'result') throw rangeError(`${option}: ${name} has no parameter ${JSON.stringify(root)}`);
    const { shape, target, stars, text: spelled } = result;
    return {
      index: -1,
      offset: 0,
      shape,
      target: stars > 1 ? spelled.slice(0, -1).trim() : target,
      isCell: false,
      isScalar: true,
    };
  }
  if (parameter.direction === 'in') {
    if (member !== undefined) throw notFilled(option, text, name);
    return { index, offset: 0, shape: parameter.shape, target: parameter.target, isCell: false, isScalar: true };
  }
  const { ref } = parameter.shape;
  if (ref === undefined) throw typeError(`${option}: ${root} of ${name} is no pointer`);
  if (member === undefined) {
    const target = parameter.stars > 2 ? parameter.text.slice(0, -1).trim() : parameter.target;
    return { index, offset: 0, shape: ref, target, isCell: parameter.direction === 'out', isScalar: true };
  }
  const found = ref.members?.find(({ name: candidate }) => candidate === member);
  if (found === undefined || more.length > 0)
    throw rangeError(`${option}: ${parameter.text} of ${name} has no ${text}`);
  if (parameter.direction !== 'out') throw notFilled(option, text, name);
  return {
    index,
    offset: found.offset,
    shape: found.shape,
    target: found.shape.ref?.name ?? '',
    isCell: true,
    isScalar: false,
  };
}

function notFilled(option: string, text: string, name: string): Error {
  return rangeError(`${option}: ${JSON.stringify(text)} is not of an _Out_ parameter of ${name}`);
}

export function isPointer({ shape }: Place): boolean {
  return isAddress(shape);
}

export function isInteger({ shape }: Place): boolean {
  return shape.kind <= kinds.uint64;
}

const isLittle = endianness() === 'LE';

/** The pointer that C left in memory of ours; 0n for none. */
export function pointerIn(cell: DataView, { offset, shape }: Place): bigint {
  return shape.size === 4 ? BigInt(cell.getUint32(offset, isLittle)) : cell.getBigUint64(offset, isLittle);
}

/** An integer that C left there. */
export function integerIn(cell: DataView, { offset, shape }: Place): number | bigint {
  const little = shape.primitive.endsWith('S') ? !isLittle : isLittle;
  switch (shape.kind) {
    case kinds.int8:
      return cell.getInt8(offset);
    case kinds.uint8:
      return cell.getUint8(offset);
    case kinds.int16:
      return cell.getInt16(offset, little);
    case kinds.uint16:
      return cell.getUint16(offset, little);
    case kinds.int32:
      return cell.getInt32(offset, little);
    case kinds.uint32:
      return cell.getUint32(offset, little);
    case kinds.int64:
      return cell.getBigInt64(offset, little);
    default:
      return cell.getBigUint64(offset, little);
  }
}

/** What a size is before C has told it: no size, so that a size of 0 is known to come from C. */
const untold = (1n << 64n) - 1n;

/** Memory for the outputs of one call, all zero but the sizes: C may fail before it fills them. */
export class Cells {
  /** By the index of the parameter. */
  readonly #sizes: ReadonlyMap<number, number>;
  /** Used again unless a call is under way. */
  #spare: Map<number, DataView> | undefined;

  /** Of the one that holds a size by itself. */
  readonly #size: number | undefined;

  constructor(prototype: Prototype, from: Place | undefined, size: Place | undefined) {
    const places = [from, size].filter((place) => place !== undefined);
    if (size?.isCell && size.index !== from?.index && size.isScalar) this.#size = size.index;
    const sizes = new Map<number, number>();
    for (const { index, isCell } of places) {
      if (isCell) sizes.set(index, Math.max(8, prototype.parameters[index]?.shape.ref?.size ?? 0));
    }
    this.#sizes = sizes;
  }

  has(index: number): boolean {
    return this.#sizes.has(index);
  }

  take(): Map<number, DataView> {
    const spare = this.#spare;
    this.#spare = undefined;
    const cells = spare ?? new Map(Array.from(this.#sizes, ([i, size]) => [i, new DataView(new ArrayBuffer(size))]));
    for (const [index, cell] of cells) {
      if (cell.byteLength === 8) cell.setBigUint64(0, index === this.#size ? untold : 0n);
      else new Uint8Array(cell.buffer).fill(0);
    }
    return cells;
  }

  giveBack(cells: Map<number, DataView>): void {
    this.#spare = cells;
  }
}
