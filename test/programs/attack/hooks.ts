/**
 * Hooks of the program's, which Node and V8 call wherever an async resource or a promise begins or settles: in the midst of
 * what the package does, too.
 */
import { createHook } from 'node:async_hooks';
import { promiseHooks } from 'node:v8';
import { seeded } from '../../helpers/random.ts';
import type { World } from './world.ts';

/** Has hooks intrude into those calls of this world that are open to it. Returns what ends that. */
export function hook(world: World, seed: number): () => void {
  const random = seeded(seed);
  const act = (): void => {
    if (!world.isOpen || random(3) > 0) return;
    try {
      world.intrude(random, 'a hook');
    } catch {
      // What is thrown by a hook ends the process. The world has noted what is wrong.
    }
  };
  const hooks = createHook({ init: act, promiseResolve: act }).enable();
  const stop = promiseHooks.createHook({ init: act, settled: act }) as () => void;
  return () => {
    hooks.disable();
    stop();
  };
}
