import type { Known } from '../helpers/runner.ts';

const noSharedBuffers = 'it has no SharedArrayBuffer over C memory';
const unmovable = 'it marks every ArrayBuffer over C memory as untransferable';
const noOperations = 'no event loop of libuv says what Node has under way';
const unlocked = 'it has no detach keys, so a pool notices the move only after it';

/** What Bun cannot do. */
export const known: readonly Known[] = [
  { title: /keeps the code that V8 has optimized/, why: 'it has no V8' },
  { title: /^destructor with bad arguments refuses a symbol/, why: 'an exception of koffi ends the process (SIGABRT)' },
  { title: /as AddressSanitizer finds/, why: 'its allocator is not that of the C library' },
  { title: /^memory that JavaScript has seen (waits|goes|always)/, why: noOperations },
  { title: /are not used again while C or another thread/, why: noSharedBuffers },
  { title: /^the buffer of a slice (over memory that served|takes the block along|of 0 bytes)/, why: unmovable },
  { title: /^a compressor of Node fails .* released between two chunks/, why: 'it says so with an error of its own' },
  { title: /^v8\.Deserializer/, why: 'it has no v8.Deserializer' },
  {
    title: /leaves an object alone that C works on when its thread is terminated/,
    why: 'it does not wait for asynchronous Node-API work when it terminates a thread',
  },
  { title: /^memory that keeps a handle keeps it past the end of their thread, if it was moved/, why: unmovable },
  { title: /^pin refuses the memory of WebAssembly/, why: 'the test skips itself where such memory can be pinned' },
  { title: /^pin of nothing has no address/, why: 'the data of its empty buffers are not at NULL' },
  { title: /^pin never lets .* with a transfer list/, why: 'a pinned buffer stays untransferable after its release' },
  { title: /^Pool .* not lent again after a share/, why: noSharedBuffers },
  { title: /^Pool .* not lent again when its view was moved away/, why: unlocked },
  { title: /^slice\.resize refuses while others hold/, why: noSharedBuffers },
  {
    title: /^slice\.resize (is counted|throws ERR_CSLICE_LIMIT)/,
    why: 'its finalizers end a block after the call, so a resize copies',
  },
  { title: /^slice\.writeTo writes every byte to a (file|slow socket)/, why: noOperations },
];
