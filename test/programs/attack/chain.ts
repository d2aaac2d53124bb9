/** Program: chains of blocks whose destructors each release the next. A unit is a chain, of a length that it says. */
import { turn } from '../../helpers/engine.ts';
import { serve } from './harness.ts';
import { type Slice, subject } from './subject.ts';
import { Broken } from './world.ts';

const lengths = [100, 20_000, 1_000_000];

async function runChain(length: number): Promise<void> {
  const before = subject.stats();
  const ended = new Uint8Array(length);
  const slices: Slice[] = [];
  for (let i = 0; i < length; i++) {
    slices.push(
      subject.Slice.adopt(4096n, 1, () => {
        ended[i] = (ended[i] as number) + 1;
        slices[i + 1]?.release();
      }),
    );
  }
  slices[0]?.release();
  await turn();
  const twice = ended.filter((times) => times > 1).length;
  const never = ended.filter((times) => times === 0).length;
  const after = subject.stats();
  const failed = after.failedDestructors - before.failedDestructors;
  const live = after.liveBlocks - before.liveBlocks;
  if (twice + never + failed + live === 0) return;
  throw new Broken(
    `of ${length} destructors in a chain, ${never} never ran and ${twice} twice; ${failed} count as failed; ${live} blocks are live`,
  );
}

await serve(
  async (unit) => {
    const length = lengths[unit] ?? 1;
    await runChain(length);
    return length;
  },
  { goesOn: true, units: lengths.length },
);
