/*
 * cslice: counted blocks of C memory that JavaScript and C hold together.
 *
 * Holds for every function below, unless its own contract says otherwise:
 *   - Sizes and offsets are in bytes.
 *   - A function that can fail returns 0 (or a non-negative result) or one of the negative codes of
 *     CSLICE_STATUS_MAP, and then has changed nothing. Outputs come last and are written on success
 *     only.
 *   - No function touches errno on success, and none keeps a pointer that it was given, except
 *     where it says so.
 *   - Part 1 is for C and C++ programs and may be called from any thread.
 *   - Part 2 serves the JavaScript side. Addresses are passed as integers there, since that is the
 *     cheapest form for a foreign function interface.
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

/* Raised whenever a prototype or a meaning below changes: the JavaScript side refuses a library of
 * another ABI. */
#define CSLICE_ABI_VERSION 3

#define CSLICE_STATUS_MAP(X)                                                                       \
    X(ENOMEM, -1, "the C allocator has no memory left")                                            \
    X(ELIMIT, -2, "the allocation would exceed the limit set by cslice_limit_set")                 \
    X(EINVAL, -3, "an argument is out of its domain")                                              \
    X(ENOVIEW, -4, "this runtime has no ArrayBuffers over C memory")

enum {
#define X(name, value, message) CSLICE_##name = value,
    CSLICE_STATUS_MAP(X)
#undef X
};

/* ---- Part 1: blocks, for C and C++ ---- */

/* A run of bytes with a size, a way to give it back, and an atomic count of references. */
typedef struct cslice_block cslice_block;

/* Gives `data` back. Runs once, on the thread that dropped the last reference. */
typedef void cslice_free_function(void *data, size_t size, void *context);

/* Makes a block of `size` zeroed bytes, aligned to 16, with one reference that the caller owns.
 * `size` may be 0. */
CSLICE_API int cslice_block_new(size_t size, cslice_block **block);

/*
 * Makes a block over memory that the caller owns, with one reference that the caller owns. When the
 * last reference goes, `free_function(data, size, context)` runs; NULL: nothing runs. On failure
 * the memory stays the caller's.
 */
CSLICE_API int cslice_block_adopt(void *data, size_t size, cslice_free_function *free_function,
                                  void *context, cslice_block **block);

/* Takes one more reference. Returns `block`. */
CSLICE_API cslice_block *cslice_block_ref(cslice_block *block);

/* Gives one reference back; the last one gives the memory back. NULL: does nothing. */
CSLICE_API void cslice_block_unref(cslice_block *block);

/* The first byte. Stable for the life of the block. */
CSLICE_API void *cslice_block_data(const cslice_block *block);

CSLICE_API size_t cslice_block_size(const cslice_block *block);

/* Process-wide counts, each exact when no other thread is at work. Every allocated block is live or
 * released. */
typedef struct cslice_statistics {
    uint64_t live_blocks;
    uint64_t live_bytes;
    uint64_t peak_bytes;             /* the highest live_bytes has been when C last saw it */
    uint64_t allocated_blocks;       /* made or adopted since the process started */
    uint64_t released_by_scope;      /* last reference dropped by JavaScript's release() */
    uint64_t released_by_collection; /* last reference dropped after a garbage collection */
    uint64_t released_by_thread_end; /* last reference dropped by the end of a JavaScript thread */
    uint64_t released_by_c;          /* last reference dropped by cslice_block_unref */
    uint64_t disowned_blocks;        /* handed to C with their memory */
    uint64_t lost_destructors;       /* JavaScript destructors whose thread had ended */
    uint64_t failed_destructors;     /* JavaScript destructors that threw */
    uint64_t adopted_blocks;         /* of the live ones: those that were adopted */
    uint64_t adopted_bytes;
    uint64_t attached_blocks; /* memory of JavaScript that is held for C; not among the live */
    uint64_t attached_bytes;
    uint64_t free_list_bytes; /* of released blocks that JavaScript keeps for its next slices */
    uint64_t cache_bytes;     /* of released blocks that C keeps, with their headers */
    uint64_t reclaim_bytes;   /* released, and about to be freed in the background */
    uint64_t due_blocks;      /* ended; their destructors wait for the thread that adopted them */
    uint64_t due_bytes;
    uint64_t waiting_blocks; /* released; the memory waits for an operation of Node. Still live */
    uint64_t waiting_bytes;
} cslice_statistics;

CSLICE_API void cslice_statistics_get(cslice_statistics *statistics);

/* The static text for a code of CSLICE_STATUS_MAP. */
CSLICE_API const char *cslice_status_message(int32_t status);

CSLICE_API uint32_t cslice_abi_version(void);

/* ---- Part 2: for the JavaScript side ---- */

/* How a native destructor wants to be called. */
enum {
    CSLICE_SIGNATURE_PTR = 0,      /* void f(void *data) */
    CSLICE_SIGNATURE_PTR_SIZE = 1, /* void f(void *data, size_t size) */
    CSLICE_SIGNATURE_CTX_PTR = 2   /* void f(void *context, void *data) */
};

/* Gives memory back that no block holds, as a native destructor of that signature would. */
CSLICE_API void cslice_give_back(uint64_t address, uint64_t size, uint64_t function,
                                 uint32_t signature, uint64_t context);

/* cslice_block_unref. */
CSLICE_API void cslice_unref(uint64_t block);

/*
 * Small blocks that are released, and whose ArrayBuffer nobody has seen, may be kept by JavaScript
 * for its next slices, without a call into this library. The thread keeps account of them in four
 * doubles, which every statistics reads:
 *
 *   - released: blocks kept since the thread started; each counts as released by scope.
 *   - taken: how many of these were taken again; each counts as allocated.
 *   - bytes: of the blocks that are kept now; they are not live.
 *   - capacity: the most that `bytes` may be. The library alone writes it, and sets it to 0 while
 *     there is a limit.
 *
 * To free such a block, subtract it from `released`, end its ArrayBuffer, and then subtract it from
 * `bytes`: so it is never counted as ended twice, and its bytes are never live, which might make a
 * peak. Returns the address of the four, or 0: nothing may be kept.
 */
CSLICE_API int64_t cslice_reuse_account(void);

/* Sets the capacity of every thread, and how many bytes of small memory each keeps in C after its
   end; at the start 4 MiB of either. 0: every release gives its memory back at once. */
CSLICE_API void cslice_reuse_set(uint64_t bytes);

/* Zeroes these blocks, so that they can be taken: `blocks` holds their addresses as doubles.
   CSLICE_EINVAL, and nothing is zeroed: one of them has other references, or is not of this
   library's memory. */
CSLICE_API int32_t cslice_blocks_renew(const double *blocks, uint32_t count);

/* Room for `count` handles of this thread, all zero, in the layout of csrc/handles.c. When the
   thread ends, the destructors of those that are written there run, the newest first.
   CSLICE_ENOMEM. */
CSLICE_API int64_t cslice_handles_table(uint32_t count);

/* For a block of this thread that needs handles: the context of cslice_keeper_function(), the
   CSLICE_CTX_PTR destructor of the block. That gives the memory back by `function`, and lets
   cslice_due_next return `number`. While there is such a block, the handles of the thread are kept,
   past its end too. CSLICE_ENOMEM. */
CSLICE_API int64_t cslice_keeper_new(uint64_t number, uint64_t size, uint64_t function,
                                     uint32_t signature, uint64_t context);
CSLICE_API int64_t cslice_keeper_function(void);

/* For a keeper that no block has got. */
CSLICE_API void cslice_keeper_free(uint64_t keeper);

/* Where the errno of the calling thread is. */
CSLICE_API int64_t cslice_errno_address(void);

/* Counts a JavaScript destructor that threw. */
CSLICE_API void cslice_count_failure(void);

/* Runs the native destructors that are due in this mailbox up to the next JavaScript one, and
   returns the number of that, which the caller must run; 0: nothing is due any more. A mailbox is
   what the Node-API module's listen() returned to the calling thread. */
CSLICE_API int64_t cslice_due_next(uint64_t mailbox);

/*
 * Records: how a JavaScript thread learns that a block has ended. A block has one record at most.
 *
 * cslice_record_new() makes one for a block that the caller holds, and returns its address.
 * CSLICE_EINVAL: the block has a record already; CSLICE_ENOMEM. When the block ends, in whatever
 * thread, that is posted to the mailbox. cslice_record_next() returns the next one of these, and
 * frees it: its address times CSLICE_RECORD_ENDS, and one of the reasons below; 0: there is none.
 */
enum {
    CSLICE_RECORD_BY_SCOPE = 0,
    CSLICE_RECORD_BY_COLLECTION = 1,
    CSLICE_RECORD_BY_THREAD_END = 2,
    CSLICE_RECORD_BY_C = 3,
    CSLICE_RECORD_DISOWNED = 4,
    CSLICE_RECORD_ENDS = 8
};
CSLICE_API int64_t cslice_record_new(uint64_t block, uint64_t mailbox);
CSLICE_API int64_t cslice_record_next(uint64_t mailbox);
/* How many references a block has that the caller holds. */
CSLICE_API int64_t cslice_references(uint64_t block);
/* The record of a block that the caller holds; 0: it has none. */
CSLICE_API int64_t cslice_record_of(uint64_t block);
/* Of a record that cslice_record_next() has not returned: how many references its block has. 0: it
   has ended. */
CSLICE_API int64_t cslice_record_references(uint64_t record);

/* Keeps the library that holds the function at `address` loaded for the life of the process. */
CSLICE_API int32_t cslice_library_keep(uint64_t address);

/* The largest total of live bytes that allocations may reach; 0: no limit, as at the start. */
CSLICE_API void cslice_limit_set(uint64_t bytes);

/* memmove. */
CSLICE_API void cslice_copy(uint64_t destination, uint64_t source, uint64_t size);

/* memmove from the caller's buffer into C memory. */
CSLICE_API void cslice_copy_in(uint64_t destination, const void *source, uint64_t size);

/* memmove out of C memory into the caller's buffer. */
CSLICE_API void cslice_copy_out(void *destination, uint64_t source, uint64_t size);

/* The C string at an address that is not 0, which the caller vouches for. */
CSLICE_API const char *cslice_string_at(uint64_t address);

/* Its size in bytes, with the NUL, where a character has `width` bytes: 1, 2 or 4. */
CSLICE_API int64_t cslice_string_size(uint64_t address, uint32_t width);

/* The address as an integer. */
CSLICE_API uint64_t cslice_address_of(const void *memory);

/*
 * Guard mode, for blocks of alloc and of cslice_block_new: one of `rate` blocks, in the long run,
 * ends at a page that cannot be accessed, and cannot be accessed itself for a while after its end.
 * An access to either prints a report to the standard error; then the process ends as it would
 * have. 1: every block; 0: none, as at the start. CSLICE_EINVAL: above CSLICE_GUARD_MOST;
 * CSLICE_ENOMEM: the system refuses the memory, or the handler of faults.
 */
#define CSLICE_GUARD_MOST ((uint32_t)1 << 30)
CSLICE_API int32_t cslice_guard_set(uint32_t rate);

/* Where the rate is, an unsigned integer of 32 bits that JavaScript reads. */
CSLICE_API int64_t cslice_guard_rate_address(void);

/* What a report will say of a guarded block: the stack that it was allocated in (0), that of its
   release (1), its label (2). A copy, cut to what fits. For other blocks: does nothing. */
CSLICE_API void cslice_guard_note(uint64_t block, uint32_t what, const void *text, uint64_t size);

/* How many reports there were. */
CSLICE_API uint64_t cslice_guard_reports(void);

/* For tests: the n-th allocation from here (1: the next) fails, and each one after it; 0: none
 * fails. */
CSLICE_API void cslice_test_fail_allocation(uint64_t n);

#ifdef __cplusplus
}
#endif

#endif
