/* Records: the thread that asked is told of the end of a block, once, with the reason. */
#include "support.h"

#include <errno.h>

static int64_t record(cslice_block *block, cslice__mailbox *mailbox) {
    int64_t address = cslice_record_new(ADDRESS(block), ADDRESS(mailbox));
    CHECK(address > 0);
    CHECK_EQUAL(cslice_record_of(ADDRESS(block)), address);
    return address;
}

static int64_t told(int64_t address, int reason) {
    return address * CSLICE_RECORD_ENDS + reason;
}

static int64_t next(cslice__mailbox *mailbox) {
    return cslice_record_next(ADDRESS(mailbox));
}

static void test_reasons(void) {
    static const cslice__end ends[] = {CSLICE__BY_SCOPE, CSLICE__BY_COLLECTION,
                                       CSLICE__BY_THREAD_END, CSLICE__BY_C};
    static const int codes[] = {CSLICE_RECORD_BY_SCOPE, CSLICE_RECORD_BY_COLLECTION,
                                CSLICE_RECORD_BY_THREAD_END, CSLICE_RECORD_BY_C};
    cslice__mailbox *mailbox = new_mailbox(NULL);
    CHECK_EQUAL(next(mailbox), 0);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        cslice_block *block = new_block(64);
        int64_t address = record(block, mailbox);
        CHECK_EQUAL(cslice_record_references((uint64_t)address), 1);
        cslice_block_ref(block);
        CHECK_EQUAL(cslice_record_references((uint64_t)address), 2);
        CHECK_EQUAL(cslice_references(ADDRESS(block)), 2);
        cslice_block_unref(block);
        CHECK_EQUAL(next(mailbox), 0);
        cslice__block_unref(block, ends[i]);
        CHECK_EQUAL(cslice_record_references((uint64_t)address), 0);
        CHECK_EQUAL(next(mailbox), told(address, codes[i]));
        CHECK_EQUAL(next(mailbox), 0);
    }
    cslice__due_end(mailbox);
    check_nothing_live();
}

static void test_disowned(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *block = new_block(8);
    void *data = cslice_block_data(block);
    int64_t address = record(block, mailbox);
    CHECK_EQUAL(cslice__block_disown(block, NULL), 0);
    cslice_block_unref(block);
    CHECK_EQUAL(next(mailbox), told(address, CSLICE_RECORD_DISOWNED));
    CHECK_EQUAL(next(mailbox), 0);
    cslice__mem_free(data);
    cslice__due_end(mailbox);
}

static void *context_seen;

static void see(void *data, size_t size, void *context) {
    (void)data;
    (void)size;
    context_seen = context;
}

/* The record stands where the context was, which the destructor gets all the same. */
static void test_context_is_kept(void) {
    static char byte, context;
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *block;
    CHECK_EQUAL(cslice_block_adopt(&byte, 1, see, &context, &block), 0);
    int64_t address = record(block, mailbox);
    cslice_block_unref(block);
    CHECK(context_seen == &context);
    CHECK_EQUAL(next(mailbox), told(address, CSLICE_RECORD_BY_C));

    context_seen = NULL; /* the same through a mailbox */
    CHECK_EQUAL(cslice__block_adopt(CSLICE__FREE_FUNCTION, &byte, 1, (uintptr_t)see, &context,
                                    mailbox, &block),
                0);
    address = record(block, mailbox);
    cslice_block_unref(block);
    CHECK_EQUAL(counts().due_blocks, 1);
    CHECK_EQUAL(counts().due_bytes, 1);
    CHECK(context_seen == NULL);
    CHECK_EQUAL(cslice_due_next(ADDRESS(mailbox)), 0);
    CHECK(context_seen == &context);
    CHECK_EQUAL(counts().due_blocks, 0);
    CHECK_EQUAL(next(mailbox), told(address, CSLICE_RECORD_BY_C));
    cslice__due_end(mailbox);
}

static void test_one_record_a_block(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL), *other = new_mailbox(NULL);
    cslice_block *block = new_block(8);
    CHECK_EQUAL(cslice_record_of(ADDRESS(block)), 0);
    int64_t address = record(block, mailbox);
    CHECK_EQUAL(cslice_record_new(ADDRESS(block), ADDRESS(other)), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_record_of(ADDRESS(block)), address);
    cslice_block_unref(block);
    CHECK_EQUAL(next(other), 0);
    CHECK_EQUAL(next(mailbox), told(address, CSLICE_RECORD_BY_C));
    cslice__due_end(mailbox);
    cslice__due_end(other);
}

/* A block that is used again from the cache has no record of its last life. */
static void test_reused_block_has_none(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    for (int i = 0; i < 3; i++) {
        cslice_block *block = new_block(64);
        CHECK_EQUAL(cslice_record_of(ADDRESS(block)), 0);
        record(block, mailbox);
        cslice_block_unref(block);
    }
    cslice__due_end(mailbox); /* three records wait: the sanitizer sees whether they are freed */
    check_nothing_live();
}

static void test_thread_has_ended(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *block = new_block(8);
    record(block, mailbox);
    cslice__due_end(mailbox);
    cslice_block_unref(block); /* frees the record and the mailbox */
    check_nothing_live();
}

static void test_due_flag(void) {
    double due = 0;
    cslice__mailbox *mailbox = new_mailbox(&due);
    cslice_block *first = new_block(8), *second = new_block(8);
    record(first, mailbox);
    record(second, mailbox);
    CHECK(due == 0);
    cslice_block_unref(first);
    CHECK(due == 1);
    cslice_block_unref(second);
    next(mailbox);
    CHECK(due == 1);
    next(mailbox);
    CHECK(due == 0);
    cslice__due_end(mailbox);
}

static void test_no_memory(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *block = new_block(8);
    cslice_test_fail_allocation(1);
    CHECK_EQUAL(cslice_record_new(ADDRESS(block), ADDRESS(mailbox)), CSLICE_ENOMEM);
    cslice_test_fail_allocation(0);
    CHECK_EQUAL(cslice_record_of(ADDRESS(block)), 0);
    cslice_block_unref(block);
    CHECK_EQUAL(next(mailbox), 0);
    cslice__due_end(mailbox);
}

static void change_errno(void *target) {
    (void)target;
    errno = EDOM;
}

static void test_errno(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice__mailbox_set_wake(mailbox, change_errno, mailbox);
    cslice_block *block = new_block(8);
    record(block, mailbox);
    errno = ERANGE;
    cslice_block_unref(block);
    CHECK_EQUAL(errno, ERANGE);
    cslice__due_end(mailbox);
}

static void test_statistics(void) {
    static char byte;
    cslice_statistics before = counts();
    cslice_block *adopted, *attached;
    CHECK_EQUAL(cslice_block_adopt(&byte, 7, NULL, NULL, &adopted), 0);
    CHECK_EQUAL(cslice__block_wrap(&byte, 9, NULL, NULL, &attached), 0);
    cslice_block *made = new_block(100);
    cslice_statistics now = counts();
    CHECK_EQUAL(now.adopted_blocks - before.adopted_blocks, 1);
    CHECK_EQUAL(now.adopted_bytes - before.adopted_bytes, 7);
    CHECK_EQUAL(now.attached_blocks - before.attached_blocks, 1);
    CHECK_EQUAL(now.attached_bytes - before.attached_bytes, 9);
    CHECK_EQUAL(now.live_blocks - before.live_blocks, 2);
    cslice__counts_waiting(1, 5);
    CHECK_EQUAL(counts().waiting_blocks, 1);
    CHECK_EQUAL(counts().waiting_bytes, 5);
    cslice__counts_waiting(-1, 5);
    cslice_block_unref(adopted);
    cslice_block_unref(attached);
    cslice_block_unref(made);
    CHECK(counts_equal(counts(), counts()));
    CHECK_EQUAL(counts().adopted_blocks, before.adopted_blocks);
    CHECK_EQUAL(counts().attached_bytes, before.attached_bytes);
    CHECK_EQUAL(counts().waiting_blocks, 0);
}

int main(void) {
    test_reasons();
    test_disowned();
    test_context_is_kept();
    test_one_record_a_block();
    test_reused_block_has_none();
    test_thread_has_ended();
    test_due_flag();
    test_no_memory();
    test_errno();
    test_statistics();
    return 0;
}
