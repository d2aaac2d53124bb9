import { type Kind, libc, perCall, prototypes } from '../../harness/calls.ts';
import { perOperation, report } from '../../harness/measure.ts';

const abs = libc.func(prototypes.numbers);
const memset = libc.func(prototypes.slice);
const memcmp = libc.func(prototypes.slices);
const malloc = libc.func('void *malloc(size_t size)');
const free = libc.func('void free(void *memory)');
const address = malloc(64) as bigint;
const other = malloc(64) as bigint;

const cases: Record<Kind, () => unknown> = {
  numbers: () => abs(-5),
  slice: () => memset(address, 1, 64),
  slices: () => memcmp(address, other, 64),
  async: () => new Promise((resolve) => abs.async(-5, (_: unknown, result: number) => resolve(result))),
  handle: () => free(malloc(64)),
};
const kind = process.argv[2] as Kind;
report(await (kind === 'async' ? perCall(cases.async) : perOperation(cases[kind])));
