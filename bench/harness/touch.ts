const pageSize = 4096;

/** Writes to every page, as the first use of fresh memory does. */
export function touch(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i += pageSize) bytes[i] = 1;
}
