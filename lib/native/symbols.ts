import { types } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { CSliceError } from '../errors.ts';
import { type Integer, openHost } from './host.ts';
import { isKoffiThere, type KoffiFunction, type KoffiLibrary, koffi, type TypeObject } from './koffi.ts';
import { cannotBeLoaded, libraryError, libraryPath } from './locate.ts';

export type { Integer };

/** Must equal CSLICE_ABI_VERSION of the library. */
const abiVersion = 3;

const abiPrototype = 'uint32_t cslice_abi_version()';

/** undefined: koffi does not run here. Slices do without it, and what calls C functions says so. */
function openByKoffi(): KoffiLibrary | undefined {
  if (!isKoffiThere()) return undefined;
  try {
    const library = koffi().load(libraryPath);
    checkAbi(library.func(abiPrototype));
    return library;
  } catch (cause) {
    throw cause instanceof CSliceError ? cause : cannotBeLoaded(cause);
  }
}

function checkAbi(version: () => number): void {
  if (version() !== abiVersion) {
    throw libraryError(`has ABI version ${version()}, but this package needs ${abiVersion}`, [libraryPath]);
  }
}

// Before the Node-API module is opened: a library of another ABI is then known for what it is.
const library = isMainThread ? openByKoffi() : undefined;

const host = openHost();

/** A C function by its prototype: through koffi, or in a worker thread through Node-API, as bindings.c says. */
function bind(prototype: string): KoffiFunction {
  if (library !== undefined) return library.func(prototype);
  const name = /\bcslice_\w+/.exec(prototype)?.[0] ?? '';
  return (host as unknown as Record<string, KoffiFunction>)[name] as KoffiFunction;
}

if (library === undefined) checkAbi(bind(abiPrototype));

// Each string below is the prototype of csrc/cslice.h, word for word: the test command compares them.
// Integers alone, and six at most, keep a call on koffi's fast path.

export const countFailure: () => void = bind('void cslice_count_failure()');

export const stringSize: (address: Integer, width: number) => number = bind(
  'int64_t cslice_string_size(uint64_t address, uint32_t width)',
);

export const blockUnref: (block: Integer) => void = bind('void cslice_unref(uint64_t block)');

export const giveBack: (address: Integer, size: number, fn: Integer, signature: number, context: Integer) => void =
  bind(
    'void cslice_give_back(uint64_t address, uint64_t size, uint64_t function, uint32_t signature, uint64_t context)',
  );

export const reuseAccount: () => Integer = bind('int64_t cslice_reuse_account()');

export const reuseSet: (bytes: number) => void = bind('void cslice_reuse_set(uint64_t bytes)');

/** The addresses of the blocks, as numbers. */
export const blocksRenew: (blocks: Float64Array, count: number) => number = bind(
  'int32_t cslice_blocks_renew(const double *blocks, uint32_t count)',
);

export const dueNext: (mailbox: Integer) => number = bind('int64_t cslice_due_next(uint64_t mailbox)');

/** The address of a record in C, by which the end of a block is told; or a negative status. */
export const recordNew: (block: Integer, mailbox: Integer) => Integer = bind(
  'int64_t cslice_record_new(uint64_t block, uint64_t mailbox)',
);

/** The next record that has ended, times 8, and the reason; 0: none has. */
export const recordNext: (mailbox: Integer) => Integer = bind('int64_t cslice_record_next(uint64_t mailbox)');

export const recordOf: (block: Integer) => number = bind('int64_t cslice_record_of(uint64_t block)');

/** Of a block that the caller holds. */
export const countReferences: (block: Integer) => number = bind('int64_t cslice_references(uint64_t block)');

export const recordReferences: (record: Integer) => Integer = bind('int64_t cslice_record_references(uint64_t record)');

export const handlesTable: (count: number) => Integer = bind('int64_t cslice_handles_table(uint32_t count)');

/** The function that a block that needs handles has for a destructor, with a keeper for its context. */
export const keeperFunction: () => Integer = bind('int64_t cslice_keeper_function()');

export const keeperNew: (number: number, size: number, fn: Integer, signature: number, context: Integer) => Integer =
  bind(
    'int64_t cslice_keeper_new(uint64_t number, uint64_t size, uint64_t function, uint32_t signature, uint64_t context)',
  );

export const keeperFree: (keeper: Integer) => void = bind('void cslice_keeper_free(uint64_t keeper)');

export const libraryKeep: (address: Integer) => number = bind('int32_t cslice_library_keep(uint64_t address)');

export const limitSet: (bytes: number) => void = bind('void cslice_limit_set(uint64_t bytes)');

export const copyMemory: (destination: Integer, source: Integer, size: number) => void = bind(
  'void cslice_copy(uint64_t destination, uint64_t source, uint64_t size)',
);

export const copyIn: (destination: Integer, source: Uint8Array, size: number) => void = bind(
  'void cslice_copy_in(uint64_t destination, const void *source, uint64_t size)',
);

export const copyOut: (destination: Uint8Array, source: Integer, size: number) => void = bind(
  'void cslice_copy_out(void *destination, uint64_t source, uint64_t size)',
);

export const statisticsGet: (statistics: BigUint64Array) => void = bind('void cslice_statistics_get(void *statistics)');

/** The UTF-8 text at an address. */
export const stringAt: (address: Integer) => string = bind('const char *cslice_string_at(uint64_t address)');

/** Where the bytes of a typed array are. */
export const addressOf: (view: Uint8Array) => Integer = bind('uint64_t cslice_address_of(const void *memory)');

export const guardSet: (rate: number) => number = bind('int32_t cslice_guard_set(uint32_t rate)');

/** Where the rate is, as a Uint32. */
export const guardRateAddress: () => Integer = bind('int64_t cslice_guard_rate_address()');

export const guardNote: (block: Integer, what: number, text: Uint8Array, size: number) => void = bind(
  'void cslice_guard_note(uint64_t block, uint32_t what, const void *text, uint64_t size)',
);

export const testFailAllocation: (n: number) => void = bind('void cslice_test_fail_allocation(uint64_t n)');

/** The text of a wide C string at an address, by the width of its characters in bytes. */
export function wideStringAt(width: 2 | 4, address: Integer): string {
  const { decode } = koffi();
  return width === 2 ? decode.string16(address) : decode.string32(address);
}

const errnoAddress: () => Integer = bind('int64_t cslice_errno_address()');

/** C's errno in this thread, as its only element. A call for it would cost as much as the call that it is about. */
let errno: Int32Array | undefined;

function openErrno(): Int32Array | undefined {
  const memory = host.borrow(errnoAddress(), Int32Array.BYTES_PER_ELEMENT);
  if (types.isArrayBuffer(memory)) errno = new Int32Array(memory);
  return errno;
}

/** Sets C's errno to 0, so that an old one is not taken for a new one. */
export function clearErrno(): void {
  const memory = errno ?? openErrno();
  if (memory === undefined) koffi().errno(0);
  else memory[0] = 0;
}

/** C's errno as the last call of koffi in this thread left it, after {@link clearErrno}. */
export function lastErrno(): number {
  return errno?.[0] ?? koffi().errno();
}

let ending: TypeObject | undefined;

/** The function at an address, which takes a pointer as a number and returns nothing. */
export function endingAt(address: Integer): (address: Integer) => void {
  const { decode, proto } = koffi();
  ending ??= proto('void', ['uintptr_t']);
  return decode(address, ending);
}

/** The layout of a type, from its name. @throws what koffi throws for a name that it does not know */
export function typeByName(name: string): TypeObject {
  return koffi().type(name);
}

/** The negative codes of CSLICE_STATUS_MAP that callers tell apart. */
export const status = { ENOMEM: -1, ELIMIT: -2, EINVAL: -3, ENOVIEW: -4 } as const;
