/** What a runtime cannot do, by the names of the checks in `core.ts`. Each is a row of docs/runtimes.md too. */
import type { RuntimeName } from './engine.ts';

export interface Gap {
  readonly reason: string;
  /** The major version that has the gap first. Default: all have it. */
  readonly from?: number;
  /** Whether the check passes in some runs. Its passing is no news then. */
  readonly sometimes?: boolean;
}

const borrowed: Gap = {
  from: 22,
  reason: 'ArrayBuffer.prototype.transfer.call(buffer) moves any ArrayBuffer, and no engine lets a module forbid it',
};
const borrowedAnywhere: Gap = { reason: borrowed.reason };

const forgotten: Gap = {
  from: 22,
  reason: 'the moved buffer is not tied to the block, so a collection of the slice frees the bytes under it',
};
const forgottenAnywhere: Gap = { reason: forgotten.reason };

const byBorrowedMethod = 'transfer: a method borrowed from ArrayBuffer.prototype does not move a view';
const collectedAfterMove = 'transfer: a collection after a view was moved away keeps the block';

/** Measured: 177 to 179 MiB in 13 runs of 16, 502 to 626 in three; 1,045 MiB at most, over 40,000 slices. */
const lateScavenges: Gap = {
  sometimes: true,
  reason: 'V8 in Deno collects young views later, 123 or 500 blocks after their death, from run to run',
};

const endOfProcess: Gap = {
  from: 24,
  reason:
    'Node detaches every external buffer as it ends, by a call that aborts for one that is marked: koffi alone does it',
};

export const gaps: Readonly<Record<RuntimeName, Readonly<Record<string, Gap>>>> = {
  node: {
    [byBorrowedMethod]: borrowed,
    [collectedAfterMove]: forgotten,
    'exit: of a process in which a buffer was marked as untransferable is orderly': endOfProcess,
  },
  bun: { [byBorrowedMethod]: borrowedAnywhere, [collectedAfterMove]: forgottenAnywhere },
  deno: {
    [byBorrowedMethod]: borrowedAnywhere,
    [collectedAfterMove]: forgottenAnywhere,
    'transfer: structuredClone with a view on its transfer list does not move it': {
      reason: "Deno's napi_create_external_arraybuffer does not mark the buffer as untransferable, as Node's does",
    },
    'transfer: postMessage with a view on its transfer list does not move it': {
      reason: "Deno's napi_create_external_arraybuffer does not mark the buffer as untransferable, as Node's does",
    },
    'memory: a loop that never yields stays within 350 MB, dropping 4,000 slices of 1 MiB written through':
      lateScavenges,
    'memory: a loop that never yields stays within 350 MB, dropping 4,000 slices of 1 MiB without a view':
      lateScavenges,
  },
};
