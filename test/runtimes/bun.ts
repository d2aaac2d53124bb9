import type { Known } from '../helpers/runner.ts';

const noSharedBuffers = 'it has no SharedArrayBuffer over C memory';
const unmovable = 'it marks every ArrayBuffer over C memory as untransferable';
const noOperations = 'no event loop of libuv says what Node has under way';
const noLocks = 'it has no detach keys: such moves are safe, but not refused';

/** Error.captureStackTrace gives no call sites, so blocks have no place in the source. */
const noStacks = 'its errors have no structured stack';

/** What Bun cannot do. */
export const known: readonly Known[] = [
  { title: /keeps the code that V8 has optimized/, why: 'it has no V8' },
  {
    title: /^destructor with bad arguments refuses a symbol/,
    why: 'an exception of koffi ends the process (SIGABRT), in some runs',
    sometimes: true,
  },
  { title: /^memory that JavaScript has seen (waits|goes at the release although|always)/, why: noOperations },
  { title: /^a report of guard mode has the (stacks|place)/, why: noStacks },
  { title: /are not used again while C or another thread/, why: noSharedBuffers },
  { title: /^the buffer of a slice (over memory that served|takes the block along|of 0 bytes)/, why: unmovable },
  {
    title: /^a compressor of Node fails .* between two chunks \(create(Gzip|DeflateRaw|ZstdCompress)\)/,
    why: 'it says so with an error of its own',
  },
  { title: /^v8\.Deserializer throws/, why: 'it has no v8.Deserializer' },
  {
    title: /leaves an object alone that C works on when its thread is terminated/,
    why: 'it does not wait for asynchronous Node-API work when it terminates a thread, so C may come too late',
    sometimes: true,
  },
  { title: /^memory that keeps a handle keeps it past the end of their thread, if it was moved/, why: unmovable },
  { title: /^pin refuses the memory of WebAssembly/, why: 'the test skips itself where such memory can be moved' },
  { title: /^pin of nothing has no address/, why: 'the data of its empty buffers are not at NULL' },
  {
    title: /^pin never lets .* with a transfer list/,
    why: 'a buffer stays untransferable after the release of its pin',
  },
  { title: /^Pool .* not lent again after a share/, why: noSharedBuffers },
  { title: /^Pool .* not lent again when its view was moved away/, why: noLocks },
  { title: /^slice\.resize refuses while others hold/, why: noSharedBuffers },
  { title: /^slice\.resize (is counted|throws ERR_CSLICE_LIMIT)/, why: 'a resize copies to a new block' },
  { title: /^slice\.writeTo writes every byte to a (file|slow socket)/, why: noOperations },
  { title: /^a buffer that somebody else has locked/, why: noLocks },
  { title: /^a borrowed slice is detached at its release though/, why: 'it does not detach what an operation has' },
  { title: /^a buffer that is moved by (structuredClone|postMessage|workerData)/, why: unmovable, sometimes: true },
  { title: /^a buffer that is moved (takes an empty block|keeps other slices)/, why: unmovable },
  { title: /^a buffer that is moved by .* is refused for/, why: noLocks },
  { title: /^a buffer that is moved to another thread/, why: unmovable },
  { title: /^pinned JavaScript memory is not moved by (enqueue|read|transfer)/, why: noLocks },
  { title: /^a buffer that somebody marked as untransferable keeps its views/, why: noLocks },
  { title: /^two copies of the package .* (attach what|in a worker)/, why: noSharedBuffers },
  {
    title: /^two copies of the package .* never let a pin/,
    why: 'a pin does not see that another copy of the package owns the view',
  },
  { title: /^a realm of node:vm (keeps a block|moves a buffer)/, why: unmovable },
  { title: /^stacks (have|neither|do not keep)/, why: noStacks },
  { title: /^liveBlocks tells size, kind, label, age and the place/, why: noStacks },
  { title: /^slice\.holders with tracking names each holder/, why: 'it has no SharedArrayBuffers over C memory' },
  { title: /^heapProfile (is exact with tracking|writes Chrome's format)/, why: noStacks },
  { title: /^leakReport (groups|is a text|is bounded)/, why: noStacks },
  {
    title: /^stats beyond the life of blocks tell kinds apart/,
    why: 'a pin is not a block there: Node-API has no hold on the memory of a buffer',
  },
  { title: /^frames of a stack stay as they are where there is no map/, why: 'it takes %zz in a URL for a path' },
  {
    title: /^slice\.writeTo writes an HTTP response, and a rented block can be rented again/,
    why: 'its HTTP responses are not of the class that Node names, so the bytes stay with the stream',
  },
  { title: /^slice\.writeTo takes for a stream .* (a file whose|a response whose|a socket whose)/, why: noOperations },
  { title: /^a block that C has no memory for is an error of pin/, why: noSharedBuffers },
  { title: /^a block that C has no memory for is there after/, why: 'a resize copies to a new block' },
  {
    title: /^a slice that generic code is given is refused by what would clone/,
    why: 'its error does not name what cannot be cloned',
  },
  {
    title: /^stacks throw nothing but an overflow where the stack is almost full/,
    why: 'JavaScriptCore gives no frames there',
    sometimes: true,
  },
  {
    never: true,
    title: /^readString refuses a text that is longer than a string can be/,
    why: 'a string may have 2 GiB there, which is too much for a test',
  },
  {
    never: true,
    title: /^memory that JavaScript has seen may be in use if Node has loaded a part/,
    why: 'it holds the memory itself',
  },
];
