// C's random numbers. Go: C.random() and C.srandom(C.uint(seed)).
import { func } from 'cslice';
import koffi from 'koffi';

const c = koffi.load(null); // the C library of this process
const srandom = func(c, 'void srandom(unsigned int seed)');
const random = func(c, 'long random(void)');

/** Draws three numbers. The same seed gives the same numbers; the whole process, C code included, has one generator. */
export function draw(seed: number): number[] {
  srandom(seed);
  return [random(), random(), random()].map(Number);
}

console.log('random:', ...draw(42));
