/**
 * What generic code makes of a slice. Without this, `Buffer.from(slice)`, `new Uint8Array(slice)`, `structuredClone(slice)`
 * and `JSON.stringify(slice)` would quietly give something empty.
 */

/** A symbol cannot be cloned: the error of `structuredClone` and `postMessage` names it, and so says what to do. */
const notCloneable: symbol = Symbol(
  'a Slice: send slice.toSharedBuffer(), slice.buffer in a transfer list, or slice.copy()',
);

export abstract class Conversions {
  /** @internal */
  readonly cslice: symbol = notCloneable;

  abstract readonly byteLength: number;
  abstract readonly released: boolean;
  abstract readonly bytes: Uint8Array<ArrayBuffer>;

  /** The bytes: `Buffer.from(slice)` copies them. */
  valueOf(): Uint8Array<ArrayBuffer> {
    return this.bytes;
  }

  /** The bytes, one by one: `new Uint8Array(slice)` and `[...slice]` copy them. */
  [Symbol.iterator](): IterableIterator<number> {
    return this.bytes[Symbol.iterator]();
  }

  toJSON(): object {
    const { byteLength, released } = this;
    return { byteLength, released };
  }
}
