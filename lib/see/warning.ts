import type { Site } from '../record/record.ts';
import { lineOf, readStack } from '../record/source.ts';

/** Tells of a block that was collected instead of released: once for each place in the program. */
export function warnOfCollected({ kind, label, stack }: Site, byteLength: number, name: string | undefined): void {
  const what = name === undefined ? `A block of ${byteLength} bytes (${kind})` : `A handle ${name}`;
  const whose = label === undefined ? '' : ` with the label ${JSON.stringify(label)}`;
  const frames = readStack(stack).map((frame) => `\n${lineOf(frame)}`);
  process.emitWarning(
    `${what}${whose} was collected, and had not been released. Further ones from here are not told. Allocated:${frames.join('')}`,
    { type: 'CSliceWarning', code: 'CSLICE_COLLECTED' },
  );
}
