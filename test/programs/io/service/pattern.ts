/** The body of a response: every 64 KiB of it are a window of one table, chosen by the request and the place. */
import { noise } from '../noise.ts';

export const segmentBytes = 65_536;
const table = noise((1 << 20) + segmentBytes, 0x2545f491);

function segment(request: number, index: number): Uint8Array {
  const start = (Math.imul(request, 0x9e3779b1) + Math.imul(index, 0x85ebca6b)) >>> 12;
  return table.subarray(start, start + segmentBytes);
}

export function fill(bytes: Uint8Array, request: number): void {
  for (let at = 0, index = 0; at < bytes.byteLength; at += segmentBytes, index++) {
    bytes.set(segment(request, index).subarray(0, bytes.byteLength - at), at);
  }
}

/** How many bytes of a chunk that starts at `from` are not those of the body. */
export function wrongBytes(chunk: Uint8Array, request: number, from: number): number {
  let wrong = 0;
  for (let at = 0; at < chunk.byteLength; ) {
    const within = (from + at) % segmentBytes;
    const part = chunk.subarray(at, at + segmentBytes - within);
    const right = segment(request, Math.floor((from + at) / segmentBytes)).subarray(within, within + part.byteLength);
    if (Buffer.compare(part, right) !== 0) wrong += part.reduce((sum, byte, i) => sum + (byte === right[i] ? 0 : 1), 0);
    at += part.byteLength;
  }
  return wrong;
}

/** Whole numbers below a bound, the same ones for the same seed. */
export function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
