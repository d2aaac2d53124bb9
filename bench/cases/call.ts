import { destructor, func, Handle, Slice } from 'cslice';
import { type Kind, libc, perCall, prototypes } from '../harness/calls.ts';
import { perOperation, report } from '../harness/measure.ts';

const abs = func(libc, prototypes.numbers);
const memset = func(libc, prototypes.slice);
const malloc = libc.func('void *malloc(size_t size)') as (size: number) => bigint;
const free = destructor(libc, 'free');
const slice = Slice.alloc(64);

const cases: Record<Kind, () => unknown> = {
  numbers: () => abs(-5),
  slice: () => memset(slice, 1, 64),
  async: () => abs.async(-5),
  handle: () => Handle.adopt('object', malloc(64), free).release(),
};
const kind = process.argv[2] as Kind;
report(await (kind === 'async' ? perCall(cases.async) : perOperation(cases[kind])));
