import type { Known } from '../helpers/runner.ts';

const noSharedBuffers = 'it has no SharedArrayBuffer over C memory';
const noOperations = 'no event loop of libuv says what Deno has under way';
const noLocks = 'it has no detach keys: such moves are safe, but not refused';
const copies = 'a resize copies to a new block';
const threads = 'the handles of a thread are not freed at its end';
/** The message is "Unexpected Buffer value" or "types.isExternal is not a function". */
const koffi = 'koffi takes no Buffer for a pointer there, and util.types.isExternal is missing';

/** What Deno cannot do. */
export const known: readonly Known[] = [
  { title: /keeps the code that V8 has optimized/, why: 'it prints no --trace-deopt' },
  { title: /^memory that JavaScript has seen (waits|goes at the release although|always)/, why: noOperations },
  { title: /^a compressor of Node fails/, why: 'it says so with an error of its own', sometimes: true },
  { title: /^v8\.Deserializer throws/, why: 'it copies the input' },
  { title: /are not used again while C or another thread/, why: noSharedBuffers },
  { title: /^callAsync resolves after C has written into JavaScript memory/, why: koffi },
  { title: /^callAsync keeps until C is done (a slice in a struct|buffers in a struct)/, why: koffi },
  { title: /^callAsync rejects, .* (inside of an object|whose getter throws|that contains itself)$/, why: koffi },
  { title: /^a function that returns (bytes|a string|a block)/, why: koffi, sometimes: true },
  { title: /^a declared function/, why: koffi, sometimes: true },
  { title: /^under hostile arguments, a declared function/, why: koffi, sometimes: true },
  { title: /^Slice\.fromBlock keeps a job that never yields bounded/, why: 'V8 collects young buffers later there' },
  { title: /^two copies of the package .* attach what/, why: noSharedBuffers },
  { title: /^a realm of node:vm gives typed arrays/, why: koffi },
  { title: /^a buffer that is moved by .* is refused for/, why: noLocks },
  { title: /^Handle runs its native destructor when its thread ends \(terminate\)/, why: threads },
  { title: /^memory that keeps a handle .* the end of their thread/, why: threads },
  { title: /^a handle that keeps newer ones goes before them/, why: threads },
  { title: /^pin refuses the memory of WebAssembly/, why: 'the test skips itself where such memory can be moved' },
  { title: /^pin never lets .* with a transfer list/, why: noLocks },
  { title: /^pin gives transfer\(\) back/, why: 'a buffer stays undetachable after the release of its pin' },
  { title: /^Pool .* not lent again after a share/, why: noSharedBuffers },
  { title: /^Pool .* not lent again when its view was moved away/, why: noLocks },
  { title: /^slice\.resize refuses while others hold/, why: noSharedBuffers },
  { title: /^slice\.resize (is counted|throws ERR_CSLICE_LIMIT)/, why: copies },
  {
    title: /^garbage collection keeps a job that never yields/,
    why: 'V8 collects young buffers later there, 123 or 500 blocks after their death',
    sometimes: true,
  },
  {
    title: /^garbage collection (happens by itself in a program that yields|is not needed for what a thread holds)/,
    why: 'V8 collects young buffers later there, and the handles of a thread are not freed at its end',
    sometimes: true,
  },
  {
    title: /^slice\.writeTo writes every byte to a (file|slow socket)/,
    why: 'its streams call back before they let the bytes go',
    sometimes: true,
  },
  { title: /^slice\.holders with tracking names each holder/, why: noSharedBuffers },
  {
    title: /^slice\.writeTo takes for a stream .* (a file whose|a response whose|a socket whose)/,
    why: noOperations,
    sometimes: true,
  },
  { title: /^a block that C has no memory for is an error of pin/, why: noSharedBuffers },
  { title: /^a buffer that somebody else has locked/, why: noLocks },
  { title: /^a block that C has no memory for is there after/, why: copies },
  { title: /^leakReport is a text that reads well/, why: 'it has one more frame at the top', sometimes: true },
  { title: /^stats beyond the life of blocks tell kinds apart/, why: 'a pin is not a block there' },
];
