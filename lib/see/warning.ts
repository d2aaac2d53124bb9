/** Tells of blocks that were collected instead of released: once for each place in the program. */
import { warnBy } from '../record/record.ts';
import { readStack, showFrame } from '../record/source.ts';

warnBy(({ kind, label, stack }, byteLength, name) => {
  const what = name === undefined ? `A block of ${byteLength} bytes (${kind})` : `A handle ${name}`;
  const whose = label === undefined ? '' : ` with the label ${JSON.stringify(label)}`;
  const frames = readStack(stack).map((frame) => `\n    at ${showFrame(frame)}`);
  process.emitWarning(
    `${what}${whose} was collected, and had not been released. Further ones from here are not told. Allocated:${frames.join('')}`,
    { type: 'CSliceWarning', code: 'CSLICE_COLLECTED' },
  );
});
