/** attack.c, compiled once for all processes of a run, and the functions of C that look at memory past the package. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { type Destructor, subject } from './subject.ts';

type TypeObject = ReturnType<typeof koffi.struct>;
type KoffiFunction = ReturnType<ReturnType<typeof koffi.load>['func']>;

export interface Native {
  make(id: number, byteLength: number): bigint;
  discard(address: bigint): void;
  /** C's own. */
  free(address: bigint): void;
  ended(id: number): number;
  /** Whether C finds these bytes at the address. */
  holds(address: bigint, bytes: Uint8Array): boolean;
  /** Called by a native destructor, from C. */
  log(logger: ((id: number) => void) | undefined): void;
  /** Looks through memory by C's bsearch(), which calls back for each step. */
  search(address: bigint, byteLength: number, compare: () => void): void;
  /** A type for `write()`: a byte, padding, a number, four bytes. */
  readonly struct: TypeObject;
  /** For callAsync: resolves to 1 if the bytes change meanwhile. */
  readonly watch: KoffiFunction;
  /** One for each signature, and one that calls JavaScript. */
  readonly destructors: readonly Destructor[];
}

/** Compiles attack.c and hands the path to `use`; what it makes is gone afterwards. */
export function withLibrary<T>(use: (path: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'cslice-attack-'));
  const path = join(directory, 'attack.so');
  const source = fileURLToPath(new URL('../../fixtures/attack.c', import.meta.url));
  try {
    execFileSync('cc', ['-O1', '-g', '-shared', '-fPIC', '-pthread', '-o', path, source]);
    return use(path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export function openNative(path: string): Native {
  const library = koffi.load(path);
  const memcmp = koffi.load(null).func('int memcmp(const void *left, uintptr_t right, size_t size)');
  const bsearch = koffi
    .load(null)
    .func('uintptr_t bsearch(const void *key, uintptr_t base, size_t count, size_t size, void *compare)');
  const logs = koffi.proto('void AttackLog(uint32_t id)');
  const compares = koffi.proto('int AttackCompare(const void *left, const void *right)');
  const setLogger = library.func('void attack_set_logger(void *logger)');
  const free = koffi.load(null).func('void free(uintptr_t memory)');
  const make = library.func('uintptr_t attack_make(uint32_t id, size_t size)');
  let logger: ((id: number) => void) | undefined;
  let compare = (): void => {};
  let registered: bigint | undefined;
  let comparing: bigint | undefined;
  const key = new Uint8Array(1);
  let isBusy = false;
  /** koffi's stacks do not take a call back within a call back: V8 then believes that the stack is full. */
  const alone = (act: () => void): void => {
    if (isBusy) return;
    isBusy = true;
    try {
      act();
    } finally {
      isBusy = false;
    }
  };
  return {
    make: (id, byteLength) => BigInt(make(id, byteLength)),
    free: (address) => free(address),
    struct: koffi.struct({ a: 'uint8_t', b: 'uint32_t', c: koffi.array('uint8_t', 4) }),
    discard: library.func('void attack_discard(uintptr_t memory)'),
    ended: library.func('uint32_t attack_ended(uint32_t id)'),
    holds: (address, bytes) => bytes.byteLength === 0 || memcmp(bytes, address, bytes.byteLength) === 0,
    log(next) {
      logger = next;
      registered ??= koffi.register((id: number) => {
        alone(() => logger?.(id));
      }, koffi.pointer(logs));
      setLogger(next === undefined ? null : registered);
    },
    search(address, byteLength, next) {
      comparing ??= koffi.register(() => {
        compare();
        return 1;
      }, koffi.pointer(compares));
      alone(() => {
        compare = next;
        bsearch(key, address, byteLength, 1, comparing);
      });
    },
    watch: library.func('uint32_t attack_watch(const uint8_t *memory, size_t size, uint32_t microseconds)'),
    destructors: [
      subject.destructor(library, 'attack_free'),
      subject.destructor(library, 'attack_free_sized', { signature: 'ptr,size' }),
      subject.destructor(library, 'attack_free_in', { signature: 'ctx,ptr', context: 7n }),
      subject.destructor(library, 'attack_free_and_log'),
    ],
  };
}
