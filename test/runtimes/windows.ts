import type { Known } from '../helpers/runner.ts';

const late = 'memory that was seen is freed on the event loop, not in the call';
const noSharedBuffers = 'it has no SharedArrayBuffer over C memory';
const notInC = "Windows' C library does not export it";
const noProcesses = 'Wine starts no process whose output Node can read';

/** What Node on Windows cannot do, in the tests that `npm run prove platforms windows` runs. */
export const known: readonly Known[] = [
  { title: /^Arena release (kills every view|does nothing the second time)/, why: late },
  { title: /^Arena arena is released with its parent/, why: late },
  { title: /^the codec .* does not follow a pointer member/, why: late },
  { title: /^released blocks .* (make no peak|are used again by the next slices)/, why: late },
  { title: /^released blocks .* are not used again while C or another thread/, why: noSharedBuffers },
  { title: /^released blocks .* belong to the handle that uses them/, why: late },
  { title: /^the sample of guard mode counts as allocated/, why: late },
  { title: /^a declared function off the event loop tells the errno/, why: 'each library has a C library of its own' },
  { title: /^a declared function off the event loop rejects rather than throws/, why: late },
  { title: /^a declared function with a variable number of arguments/, why: notInC },
  { title: /^Handle (keeps slices, whose|runs its destructor after the public call)/, why: late },
  { title: /holds a handle whose views have an owner that releases it/, why: late },
  { title: /^pin refuses the memory of WebAssembly/, why: 'the test skips itself where such memory can be moved' },
  { title: /^pin of a view of a slice is a lease/, why: late },
  { title: /^Pool the constructor leaves none of the warm blocks/, why: late },
  { title: /^Pool .* not lent again after a share/, why: noSharedBuffers },
  {
    title: /^Pool .* not lent again while C works on it/,
    why: 'the library of the tests does not export memchr there',
  },
  { title: /^Pool release gives waiting blocks back at once/, why: late },
  { title: /^what is noted of the holders .* does not grow/, why: late },
  { title: /^slice\.subslice (has a life of its own|frees the whole block once)/, why: late },
  { title: /^Slice\.concat refuses what is not an array/, why: late },
  { title: /^Slice\.concat throws and leaves nothing/, why: late, sometimes: true },
  { title: /^slice\.resize (is counted|refuses while others|refuses memory that|throws ERR_CSLICE_LIMIT)/, why: late },
  { title: /^slice\.resize leaves the slice and its bytes/, why: late, sometimes: true },
  { title: /^Slice adopt (gives C memory back|adopts memory of length 0|runs a destructor after)/, why: late },
  { title: /^Slice adopt (lets a destructor release|reports a destructor|survives a destructor)/, why: late },
  { title: /^Slice read and write do not reach the memory when a getter/, why: late },
  { title: /^Slice release (works without a view|gives the memory back at once)/, why: late },
  { title: /^SliceWriter (collects what|throws ERR_CSLICE_RELEASED|keeps what was written)/, why: late },
  { title: /^SliceWriter as a .* (gives the memory back|fails)/, why: late, sometimes: true },
];

/** What Wine cannot do in addition. */
export const inWine: readonly Known[] = [
  { title: /^released blocks .* of a worker thread end with it/, why: noProcesses },
  { title: /^Handle runs its native destructor when its thread ends/, why: noProcesses },
  { title: /leaves an object alone that C works on when its thread is terminated/, why: noProcesses },
  {
    title: /^CSliceError is a RangeError .* by whatever name/,
    why: 'the copy of the tests has other names of classes',
  },
  { title: /^leakReport is a text that reads well/, why: 'the copy of the tests has other paths' },
];
