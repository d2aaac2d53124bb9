/** Bytes without a pattern, the same for the same seed, which is not 0 (Marsaglia's xorshift32). */
export function noise(byteLength: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(byteLength >> 2);
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}
