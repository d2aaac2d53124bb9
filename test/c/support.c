#include "support.h"

#include <string.h>

ending ended;

/* Huge requests must return NULL here as they do without a sanitizer, and not end the process. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void) {
    return "allocator_may_return_null=1:detect_stack_use_after_return=1";
}

__attribute__((visibility("default"))) const char *__tsan_default_options(void) {
    return "allocator_may_return_null=1";
}

void ended_reset(void) {
    ended = (ending){0};
}

void end_ptr(void *data) {
    ended = (ending){ended.times + 1, data, 0, NULL};
}

void end_ptr_size(void *data, size_t size) {
    ended = (ending){ended.times + 1, data, size, NULL};
}

void end_ctx_ptr(void *context, void *data) {
    ended = (ending){ended.times + 1, data, 0, context};
}

void end_free(void *data, size_t size, void *context) {
    ended = (ending){ended.times + 1, data, size, context};
}

const native_signature native_signatures[NATIVE_SIGNATURES] = {
    {CSLICE__PTR, (void (*)(void))end_ptr, false, false},
    {CSLICE__PTR_SIZE, (void (*)(void))end_ptr_size, true, false},
    {CSLICE__CTX_PTR, (void (*)(void))end_ctx_ptr, false, true},
    {CSLICE__FREE_FUNCTION, (void (*)(void))end_free, true, true},
};

cslice_statistics counts(void) {
    cslice_statistics now;
    cslice_statistics_get(&now);
    return now;
}

reuse_account *account(void) {
    return (reuse_account *)(uintptr_t)cslice_reuse_account();
}

cslice_block *new_block(size_t size) {
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice_block_new(size, &block), 0);
    return block;
}

cslice_block *new_aligned_block(size_t size, size_t alignment, bool zero) {
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice__block_alloc(size, alignment, zero, &block), 0);
    return block;
}

cslice__mailbox *new_mailbox(double *due) {
    cslice__mailbox *mailbox = cslice__mailbox_new(due);
    CHECK(mailbox != NULL);
    return mailbox;
}

cslice_block *new_callback_block(cslice__mailbox *mailbox, int64_t number) {
    static char byte;
    cslice_block *block = NULL;
    CHECK_EQUAL(
        cslice__block_adopt(CSLICE__CALLBACK, &byte, 1, (uintptr_t)number, NULL, mailbox, &block),
        0);
    return block;
}

void check_invariant(void) {
    cslice_statistics now = counts();
    uint64_t over = now.released_by_scope + now.released_by_collection +
        now.released_by_thread_end + now.released_by_c + now.disowned_blocks;
    CHECK_EQUAL(now.allocated_blocks, now.live_blocks + over);
    CHECK(now.peak_bytes >= now.live_bytes);
}

bool counts_equal(cslice_statistics a, cslice_statistics b) {
    /* What is live, and what became of the rest. What the library keeps is no part of that. */
    return memcmp(&a, &b, offsetof(cslice_statistics, adopted_blocks)) == 0 &&
        a.adopted_blocks == b.adopted_blocks && a.adopted_bytes == b.adopted_bytes;
}

void check_nothing_live(void) {
    check_invariant();
    CHECK_EQUAL(counts().live_blocks, 0);
    CHECK_EQUAL(counts().live_bytes, 0);
}

int fail_each_allocation(attempt_function *attempt, void *argument, int64_t *result) {
    for (int failures = 0;; failures++) {
        cslice_statistics before = counts();
        cslice_test_fail_allocation((uint64_t)failures + 1);
        int64_t status = attempt(argument);
        cslice_test_fail_allocation(0);
        check_invariant();
        if (status >= 0) {
            if (result != NULL) *result = status;
            return failures;
        }
        CHECK_EQUAL(status, CSLICE_ENOMEM);
        CHECK_COUNTS_KEPT(before);
    }
}

bool under_valgrind(void) {
    return getenv("UNDER_VALGRIND") != NULL; /* scripts/prove/c.ts sets it */
}

bool all_zero(const void *data, size_t size) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}
