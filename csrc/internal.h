/* Private layouts, and the cslice__ functions grouped under the file that defines them. */
#ifndef CSLICE_INTERNAL_H
#define CSLICE_INTERNAL_H

#include "cslice.h"
#include "platform.h"
#include "views.h"

#include <stdatomic.h>
#include <stdbool.h>

#if defined(__SANITIZE_ADDRESS__)
#define CSLICE__UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CSLICE__UNDER_ASAN 1
#endif
#endif
#ifndef CSLICE__UNDER_ASAN
#define CSLICE__UNDER_ASAN 0
#endif

/* Asks the processor for memory that is about to be written, which thousands of blocks in a row
 * leave cold. */
#if defined(__GNUC__)
#define CSLICE__PREFETCH(address) __builtin_prefetch((address), 1)
#else
#define CSLICE__PREFETCH(address) ((void)(address))
#endif

/* ---- mem.c ---- */

/* NULL when memory is exhausted, or when a test asked for that. Alignment is a power of two. */
void *cslice__mem_alloc(size_t size, size_t alignment, bool zero);
/* realloc that zeroes what is gained and keeps the alignment. On failure the memory stays as it is.
 */
void *cslice__mem_resize(void *memory, size_t old_size, size_t size, size_t alignment);
/* For an alignment that cslice__mem_aligns. */
void cslice__mem_free(void *memory);
/* The alignment is the one that the memory was asked for with. */
void cslice__mem_free_aligned(void *memory, size_t alignment);

/* Up to this size memory comes in whole units, so that what is given back serves any size of as
 * many. */
#define CSLICE__SMALL ((size_t)1024)
#define CSLICE__SMALL_UNIT ((size_t)16)
size_t cslice__mem_whole(size_t size);
/* Whether malloc aligns so by itself. */
bool cslice__mem_aligns(size_t alignment);
/* Counts a request, and tells whether a test wants it to fail. */
bool cslice__mem_must_fail(void);

/* ---- cache.c ---- */

/* What a thread keeps of small memory, in bytes, until cslice_reuse_set says otherwise. */
#define CSLICE__REUSE_BYTES ((size_t)4 << 20)

/* The small blocks that one JavaScript thread keeps by size for its next ones. */
typedef struct cslice__cache cslice__cache;

/* The calling thread has a cache between open and close. A cache is never freed, since other
   threads return blocks to it at any time: the next thread that opens takes over one that was
   closed. */
void cslice__cache_open(void);
void cslice__cache_close(void);
/* The calling thread's; NULL: it has none. */
cslice__cache *cslice__cache_mine(void);
/* A block that was kept, with room for `size` bytes, which have any content; 0: a header without
   data. NULL: none is kept, or a test wants the request to fail. */
cslice_block *cslice__cache_take(size_t size);
/* From any thread: keeps a block that nobody refers to any more, for the thread that made it or for
   the calling one, or frees it. Its data is up to CSLICE__SMALL bytes, or NULL. */
void cslice__cache_give(cslice_block *block);
/* What all threads keep, in bytes. */
size_t cslice__cache_bytes(void);
/* How much each thread may keep; other threads may have returned as much again, until it looks for
   it. What others keep already stays until its next use. */
void cslice__cache_set(size_t bytes);

/* ---- reclaim.c ---- */

/* From this size on the kernel takes long enough over a block to be felt. */
#define CSLICE__RECLAIM_THRESHOLD ((size_t)4 << 20)

/* cslice__mem_free_aligned, on another thread as far as that is of use. */
void cslice__reclaim_free(void *memory, size_t size, size_t alignment);
/* What waits to be freed, in bytes. */
size_t cslice__reclaim_bytes(void);
/* Until nothing waits to be freed. For tests. */
void cslice__reclaim_wait(void);

/* ---- counts.c ---- */

/* How a block ends: the counter that it goes to. */
typedef enum cslice__end {
    CSLICE__BY_SCOPE,
    CSLICE__BY_COLLECTION,
    CSLICE__BY_THREAD_END,
    CSLICE__BY_C,
    CSLICE__DISOWNED,
    CSLICE__ENDS
} cslice__end;

/* The calling thread counts in a place of its own between open and close. */
void cslice__counts_open(void);
void cslice__counts_close(void);
void cslice__counts_allocated(size_t size);
void cslice__counts_ended(size_t size, cslice__end end);
void cslice__counts_resized(size_t before, size_t after);
/* Blocks of foreign memory, whose total is counted apart too. `count` is 1 or -1. */
typedef enum cslice__class { CSLICE__ADOPTED, CSLICE__ATTACHED, CSLICE__CLASSES } cslice__class;
void cslice__counts_class(cslice__class of, int count, size_t size);
/* Blocks that have ended, and whose destructor waits in a mailbox. */
void cslice__counts_due(int count, size_t size);
/* References that wait until Node cannot be using the memory any more. */
void cslice__counts_waiting(int count, size_t size);
/* Destructors that will not run. */
void cslice__counts_lost(uint64_t count);
/* Under a limit, bytes are claimed before they are asked for, so that threads racing for the last
   of it cannot both win, and apart from what is live, so that a claim that comes to nothing is in
   no statistics. CSLICE_ELIMIT. */
int cslice__counts_claim(size_t size, size_t *claimed);
void cslice__counts_unclaim(size_t claimed);

/* ---- guard.c ---- */

/* A guarded block's own pages, and what is known of it. */
typedef struct cslice__guarded cslice__guarded;

/* Whether the calling thread's next block is to be guarded. */
bool cslice__guard_is_due(void);
/* Zeroed. NULL: guard mode was never on, or too many blocks are guarded. */
cslice__guarded *cslice__guard_alloc(size_t size, size_t alignment);
void *cslice__guard_data(const cslice__guarded *block);
/* What a report will say of the reason for its end. */
void cslice__guard_ending(cslice__guarded *block, cslice__end end);
/* Checks the padding, and puts the block into the quarantine. */
void cslice__guard_free(cslice__guarded *block);
/* See cslice_guard_note. */
void cslice__guard_note(cslice__guarded *block, uint32_t what, const char *text, size_t size);
/* A JavaScript thread begins and ends. */
void cslice__guard_thread_open(void);
void cslice__guard_thread_close(void);

/* ---- mailbox.c ---- */

typedef void cslice__wake_function(void *target);

/* See record.c. */
typedef struct cslice__record cslice__record;

/*
 * Where blocks wait whose destructor must run in the thread that adopted them. Counted, since
 * blocks outlive threads: one reference belongs to the module that made it, one to each block.
 */
typedef struct cslice__mailbox {
    atomic_uint references;
    cslice__mutex mutex;
    cslice_block *first;
    cslice_block *last;
    cslice__record *first_ended; /* records whose blocks have ended, in that order */
    cslice__record *last_ended;
    bool closed; /* the thread has ended: this is not read again */
    double *due; /* 1 while a block waits; the reader's own memory, until the mailbox is closed */
    cslice__wake_function *wake;
    void *wake_target;
} cslice__mailbox;

cslice__mailbox *cslice__mailbox_new(double *due);
void cslice__mailbox_ref(cslice__mailbox *mailbox);
void cslice__mailbox_unref(cslice__mailbox *mailbox);
/* From any thread; wakes the reader. False: its thread has ended, and the block is still the
 * caller's. */
bool cslice__mailbox_post(cslice__mailbox *mailbox, cslice_block *block);
/* The next block, or NULL. It is the caller's. */
cslice_block *cslice__mailbox_take(cslice__mailbox *mailbox);
/* The same for records. */
bool cslice__mailbox_post_record(cslice__mailbox *mailbox, cslice__record *record);
cslice__record *cslice__mailbox_take_record(cslice__mailbox *mailbox);
/* Of a record that has not been taken: how many references its block has; 0: it has ended. */
uint32_t cslice__mailbox_count_references(cslice__mailbox *mailbox, const cslice__record *record);
/* `wake` runs on the posting thread, under the mailbox's lock. NULL: no thread is woken. */
void cslice__mailbox_set_wake(cslice__mailbox *mailbox, cslice__wake_function *wake, void *target);
/* No block is accepted from here. What waits can still be taken. */
void cslice__mailbox_close(cslice__mailbox *mailbox);

/* ---- record.c ---- */

/*
 * By a record the thread that asked for it learns when and why a block has ended. It stands in the
 * block's `context`, and holds what was there. Freed when that thread has taken it.
 */
struct cslice__record {
    cslice__record *next;     /* in the mailbox */
    cslice__mailbox *mailbox; /* of that thread; a reference */
    cslice_block *block;      /* NULL once it has ended. Guarded by the mailbox's mutex */
    void *context;            /* the block's own */
    cslice__end end;
};

/* The block ends now, before its header is given back. Returns the block's own context. */
void *cslice__record_ended(cslice__record *record, cslice__end end);
/* The mailbox's thread ends: what waits in it is freed. */
void cslice__record_close(cslice__mailbox *mailbox);

/* ---- block.c ---- */

typedef enum cslice__kind {
    CSLICE__HEAP,    /* data came from cslice__mem_alloc */
    CSLICE__GUARDED, /* data came from cslice__guard_alloc, which returned the context */
    CSLICE__PTR,     /* the three signatures of a native destructor */
    CSLICE__PTR_SIZE,
    CSLICE__CTX_PTR,
    CSLICE__FREE_FUNCTION, /* a cslice_free_function; NULL: nothing to run */
    CSLICE__CALLBACK,      /* a JavaScript function, reached through a mailbox */
    CSLICE__WRAPPED, /* a cslice_free_function, for memory that is in no statistics or there already
                      */
    CSLICE__GONE     /* C owns the data now: only the header is left */
} cslice__kind;

struct cslice_block {
    atomic_uint references;
    uint8_t kind;
    atomic_bool recorded; /* `context` is a record, which has the block's own */
    const void *home; /* the copy of this library that made it: the one whose statistics it is in */
    union {
        cslice__cache *cache; /* of the thread that made it; NULL: none */
        cslice_block *next;   /* while it waits in a mailbox or a cache */
    } link;
    void *data;
    size_t size;
    union {
        uintptr_t function; /* CSLICE__CALLBACK: the number of the JavaScript function, from 1 */
        size_t alignment;   /* CSLICE__HEAP, CSLICE__GUARDED: for a resize */
    } destructor;
    void *context;
    cslice__mailbox *mailbox; /* of the thread that its destructor must run in; NULL: any thread */
    cslice__store store;      /* for a buffer over all of the data */
};

int cslice__block_alloc(size_t size, size_t alignment, bool zero, cslice_block **block);
/* The same, zeroed, and guarded if that is possible. */
int cslice__block_alloc_guarded(size_t size, size_t alignment, cslice_block **block);
/* A block of `size` bytes with the alignment of another one and a copy of its bytes; what is gained
 * is zeroed. */
int cslice__block_clone(const cslice_block *source, size_t size, cslice_block **block);
/* `mailbox` may be NULL, but not for CSLICE__CALLBACK, whose `function` is a number from 1. */
int cslice__block_adopt(cslice__kind kind, void *data, size_t size, uintptr_t function,
                        void *context, cslice__mailbox *mailbox, cslice_block **block);
/* A block over memory that is counted elsewhere, if at all. `function` runs in any thread. */
int cslice__block_wrap(void *data, size_t size, cslice_free_function *function, void *context,
                       cslice_block **block);
/* Gives one reference back. The last one frees the memory, or runs the destructor, or posts the
 * block to its mailbox. */
void cslice__block_unref(cslice_block *block, cslice__end end);
/* From here the data is C's: nothing runs at the end of the last reference. For a block that was
   disownable, and whose only reference the caller has had since. Returns the number of the JavaScript
   destructor that will not run, or 0. `room` is what cslice__block_disown_room made. */
int64_t cslice__block_disown(cslice_block *block, void *room);
/* Where the bytes of a guarded block go, since free() cannot free its pages; NULL for other blocks.
   CSLICE_ENOMEM. */
int cslice__block_disown_room(const cslice_block *block, void **room);
/* False: there are other references, or the memory is counted elsewhere. */
bool cslice__block_is_disownable(const cslice_block *block);
/* Whether its memory is our own and has one reference, so that nobody would see it change. */
bool cslice__block_is_renewable(const cslice_block *block);
/* Whether its memory is our own. */
bool cslice__block_is_allocated(const cslice_block *block);
void cslice__block_zero(cslice_block *block);
/* The kind of a native destructor with one of the three signatures. CSLICE_EINVAL: there is no such
 * signature. */
int cslice__block_kind_of(uint32_t signature, cslice__kind *kind);
/* Runs a native destructor. */
void cslice__block_give_back(cslice__kind kind, void *data, size_t size, uintptr_t function,
                             void *context);
/* Runs the native destructor of a block that was taken from a mailbox, and frees the header.
   Returns 0, or the number of a JavaScript destructor, which the caller must run. */
int64_t cslice__block_finish(cslice_block *block);
/* The new address of a resized block, or a negative code. */
int64_t cslice__block_resize(cslice_block *block, size_t size);
/* Whether this copy of the library made the block. */
bool cslice__block_is_ours(const cslice_block *block);

/* ---- due.c ---- */

/* The mailbox's thread ends. What waits is run, or counted as lost where it is JavaScript; then the
   caller's reference goes. */
void cslice__due_end(cslice__mailbox *mailbox);

/* ---- thread.c ---- */

/* The calling thread runs JavaScript that uses this library: it gets counters and a cache. Counted.
 */
void cslice__thread_open(void);
void cslice__thread_close(void);
/* Why references go that the calling thread drops on JavaScript's behalf: by collection, unless
   `release` is under way (see cslice__thread_releasing) or the thread's JavaScript has ended. */
cslice__end cslice__thread_end_reason(void);
void cslice__thread_releasing(bool releasing);

/* ---- handles.c ---- */

/* The end of the thread: runs the destructors of its objects, or leaves that to the last block that
 * needs one. */
void cslice__handles_close(void);

/* The number of a keeper of this thread whose block has ended, once each; 0: there is none. */
int64_t cslice__handles_next_ended(void);

#endif
