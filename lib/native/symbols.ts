import koffi from 'koffi';
import { libraryError, locate } from './locate.ts';

/** Must equal CSLICE_ABI_VERSION of the library. */
const abiVersion = 1;

/** C's integers of 64 bits: a number where that is exact, as every address of today's user space is. */
export type Integer = number | bigint;

/** koffi types that koffi itself does not export by name. */
export type KoffiLibrary = ReturnType<typeof koffi.load>;
export type KoffiFunction = ReturnType<KoffiLibrary['func']>;
export type TypeSpec = Parameters<typeof koffi.sizeof>[0];
export type TypeObject = ReturnType<typeof koffi.type>;

export const libraryPath: string = locate();

function open(): KoffiLibrary {
  let library: KoffiLibrary;
  let found: number;
  try {
    library = koffi.load(libraryPath);
    found = library.func('uint32_t cslice_abi_version()')();
  } catch (cause) {
    throw libraryError(`cannot be loaded (${(cause as Error).message})`, [libraryPath], cause);
  }
  if (found !== abiVersion) {
    throw libraryError(`has ABI version ${found}, but this package needs ${abiVersion}`, [libraryPath]);
  }
  return library;
}

const library = open();

// Each string below is the prototype of csrc/cslice.h, word for word: the test command compares them.
// Integers alone, and six at most, keep a call on koffi's fast path.

export const slotsReserve: (count: number) => number = library.func('int64_t cslice_slots_reserve(uint32_t count)');

export const slotAlloc: (slot: number, size: number) => Integer = library.func(
  'int64_t cslice_slot_alloc(uint32_t slot, uint64_t size)',
);

export const slotAllocWith: (slot: number, size: number, alignment: number, zero: number) => Integer = library.func(
  'int64_t cslice_slot_alloc_with(uint32_t slot, uint64_t size, uint64_t alignment, uint32_t zero)',
);

export const slotAdopt: (
  slot: number,
  address: Integer,
  size: number,
  fn: Integer,
  signature: number,
  context: Integer,
) => number = library.func(
  'int32_t cslice_slot_adopt(uint32_t slot, uint64_t address, uint64_t size, uint64_t function, uint32_t signature, uint64_t context)',
);

export const slotAdoptCallback: (slot: number, address: Integer, size: number, mailbox: Integer) => number =
  library.func('int64_t cslice_slot_adopt_callback(uint32_t slot, uint64_t address, uint64_t size, uint64_t mailbox)');

export const slotRef: (slot: number, from: number) => number = library.func(
  'int32_t cslice_slot_ref(uint32_t slot, uint32_t from)',
);

export const slotRelease: (slot: number) => void = library.func('void cslice_slot_release(uint32_t slot)');

export const slotsCollect: (slots: Uint32Array, count: number) => void = library.func(
  'void cslice_slots_collect(const uint32_t *slots, uint32_t count)',
);

export const slotDisown: (slot: number) => number = library.func('int32_t cslice_slot_disown(uint32_t slot)');

export const callbackTake: (mailbox: Integer) => number = library.func(
  'int64_t cslice_callback_take(uint64_t mailbox)',
);

export const libraryKeep: (address: Integer) => number = library.func('int32_t cslice_library_keep(uint64_t address)');

export const limitSet: (bytes: number) => void = library.func('void cslice_limit_set(uint64_t bytes)');

export const copyMemory: (destination: Integer, source: Integer, size: number) => void = library.func(
  'void cslice_copy(uint64_t destination, uint64_t source, uint64_t size)',
);

export const copyIn: (destination: Integer, source: Uint8Array, size: number) => void = library.func(
  'void cslice_copy_in(uint64_t destination, const void *source, uint64_t size)',
);

export const copyOut: (destination: Uint8Array, source: Integer, size: number) => void = library.func(
  'void cslice_copy_out(void *destination, uint64_t source, uint64_t size)',
);

export const print: (text: Integer) => number = library.func('int32_t cslice_print(uint64_t text)');

export const statisticsGet: (statistics: BigUint64Array) => void = library.func(
  'void cslice_statistics_get(void *statistics)',
);

export const statusMessage: (status: number) => string = library.func('const char *cslice_status_message(int status)');

export const testFailAllocation: (n: number) => void = library.func('void cslice_test_fail_allocation(uint64_t n)');

const processFunctions = new Map<string, KoffiFunction>();
let processLibrary: KoffiLibrary | undefined;

/** A function that is in the process already, by its C prototype: of the C library, say. */
export function processFunction(prototype: string): KoffiFunction {
  let fn = processFunctions.get(prototype);
  if (fn === undefined) {
    processLibrary ??= koffi.load(null);
    fn = processLibrary.func(prototype);
    processFunctions.set(prototype, fn);
  }
  return fn;
}

/** koffi's zero-copy ArrayBuffer. Main thread only: it aborts the process in a worker that is being terminated. */
export const koffiView: (address: Integer, length: number) => ArrayBuffer = koffi.view;

/** Where the bytes of a JavaScript buffer are. */
export const bufferAddress: (buffer: ArrayBufferView | ArrayBufferLike) => bigint = koffi.address;

/** The layout of a type, from a koffi type or its name. @throws what koffi throws for a type that it does not know */
export const typeOf: (type: TypeSpec) => TypeObject = koffi.type;

/** A JavaScript string from a NUL-terminated one, by the width of its characters in bytes. */
export const readCString: Record<1 | 2 | 4, (address: Integer) => string> = {
  1: koffi.decode.string,
  2: koffi.decode.string16,
  4: koffi.decode.string32,
};

/** The negative codes of CSLICE_STATUS_MAP that callers tell apart. */
export const status = { ENOMEM: -1, ELIMIT: -2, EINVAL: -3, ESLOT: -4, EOWNER: -5, ESHARED: -6 } as const;
