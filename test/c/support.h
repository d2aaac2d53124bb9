/* What several tests share: counted destructors, statistics that must not move, and allocations
 * that fail in turn. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include "check.h"
#include "internal.h"

/* What the destructors below were called with last, and how often since the last reset. */
typedef struct ending {
    int times;
    void *data;
    size_t size;
    void *context;
} ending;

extern ending ended;

void ended_reset(void);
void end_ptr(void *data);
void end_ptr_size(void *data, size_t size);
void end_ctx_ptr(void *context, void *data);
cslice_free_function end_free;

/* The ways in which a native destructor may be called, each with one of the above, and what that is
 * told. */
#define NATIVE_SIGNATURES 4
typedef struct native_signature {
    cslice__kind kind;
    void (*function)(void);
    bool size, context;
} native_signature;

extern const native_signature native_signatures[NATIVE_SIGNATURES];

/* A function or an object as the integer that part 2 of cslice.h takes. */
#define FUNCTION(name) ((uint64_t)(uintptr_t)&(name))
#define ADDRESS(object) ((uint64_t)(uintptr_t)(object))

cslice_statistics counts(void);

/* What JavaScript sees of cslice_reuse_account; NULL where there is none. */
typedef struct reuse_account {
    double released, taken, bytes, capacity;
} reuse_account;

reuse_account *account(void);

/* A block of the library's own memory; the test ends where there is none. */
cslice_block *new_block(size_t size);
cslice_block *new_aligned_block(size_t size, size_t alignment, bool zero);

/* `due` may be NULL. */
cslice__mailbox *new_mailbox(double *due);

/* A block of one byte with a JavaScript destructor. */
cslice_block *new_callback_block(cslice__mailbox *mailbox, int64_t number);

/* Every allocated block is live or ended, and the peak is above what is live. */
void check_invariant(void);

#define CHECK_COUNTS_KEPT(before) CHECK(counts_equal((before), counts()))
bool counts_equal(cslice_statistics a, cslice_statistics b);

/* No block is left; for the end of a test. */
void check_nothing_live(void);

/*
 * Runs `attempt` with its first allocation failing, then its second, and so on until it succeeds.
 * Each failure must be CSLICE_ENOMEM and leave the statistics alone. Returns how many allocations
 * failed; the last result goes to `result`, unless that is NULL.
 */
typedef int64_t attempt_function(void *argument);
int fail_each_allocation(attempt_function *attempt, void *argument, int64_t *result);

/* Valgrind's own memalign aborts beyond 16 MiB, so there the test leaves such alignments out. */
bool under_valgrind(void);

bool all_zero(const void *data, size_t size);

#endif
