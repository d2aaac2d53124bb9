/** Leaks what its argument says: `block`, `handle`, `dropped` or nothing. */
import { Handle, Slice } from '../../../lib/index.ts';

const kept: unknown[] = [];
(globalThis as { kept?: unknown[] }).kept = kept;

function leak(what: string | undefined): void {
  if (what === 'block') kept.push(Slice.alloc(4321));
  if (what === 'handle') kept.push(Handle.adopt('database', 0x1000n, () => {}));
  if (what === 'dropped') Handle.adopt('database', 0x1000n, () => Slice.alloc(4321).release());
  if (what === 'dropped') Slice.alloc(4321).bytes[0] = 1;
}

leak(process.argv[2]);
if (process.argv[3] !== undefined) process.exitCode = Number(process.argv[3]);
