/*
 * cslice: counted blocks of C memory that JavaScript and C hold together.
 *
 * Holds for every function below, unless its own contract says otherwise:
 *   - Sizes and offsets are in bytes.
 *   - A function that can fail returns 0 (or a non-negative result) or one of the negative codes of
 *     CSLICE_STATUS_MAP, and then has changed nothing. Outputs come last and are written on success only.
 *   - No function touches errno on success, and none keeps a pointer that it was given, except where it says so.
 *   - Part 1 is for C and C++ programs and may be called from any thread.
 *   - Part 2 serves the JavaScript side. Its functions work on the owner table of the calling thread. Addresses
 *     travel as integers there, since that is the cheapest form for a foreign function interface.
 */
#ifndef CSLICE_H
#define CSLICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#if defined(CSLICE_BUILD)
#define CSLICE_API __declspec(dllexport)
#else
#define CSLICE_API __declspec(dllimport)
#endif
#else
#define CSLICE_API __attribute__((visibility("default")))
#endif

/* Raised whenever a prototype or a meaning below changes: the JavaScript side refuses a library of another ABI. */
#define CSLICE_ABI_VERSION 1

#define CSLICE_STATUS_MAP(X)                                                            \
    X(ENOMEM, -1, "the C allocator has no memory left")                                 \
    X(ELIMIT, -2, "the allocation would exceed the limit set by cslice_limit_set")      \
    X(EINVAL, -3, "an argument is out of its domain")                                   \
    X(ESLOT, -4, "the slot is out of range, occupied where it must be empty, or empty") \
    X(EOWNER, -5, "the calling thread has no open owner table")                         \
    X(ESHARED, -6, "the shared token is stale or was not made by this process")

enum {
#define X(name, value, message) CSLICE_##name = value,
    CSLICE_STATUS_MAP(X)
#undef X
};

/* ---- Part 1: blocks, for C and C++ ------------------------------------------------------------------------ */

/* A run of bytes with a size, a way to give it back, and an atomic count of references. */
typedef struct cslice_block cslice_block;

/* Gives `data` back. Runs once, on the thread that dropped the last reference. */
typedef void cslice_free_function(void *data, size_t size, void *context);

/* Makes a block of `size` zeroed bytes, aligned to 16, with one reference that the caller owns. `size` may be 0. */
CSLICE_API int cslice_block_new(size_t size, cslice_block **block);

/*
 * Makes a block over memory that the caller owns, with one reference that the caller owns. When the last reference
 * goes, `free_function(data, size, context)` runs; NULL: nothing runs. On failure the memory stays the caller's.
 */
CSLICE_API int cslice_block_adopt(void *data, size_t size, cslice_free_function *free_function, void *context,
                                  cslice_block **block);

/* Takes one more reference. Returns `block`. */
CSLICE_API cslice_block *cslice_block_ref(cslice_block *block);

/* Gives one reference back; the last one gives the memory back. NULL: does nothing. */
CSLICE_API void cslice_block_unref(cslice_block *block);

/* The first byte. Stable for the life of the block. */
CSLICE_API void *cslice_block_data(const cslice_block *block);

CSLICE_API size_t cslice_block_size(const cslice_block *block);

/* Process-wide counts, each exact when no other thread is at work. Every allocated block is live or released. */
typedef struct cslice_statistics {
    uint64_t live_blocks;
    uint64_t live_bytes;
    uint64_t peak_bytes;            /* the highest live_bytes has been when C last saw it */
    uint64_t allocated_blocks;      /* made or adopted since the process started */
    uint64_t released_by_scope;     /* last reference dropped by JavaScript's release() */
    uint64_t released_by_collection; /* last reference dropped after a garbage collection */
    uint64_t released_by_thread_end; /* last reference dropped by the end of a JavaScript thread */
    uint64_t released_by_c;         /* last reference dropped by cslice_block_unref */
    uint64_t disowned_blocks;       /* handed to C with their memory */
    uint64_t lost_destructors;      /* JavaScript destructors whose thread had ended */
    uint64_t failed_destructors;    /* JavaScript destructors that threw */
} cslice_statistics;

CSLICE_API void cslice_statistics_get(cslice_statistics *statistics);

/* The static text for a code of CSLICE_STATUS_MAP. */
CSLICE_API const char *cslice_status_message(int32_t status);

CSLICE_API uint32_t cslice_abi_version(void);

/* ---- Part 2: slots, for the JavaScript side ---------------------------------------------------------------- */

/* How a native destructor wants to be called. */
enum {
    CSLICE_SIGNATURE_PTR = 0,      /* void f(void *data) */
    CSLICE_SIGNATURE_PTR_SIZE = 1, /* void f(void *data, size_t size) */
    CSLICE_SIGNATURE_CTX_PTR = 2   /* void f(void *context, void *data) */
};

/* Reserves `count` empty slots that follow each other and belong to the caller for the life of the thread.
   Returns the first one. */
CSLICE_API int64_t cslice_slots_reserve(uint32_t count);

/* Fills an empty slot with a new block of `size` zeroed bytes, aligned to 16. Returns its address. */
CSLICE_API int64_t cslice_slot_alloc(uint32_t slot, uint64_t size);

/* The same with any power of two as alignment; the bytes are undefined where `zero` is 0. */
CSLICE_API int64_t cslice_slot_alloc_with(uint32_t slot, uint64_t size, uint64_t alignment, uint32_t zero);

/* Fills an empty slot with a block over memory at `address`. The slot owns it from here; `function` gives it back. */
CSLICE_API int32_t cslice_slot_adopt(uint32_t slot, uint64_t address, uint64_t size, uint64_t function,
                                     uint32_t signature, uint64_t context);

/* The same with a destructor in JavaScript, which the owner of `mailbox` runs when cslice_callback_take names it.
   Returns that name, a positive number. A mailbox is what the second door's listen() returned to this thread. */
CSLICE_API int64_t cslice_slot_adopt_callback(uint32_t slot, uint64_t address, uint64_t size, uint64_t mailbox);

/* Fills an empty slot with one more reference to the block in the slot `from`. */
CSLICE_API int32_t cslice_slot_ref(uint32_t slot, uint32_t from);

/* Gives memory back that no block holds, as cslice_slot_adopt's destructor would. */
CSLICE_API void cslice_give_back(uint64_t address, uint64_t size, uint64_t function, uint32_t signature,
                                 uint64_t context);

/* cslice_block_unref. */
CSLICE_API void cslice_block_drop(uint64_t block);

/* Fills an empty slot with a block that C made: the caller's reference becomes the slot's. `block` is its address.
   CSLICE_EINVAL: it is longer than `longest`, or was made by another copy of this library in the process. */
CSLICE_API int32_t cslice_slot_take(uint32_t slot, uint64_t block, uint64_t longest);

/* The block in a slot, the address of its first byte, and its size. The slot keeps its reference. */
CSLICE_API int64_t cslice_slot_block(uint32_t slot);
CSLICE_API int64_t cslice_slot_address(uint32_t slot);
CSLICE_API int64_t cslice_slot_size(uint32_t slot);

/* Changes the size of the block in a slot, which came from cslice_slot_alloc… and has no other reference; the bytes
   that it gains are zero. Returns the new address. CSLICE_EINVAL: other references, or memory of another origin. */
CSLICE_API int64_t cslice_slot_resize(uint32_t slot, uint64_t size);

/*
 * Offers the block in a slot to other threads, under a name and a secret that the caller picks. The offer has a
 * reference of its own. It stands while the slot is full, and from then on until `attachments` attachments have been
 * made in all, or `patience_ms` milliseconds have passed. A slot has one offer: sharing it again awaits that many
 * attachments more. Returns the name, a positive number.
 */
CSLICE_API int64_t cslice_slot_share(uint32_t slot, uint64_t secret, uint32_t attachments, uint32_t patience_ms);

/* Fills an empty slot with one more reference to an offered block. CSLICE_ESHARED: no such offer stands, or its block
   is shorter than `end`. */
CSLICE_API int32_t cslice_slot_attach(uint32_t slot, uint64_t name, uint64_t secret, uint64_t end);

/* Ends the offers that have waited too long, as every share and attach does first. Returns how many offers there are
   then in the process. */
CSLICE_API int64_t cslice_shares_expire(void);

/* Empties a slot: its reference is dropped and counted as released by scope. An empty slot stays empty. */
CSLICE_API void cslice_slot_release(uint32_t slot);

/* The same for `count` slots whose handles the garbage collector found dead; counted as released by collection. */
CSLICE_API void cslice_slots_collect(const uint32_t *slots, uint32_t count);

/*
 * Small blocks that are released may be put aside by the calling thread, each in its slot, and taken again without a
 * call into this library. The thread keeps account of them in four doubles, which every statistics reads:
 *
 *   released   blocks put aside since the thread started; each counts as released by scope
 *   taken      how many of these were taken again; each counts as allocated
 *   bytes      of the blocks that lie aside now; not live
 *   capacity   the most that `bytes` may be; the library alone writes it, and sets it to 0 while there is a limit
 *
 * Whoever releases such a block for good takes it from `released`, calls cslice_slot_release, and then takes it from
 * `bytes`: so it is never counted as ended twice, and its bytes are at no moment live, which might make a peak.
 * Returns the address of the four, or 0: nothing may be put aside.
 */
CSLICE_API int64_t cslice_reuse_account(void);

/* Sets the capacity of every thread, and how many bytes of small memory each keeps in C after its end; at the start
   4 MiB of either. 0: every release gives its memory back at once. */
CSLICE_API void cslice_reuse_set(uint64_t bytes);

/* Zeroes the blocks in these slots, so that they can be taken. CSLICE_EINVAL, and nothing is zeroed: one of them has
   other references, or did not come from cslice_slot_alloc…. */
CSLICE_API int32_t cslice_slots_renew(const uint32_t *slots, uint32_t count);

/* Empties a slot whose block has no other reference, without giving the memory back: C owns that from here.
   CSLICE_EINVAL: there are other references. Returns the name of a JavaScript destructor that will not run, else 0. */
CSLICE_API int64_t cslice_slot_disown(uint32_t slot);

/* Room for `count` handles of this thread, all zero, in the layout of csrc/handles.c. When the thread ends, the
   destructors of those that are written there run, the newest first. CSLICE_ENOMEM. */
CSLICE_API int64_t cslice_handles_table(uint32_t count);

/* Counts a JavaScript destructor that threw. */
CSLICE_API void cslice_count_failure(void);

/* The name of the next JavaScript destructor that is due, or 0. */
CSLICE_API int64_t cslice_callback_take(uint64_t mailbox);

/* Keeps the library that holds the function at `address` loaded for the life of the process. */
CSLICE_API int32_t cslice_library_keep(uint64_t address);

/* The largest total of live bytes that allocations may reach; 0: no limit, as at the start. */
CSLICE_API void cslice_limit_set(uint64_t bytes);

/* memmove. */
CSLICE_API void cslice_copy(uint64_t destination, uint64_t source, uint64_t size);

/* memcpy from the caller's buffer into C memory. */
CSLICE_API void cslice_copy_in(uint64_t destination, const void *source, uint64_t size);

/* memcpy out of C memory into the caller's buffer. */
CSLICE_API void cslice_copy_out(void *destination, uint64_t source, uint64_t size);

/* Writes a NUL-terminated string to C's stdout and flushes it. Returns 0, or the positive errno of the write. */
CSLICE_API int32_t cslice_print(uint64_t text);

/* random() and srandom() of the C library; rand() and srand() where it has none. One generator for the process. */
CSLICE_API int64_t cslice_random(void);
CSLICE_API void cslice_srandom(uint32_t seed);

/* The C string at an address that is not 0, which the caller vouches for. */
CSLICE_API const char *cslice_string_at(uint64_t address);

/* Its size in bytes, with the NUL. */
CSLICE_API int64_t cslice_string_size(uint64_t address);

/* The address as an integer. */
CSLICE_API uint64_t cslice_address_of(const void *memory);

/* For tests: the n-th allocation from here (1: the next) fails, and each one after it; 0: none fails. */
CSLICE_API void cslice_test_fail_allocation(uint64_t n);

#ifdef __cplusplus
}
#endif

#endif
