/**
 * Program: JavaScript that stops anywhere. A unit is a world that is walked through by a script with a timeout, or with
 * the stack nearly full, some 30 times; then everything must work and nothing may be left.
 */
import { Script } from 'node:vm';
import { runtime, turn } from '../../helpers/engine.ts';
import { nearTheEnd } from '../../helpers/overflow.ts';
import { seeded } from '../../helpers/random.ts';
import { serve } from './harness.ts';
import { openNative } from './native.ts';
import { operate } from './operations.ts';
import { everythingWorks } from './works.ts';
import { userTricks, World } from './world.ts';

const rounds = 30;
/** Of these, C is on the stack when JavaScript ends, which koffi is to handle and not this package. */
const throughC = ['logger', 'callback'];

let native: ReturnType<typeof openNative> | undefined;
const figures = { timeouts: 0, overflows: 0 };

/** A global, since scripts see nothing else. */
const shared = globalThis as { attackStep?: () => void };
const forEver = new Script('for (;;) attackStep();');

function stopByTimeout(world: World, milliseconds: number): void {
  shared.attackStep = () => world.stepUnchecked();
  try {
    forEver.runInThisContext({ timeout: milliseconds });
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    figures.timeouts++;
  }
}

await serve(
  async (unit, marker) => {
    const { seed, library, without } = marker.task;
    native ??= openNative(library);
    const random = seeded(seed ^ Math.imul(unit + 1, 0x9e3779b1));
    const left = new Set([...without, ...throughC, ...userTricks]);
    const world = new World({ seed: random(2 ** 31), operate, native, without: left, interrupted: true });
    const byTimeout = unit % 2 === 0 && runtime === 'node';
    for (let round = 0; round < rounds; round++) {
      marker.note(`round ${round} ${byTimeout ? 'by timeout' : 'by overflow'}`);
      if (byTimeout) stopByTimeout(world, 1 + random(5));
      else if (nearTheEnd(1 + random(150), () => world.stepUnchecked())) figures.overflows++;
      world.survey();
    }
    for (let i = 0; i < 3; i++) await turn(); // a run of destructors that was stopped goes on from the event loop
    everythingWorks(native);
    await world.finish();
    everythingWorks(native);
    return rounds;
  },
  { figures: () => figures },
);
