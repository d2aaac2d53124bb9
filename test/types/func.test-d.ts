/** Never run: the compiler checks what it says of the types of declared functions. */
import { callback, type Destructor, func, Handle, type Slice, type StructArray } from 'cslice';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<_T extends true>(): void {}

type Library = Parameters<typeof func>[0];
declare const lib: Library;
declare const slice: Slice;
declare const free: Destructor;
declare const db: Handle<'sqlite3'>;
declare const statement: Handle<'sqlite3_stmt'>;

// Scalars.

const pow = func(lib, 'double pow(double x, double y)');
expectType<Equal<ReturnType<typeof pow>, number>>();
expectType<Equal<Parameters<typeof pow>, [number, number]>>();
expectType<Equal<ReturnType<typeof pow.async>, Promise<number>>>();
// @ts-expect-error: a string is no double
pow('2', 3);
// @ts-expect-error: an argument is missing
pow(2);
// @ts-expect-error: an argument is too many
pow(2, 3, 4);
// @ts-expect-error: off the event loop the same holds
pow.async('2', 3);

const getpid = func(lib, 'int getpid(void)');
expectType<Equal<Parameters<typeof getpid>, []>>();
const clear = func(lib, 'void clear();');
expectType<Equal<ReturnType<typeof clear>, void>>();
const flag = func(lib, 'bool flag(bool on)');
expectType<Equal<ReturnType<typeof flag>, boolean>>();
// @ts-expect-error: a number is no boolean
flag(1);
const labs = func(lib, 'int64_t labs(int64_t x)');
expectType<Equal<ReturnType<typeof labs>, number | bigint>>();
labs(5);
labs(5n);
const crc = func(lib, 'unsigned long crc32(unsigned long crc, const unsigned char *bytes, unsigned int size)');
crc(0, slice, 5);
// @ts-expect-error: an int is no bigint
crc(0, slice, 5n);
const nameless = func(lib, 'int f(int, unsigned int, const char *)');
nameless(1, 2, 'text');
const far = func(lib, 'int __stdcall far(int x)');
expectType<Equal<Parameters<typeof far>, [number]>>();
const lines = func(
  lib,
  `int lines(
     int first,
     const char *second
   )`,
);
lines(1, 'text');

// Pointers.

const strlen = func(lib, 'size_t strlen(const char *text)');
strlen('text');
strlen(slice);
strlen(slice.bytes);
strlen(new SharedArrayBuffer(8));
strlen(null);
strlen(0x1000n);
// @ts-expect-error: a number is no pointer
strlen(5);
const memset = func(lib, 'void *memset(void *memory, int byte, size_t size)');
expectType<Equal<ReturnType<typeof memset>, bigint | null>>();
memset(db, 0, 1);
// @ts-expect-error: C would write to a copy of the string
memset('text', 0, 1);
const getcwd = func(lib, 'char *getcwd(char *buffer, size_t size)');
expectType<Equal<ReturnType<typeof getcwd>, string | null>>();
// @ts-expect-error: C would write to a copy of the string
getcwd('text', 1);
const sum = func(lib, 'int sum(const int32_t *numbers, size_t count)');
sum([1, 2, 3], 3);
sum(new Int32Array(3), 3);
// @ts-expect-error: strings are no integers
sum(['1'], 1);

const step = func(lib, 'int sqlite3_step(sqlite3_stmt *stmt)');
step(statement);
step(1n);
// @ts-expect-error: a database is no statement
step(db);
// @ts-expect-error: nor is it one off the event loop
step.async(db);
const read = func(lib, 'int archive_read_close(struct archive *archive)');
declare const archive: Handle<'archive'>;
read(archive);
// @ts-expect-error: a database is no archive
read(db);

/** A struct that koffi knows and the compiler does not. */
const compress = func(
  lib,
  'size_t ZSTD_compressStream(ZSTD_CCtx *ctx, _Inout_ ZSTD_outBuffer *output, ZSTD_inBuffer *input)',
);
declare const context: Handle<'ZSTD_CCtx'>;
interface Input {
  src: Slice;
  size: number;
}
declare const input: Input;
compress(context, { dst: slice, size: 5, pos: 0 }, input);
// @ts-expect-error: a handle is no struct
compress(context, { dst: slice, size: 5, pos: 0 }, db);

const frexp = func(lib, 'double frexp(double x, _Out_ int *exponent)');
frexp(8, [null]);
frexp(8, new Int32Array(1));
// @ts-expect-error: nothing could be written to a number
frexp(8, 5);

// Ownership.

const open = func(lib, 'int sqlite3_open(const char *path, _Out_ sqlite3 **db)', {
  returns: 'handle',
  from: 'db',
  free: 'sqlite3_close_v2',
  failed: (code) => code !== 0,
});
expectType<Equal<ReturnType<typeof open>, Handle<'sqlite3'>>>();
expectType<Equal<ReturnType<typeof open.async>, Promise<Handle<'sqlite3'>>>>();
open(':memory:');
// @ts-expect-error: the output is not the caller's
open(':memory:', [null]);

const prepare = func(
  lib,
  'int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int n, _Out_ sqlite3_stmt **stmt, void *tail)',
  { returns: 'handle', from: 'stmt', free: 'sqlite3_finalize', keeps: ['db'], failed: (code) => code !== 0 },
);
expectType<Equal<ReturnType<typeof prepare>, Handle<'sqlite3_stmt'>>>();
step(prepare(open(':memory:'), 'select 1', -1, null));

const newReader = func(lib, 'struct archive *archive_read_new()', { returns: 'handle', free: 'archive_read_free' });
expectType<Equal<ReturnType<typeof newReader>, Handle<'archive'>>>();

const serialize = func(
  lib,
  'void *sqlite3_serialize(sqlite3 *db, const char *schema, _Out_ int64_t *size, unsigned int flags)',
  { returns: 'bytes', size: 'size', free: 'sqlite3_free' },
);
expectType<Equal<ReturnType<typeof serialize>, Slice>>();
serialize(db, 'main', 0);

const fill = func(lib, 'int fill(_Out_ Buffer *buffer, size_t size)', {
  returns: 'bytes',
  from: 'buffer.data',
  size: 'buffer.size',
  free,
});
expectType<Equal<Parameters<typeof fill>, [number | bigint]>>();

const strdup = func(lib, 'char *strdup(const char *text)', { returns: 'string', free: 'free' });
expectType<Equal<ReturnType<typeof strdup>, string>>();

const blob = func(lib, 'const void *sqlite3_column_blob(sqlite3_stmt *stmt, int i)', {
  returns: 'view',
  size: (_, i) => i,
  until: ['stmt'],
});
expectType<Equal<ReturnType<typeof blob>, Slice | null>>();

const block = func(lib, 'void *ramp(uint32_t count)', { returns: 'block' });
expectType<Equal<ReturnType<typeof block>, Slice>>();

// @ts-expect-error: a size is needed
func(lib, 'void *make(size_t size)', { returns: 'bytes', free });
// @ts-expect-error: a destructor is needed
func(lib, 'void *make(size_t size)', { returns: 'bytes', size: 'size' });
// @ts-expect-error: there is no such ownership
func(lib, 'void *make(size_t size)', { returns: 'slice', size: 'size', free });

// What cannot be taken apart is unknown, and never wrong.

declare const text: string;
const anything = func(lib, text);
expectType<Equal<Parameters<typeof anything>, unknown[]>>();
expectType<Equal<ReturnType<typeof anything>, unknown>>();
const nested = func(lib, 'int sort(void *base, int (*compare)(const void *, const void *))');
expectType<Equal<Parameters<typeof nested>, unknown[]>>();
const disposable = func(lib, 'str! make(int x)');
expectType<Equal<ReturnType<typeof disposable>, unknown>>();
const named = func(lib, 'MyEnum convert(MyEnum value)');
expectType<Equal<ReturnType<typeof named>, unknown>>();
named(1);
const printf = func(lib, 'int printf(const char *format, ...)');
printf('%d %s', 'int', 5, 'const char *', 'text');
// @ts-expect-error: the format is a string
printf(5);

// Callbacks.

const write = callback(
  'size_t write(char *data, size_t size, size_t n, void *user)',
  { views: { data: (_, size, n) => size * n } },
  (data, size, n, user) => {
    expectType<Equal<typeof data, Uint8Array>>();
    expectType<Equal<typeof size, number | bigint>>();
    expectType<Equal<typeof user, bigint | null>>();
    return Number(size) * Number(n);
  },
);
memset(write, 0, 1);
callback('int compare(const void *a, const void *b)', (a, b) => (a === b ? 0 : 1));
// @ts-expect-error: C expects a number
callback('int compare(const void *a, const void *b)', () => 'text');

// Handles.

const adopted = Handle.adopt('zip_t', 1n, free);
expectType<Equal<typeof adopted, Handle<'zip_t'>>>();
const kept = Handle.adopt('zip_file', 1n, null, { keeps: [adopted, slice] });
expectType<Equal<typeof kept.address, bigint>>();
// @ts-expect-error: a handle has no bytes
kept.bytes;

const points = slice.structs<{ x: number; y: number }>('Point');
expectType<Equal<typeof points, StructArray<{ x: number; y: number }>>>();
