#include "support.h"

#include <errno.h>
#include <string.h>

static char byte;

static void test_new(void) {
    static const size_t sizes[] = {0, 1, 15, 16, 17, 4096, (size_t)1 << 20, ((size_t)32 << 20) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cslice_statistics before = counts();
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_new(sizes[i], &block), 0);
        unsigned char *data = cslice_block_data(block);
        CHECK(data != NULL && (uintptr_t)data % 16 == 0);
        CHECK_EQUAL(cslice_block_size(block), sizes[i]);
        CHECK(all_zero(data, sizes[i]));
        memset(data, 1, sizes[i]);
        CHECK_EQUAL(counts().live_bytes, before.live_bytes + sizes[i]);
        CHECK_EQUAL(counts().live_blocks, before.live_blocks + 1);
        cslice_block_unref(block);
        CHECK_EQUAL(counts().released_by_c, before.released_by_c + 1);
    }
    check_nothing_live();
}

static void test_new_too_large(void) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX, PTRDIFF_MAX - 64};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cslice_statistics before = counts();
        cslice_block *block = (cslice_block *)&byte;
        CHECK_EQUAL(cslice_block_new(sizes[i], &block), CSLICE_ENOMEM);
        CHECK(block == (cslice_block *)&byte);
        CHECK_COUNTS_KEPT(before);
    }
}

static int64_t new_one(void *block) {
    return cslice_block_new(100, block);
}

static int64_t adopt_one(void *block) {
    return cslice_block_adopt(&byte, 1, end_free, NULL, block);
}

static int64_t adopt_callback_one(void *block) {
    static cslice__mailbox *mailbox;
    if (mailbox == NULL) mailbox = cslice__mailbox_new();
    if (mailbox == NULL) return CSLICE_ENOMEM;
    int status = cslice__block_adopt_callback(mailbox, &byte, 1, block);
    if (status != 0) return status;
    cslice__mailbox_unref(mailbox);
    mailbox = NULL;
    return 0;
}

static void test_failed_allocations(void) {
    static const struct {
        attempt_function *attempt;
        int allocations;
    } cases[] = {{new_one, 2}, {adopt_one, 1}, {adopt_callback_one, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ended_reset();
        cslice_block *block = NULL;
        CHECK_EQUAL(fail_each_allocation(cases[i].attempt, &block, NULL), cases[i].allocations);
        CHECK_EQUAL(ended.times, 0);
        CHECK(block != NULL);
        if (block->kind == CSLICE__CALLBACK) cslice__mailbox_close(block->with.mailbox);
        cslice_block_unref(block);
    }
    check_nothing_live();
}

static void test_adopt(void) {
    int context;
    static const size_t sizes[] = {0, 1, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ended_reset();
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_adopt(&byte, sizes[i], end_free, &context, &block), 0);
        CHECK(cslice_block_data(block) == &byte);
        CHECK_EQUAL(cslice_block_size(block), sizes[i]);
        CHECK_EQUAL(counts().live_bytes, sizes[i]);
        CHECK_EQUAL(ended.times, 0);
        cslice_block_unref(block);
        CHECK_EQUAL(ended.times, 1);
        CHECK(ended.data == &byte && ended.size == sizes[i] && ended.context == &context);
    }
    check_nothing_live();
}

static void test_adopt_without_function(void) {
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice_block_adopt(&byte, 1, NULL, NULL, &block), 0);
    cslice_block_unref(block);
    CHECK_EQUAL(cslice_block_adopt(NULL, 0, NULL, NULL, &block), 0);
    CHECK(cslice_block_data(block) == NULL);
    cslice_block_unref(block);
    check_nothing_live();
}

static void test_references(void) {
    ended_reset();
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice_block_adopt(&byte, 1, end_free, NULL, &block), 0);
    for (int i = 0; i < 1000; i++) CHECK(cslice_block_ref(block) == block);
    for (int i = 0; i < 1000; i++) cslice_block_unref(block);
    CHECK_EQUAL(ended.times, 0);
    CHECK_EQUAL(counts().live_blocks, 1);
    cslice_block_unref(block);
    CHECK_EQUAL(ended.times, 1);
    cslice_block_unref(NULL);
    check_nothing_live();
}

static void test_native_signatures(void) {
    static const struct {
        cslice__kind kind;
        void (*function)(void);
        bool size, context;
    } cases[] = {
        {CSLICE__PTR, (void (*)(void))end_ptr, false, false},
        {CSLICE__PTR_SIZE, (void (*)(void))end_ptr_size, true, false},
        {CSLICE__CTX_PTR, (void (*)(void))end_ctx_ptr, false, true},
        {CSLICE__FREE_FUNCTION, (void (*)(void))end_free, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int context;
        ended_reset();
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice__block_adopt(cases[i].kind, &byte, 7, (uintptr_t)cases[i].function, &context, &block), 0);
        cslice_block_unref(block);
        CHECK_EQUAL(ended.times, 1);
        CHECK(ended.data == &byte);
        CHECK_EQUAL(ended.size, cases[i].size ? 7 : 0);
        CHECK(ended.context == (cases[i].context ? &context : NULL));
    }
    check_nothing_live();
}

static void test_reasons(void) {
    cslice_statistics before = counts();
    for (int reason = 0; reason < CSLICE__DISOWNED; reason++) {
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_new(1, &block), 0);
        cslice_block_ref(block);
        cslice__block_drop(block, CSLICE__BY_C);
        CHECK_EQUAL(counts().live_blocks, before.live_blocks + 1);
        cslice__block_drop(block, (cslice__end)reason);
    }
    cslice_statistics after = counts();
    CHECK_EQUAL(after.released_by_scope, before.released_by_scope + 1);
    CHECK_EQUAL(after.released_by_collection, before.released_by_collection + 1);
    CHECK_EQUAL(after.released_by_thread_end, before.released_by_thread_end + 1);
    CHECK_EQUAL(after.released_by_c, before.released_by_c + 1);
    CHECK_EQUAL(after.allocated_blocks, before.allocated_blocks + CSLICE__DISOWNED);
    check_nothing_live();
}

static void test_limit(void) {
    cslice_block *first = NULL, *second = NULL, *adopted = NULL;
    cslice_limit_set(1000);
    CHECK_EQUAL(cslice_block_new(600, &first), 0);
    cslice_statistics before = counts();
    CHECK_EQUAL(cslice_block_new(401, &second), CSLICE_ELIMIT);
    CHECK(second == NULL);
    CHECK_COUNTS_KEPT(before);
    CHECK_EQUAL(cslice_block_new(400, &second), 0);
    CHECK_EQUAL(cslice_block_adopt(&byte, 5000, NULL, NULL, &adopted), 0); /* memory that exists anyway */
    CHECK_EQUAL(counts().live_bytes, 6000);
    cslice_block_unref(second);
    CHECK_EQUAL(cslice_block_new(1, &second), CSLICE_ELIMIT);
    cslice_limit_set(0);
    CHECK_EQUAL(cslice_block_new(1, &second), 0);
    cslice_block_unref(first);
    cslice_block_unref(second);
    cslice_block_unref(adopted);
    check_nothing_live();
}

/* A refused block must not count against the blocks after it. */
static void test_limit_after_failures(void) {
    cslice_limit_set(100);
    for (int i = 0; i < 100; i++) {
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_new(101, &block), CSLICE_ELIMIT);
        cslice_test_fail_allocation((uint64_t)i % 2 + 1);
        CHECK_EQUAL(cslice_block_new(100, &block), CSLICE_ENOMEM);
        cslice_test_fail_allocation(0);
        CHECK_EQUAL(cslice_block_new(100, &block), 0);
        cslice_block_unref(block);
    }
    cslice_limit_set(0);
    check_nothing_live();
}

static void test_peak(void) {
    uint64_t high = counts().peak_bytes + 1000;
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice_block_new((size_t)high, &block), 0);
    CHECK_EQUAL(counts().peak_bytes, high);
    cslice_block_unref(block);
    CHECK_EQUAL(cslice_block_new(1, &block), 0);
    CHECK_EQUAL(counts().peak_bytes, high);
    cslice_block_unref(block);
    CHECK_EQUAL(cslice_block_adopt(&byte, (size_t)high + 1, NULL, NULL, &block), 0);
    CHECK_EQUAL(counts().peak_bytes, high + 1);
    cslice_block_unref(block);
}

static void test_disown(void) {
    ended_reset();
    cslice_statistics before = counts();
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice_block_adopt(&byte, 10, end_free, NULL, &block), 0);
    cslice_block_ref(block);
    CHECK_EQUAL(cslice__block_disown(block), CSLICE_EINVAL);
    CHECK_EQUAL(counts().disowned_blocks, before.disowned_blocks);
    cslice_block_unref(block);
    CHECK_EQUAL(cslice__block_disown(block), 0);
    CHECK_EQUAL(ended.times, 0);
    CHECK_EQUAL(counts().disowned_blocks, before.disowned_blocks + 1);
    check_nothing_live();
}

static void set_errno(void *data, size_t size, void *context) {
    (void)data, (void)size, (void)context;
    errno = EIO;
}

static void test_errno_kept(void) {
    cslice_block *block = NULL;
    errno = EDOM;
    CHECK_EQUAL(cslice_block_adopt(&byte, 1, set_errno, NULL, &block), 0);
    cslice_block_unref(cslice_block_ref(block));
    cslice_block_unref(block);
    CHECK_EQUAL(errno, EDOM);
    CHECK_EQUAL(cslice_block_new((size_t)64 << 20, &block), 0);
    cslice_block_unref(block);
    (void)counts();
    CHECK_EQUAL(errno, EDOM);
}

/* Ends the block that the context names, and makes and ends another. */
static void end_another(void *data, size_t size, void *context) {
    cslice_block *made = NULL;
    CHECK_EQUAL(cslice_block_new(64, &made), 0);
    cslice_block_unref(made);
    cslice_block_unref(context);
    end_free(data, size, context);
}

static void test_destructor_calls_back(void) {
    ended_reset();
    cslice_block *chain = NULL;
    for (int i = 0; i < 100; i++) {
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_adopt(&byte, 1, end_another, chain, &block), 0);
        chain = block;
    }
    cslice_block_unref(chain);
    CHECK_EQUAL(ended.times, 100);
    check_nothing_live();
}

int main(void) {
    test_new();
    test_new_too_large();
    test_failed_allocations();
    test_adopt();
    test_adopt_without_function();
    test_references();
    test_native_signatures();
    test_reasons();
    test_limit();
    test_limit_after_failures();
    test_peak();
    test_disown();
    test_errno_kept();
    test_destructor_calls_back();
    check_nothing_live();
    return 0;
}
