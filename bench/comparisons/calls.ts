/** What calling a declared function costs, beside the same call by koffi. */
import { cslice, node } from './programs.ts';
import type { Comparison } from './types.ts';

function call(kind: string, title: string, peer: string, atMost: number): Comparison {
  return {
    id: `call-${kind}`,
    title,
    unit: 'ns',
    programs: [cslice('call', kind), node(peer, 'peers/koffi/call', kind)],
    bars: [{ against: peer, atMost }],
  };
}

export const callComparisons: readonly Comparison[] = [
  call('numbers', 'Call a C function with a number', 'koffi', 1.15),
  call('slice', 'Call a C function with a slice and two numbers', 'koffi with a bigint', 1.4),
  call('slices', 'Call a C function with two slices and a number', 'koffi with bigints', 1.4),
  call('async', 'Call a C function off the event loop, 64 at a time', 'koffi .async', 1.1),
  call('handle', 'Own an object of C: make, release', 'koffi malloc + free', 1.2),
];
