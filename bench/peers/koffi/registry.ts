import { free } from './libc.ts';

export let collected = 0;

/** What a careful user writes by hand: frees an address when the object it is registered with is collected. */
export const registry: FinalizationRegistry<number> = new FinalizationRegistry<number>((address) => {
  free(address);
  collected++;
});
