import { func, Slice } from 'cslice';
import { type Kind, libc, perCall, prototypes } from '../harness/calls.ts';
import { perOperation, report } from '../harness/measure.ts';

const abs = func(libc, prototypes.numbers);
const memset = func(libc, prototypes.slice);
const memcmp = func(libc, prototypes.slices);
const make = func(libc, 'object *malloc(size_t size)', { returns: 'handle', free: 'free' });
const slice = Slice.alloc(64);
const other = Slice.alloc(64);

const cases: Record<Kind, () => unknown> = {
  numbers: () => abs(-5),
  slice: () => memset(slice, 1, 64),
  slices: () => memcmp(slice, other, 64),
  async: () => abs.async(-5),
  handle: () => make(64).release(),
};
const kind = process.argv[2] as Kind;
report(await (kind === 'async' ? perCall(cases.async) : perOperation(cases[kind])));
