/** Where blocks of our own memory come from: the free list, C, and C again after a garbage collection. */
import { cells, host, result } from '../native/host.ts';
import { status } from '../native/symbols.ts';
import { collectGarbage, noteMade } from './collect.ts';
import { runDestructors } from './destructor.ts';
import { releaseKept, takeKept } from './free-list.ts';
import { Reference } from './reference.ts';
import { statusError } from './status.ts';

/** What plain {@link allocate} does not do. */
export interface Layout {
  readonly zero: boolean;
  readonly alignment: number;
}

/** A new zeroed block, aligned to 16. */
export function allocate(byteLength: number): Reference {
  const kept = takeKept(byteLength);
  if (kept !== undefined) return kept;
  const buffer = host.alloc(byteLength);
  if (buffer !== undefined) return made(buffer, byteLength);
  return retry(byteLength, () => host.alloc(byteLength));
}

export function allocateWith(byteLength: number, { zero, alignment }: Layout): Reference {
  if (alignment <= 16) {
    const kept = takeKept(byteLength); // zeroed, whether asked for or not
    if (kept !== undefined) return kept;
  }
  const attempt = () => host.allocWith(byteLength, alignment, zero);
  const buffer = attempt();
  if (buffer !== undefined) return made(buffer, byteLength);
  return retry(byteLength, attempt);
}

function made(buffer: ArrayBuffer, byteLength: number): Reference {
  const reference = new Reference(buffer, cells[0] as number, cells[1] as number, byteLength);
  noteMade(byteLength);
  reference.sole = true;
  return reference;
}

function retry(byteLength: number, attempt: () => ArrayBuffer | undefined): Reference {
  const failure = result();
  if (failure === status.ENOMEM || failure === status.ELIMIT) reclaim();
  const buffer = attempt();
  if (buffer === undefined) throw statusError(result(), `${byteLength} bytes`);
  return made(buffer, byteLength);
}

/**
 * The last resort of an allocation that failed: finds dead slices now rather than at the next collection, as Java does
 * for its direct buffers. Milliseconds. Runs destructors, so nothing that was read before is true after it.
 */
export function reclaim(): void {
  releaseKept();
  collectGarbage();
  runDestructors();
}
