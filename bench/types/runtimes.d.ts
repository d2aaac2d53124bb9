/** What the programs for other runtimes use of them. Their own declarations are large and contradict Node's. */

declare module 'bun:ffi' {
  export interface Fn {
    (...args: (number | null)[]): number;
    readonly ptr: number;
  }
  export function dlopen<Name extends string>(
    path: string,
    symbols: Record<Name, { args: string[]; returns: string }>,
  ): { symbols: Record<Name, Fn> };
  export function toArrayBuffer(
    address: number,
    byteOffset: number,
    byteLength: number,
    deallocatorContext?: number | null,
    deallocator?: number,
  ): ArrayBuffer;
}

declare module 'node:ffi' {
  export type Fn = (...args: (bigint | number)[]) => bigint;
  export function dlopen<Name extends string>(
    path: string,
    symbols: Record<Name, { arguments: string[]; return: string }>,
  ): { functions: Record<Name, Fn> };
  export function toArrayBuffer(address: bigint, byteLength: number, copy: boolean): ArrayBuffer;
}
