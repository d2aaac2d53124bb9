#include "support.h"

#include <pthread.h>

static void test_opens_what_a_thread_has(void) {
    CHECK(account() == NULL && cslice__cache_mine() == NULL);
    cslice__thread_open();
    CHECK(account() != NULL && cslice__cache_mine() != NULL);
    cslice__thread_close();
    CHECK(account() == NULL && cslice__cache_mine() == NULL);
}

/* A second copy of the module in one thread: the last one to close ends it. */
static void test_users(void) {
    cslice__thread_open();
    const reuse_account *own = account();
    cslice__thread_open();
    CHECK(account() == own);
    cslice__thread_close();
    CHECK(account() == own && cslice__cache_mine() != NULL);
    CHECK_EQUAL(cslice__thread_end_reason(), CSLICE__BY_COLLECTION);
    cslice__thread_close();
    CHECK(account() == NULL);
    CHECK_EQUAL(cslice__thread_end_reason(), CSLICE__BY_THREAD_END);
}

static void test_close_too_often(void) {
    cslice__thread_close();
    cslice__thread_open();
    CHECK(account() != NULL);
    cslice__thread_close();
    cslice__thread_close();
    cslice__thread_open();
    CHECK(account() != NULL);
    cslice__thread_close();
}

/* Without memory the thread still works: it counts among the others, and keeps nothing. */
static void test_open_fails(void) {
    for (uint64_t n = 1; n <= 2; n++) {
        cslice_test_fail_allocation(n);
        cslice__thread_open();
        cslice_test_fail_allocation(0);
        CHECK(account() == NULL);
        cslice_statistics before = counts();
        cslice_block *block = new_block(100);
        CHECK_EQUAL(counts().live_bytes, before.live_bytes + 100);
        cslice__block_unref(block, cslice__thread_end_reason());
        CHECK_EQUAL(counts().released_by_collection, before.released_by_collection + 1);
        cslice_reuse_set(4096);
        cslice_reuse_set(CSLICE__REUSE_BYTES);
        cslice__thread_close();
        check_nothing_live();
    }
}

static void test_reasons(void) {
    cslice__thread_open();
    CHECK_EQUAL(cslice__thread_end_reason(), CSLICE__BY_COLLECTION);
    cslice__thread_releasing(true);
    CHECK_EQUAL(cslice__thread_end_reason(), CSLICE__BY_SCOPE);
    cslice__thread_releasing(false);
    CHECK_EQUAL(cslice__thread_end_reason(), CSLICE__BY_COLLECTION);
    cslice__thread_close();
    CHECK_EQUAL(cslice__thread_end_reason(), CSLICE__BY_THREAD_END);
    cslice__thread_open(); /* a thread of a pool runs JavaScript again */
    CHECK_EQUAL(cslice__thread_end_reason(), CSLICE__BY_COLLECTION);
    cslice__thread_close();
}

static void *check_fresh_thread(void *block) {
    CHECK(account() == NULL && cslice__cache_mine() == NULL);
    CHECK_EQUAL(cslice__thread_end_reason(), CSLICE__BY_COLLECTION);
    cslice__block_unref(block, cslice__thread_end_reason());
    return NULL;
}

/* V8's own threads end what was collected, whatever the thread of JavaScript does at the time. */
static void test_threads_of_v8(void) {
    cslice__thread_open();
    cslice_statistics before = counts();
    for (int round = 0; round < 3; round++) {
        if (round == 1) cslice__thread_releasing(true);
        if (round == 2) cslice__thread_close();
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, NULL, check_fresh_thread, new_block(10)), 0);
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
        cslice__thread_releasing(false);
        CHECK_EQUAL(counts().released_by_collection, before.released_by_collection + 1 + round);
    }
    check_nothing_live();
}

static void *run_and_end(void *kept) {
    cslice__thread_open();
    cslice_block *here = new_block(50);
    *(cslice_block **)kept = new_block(60);
    cslice_block *again = cslice_block_ref(here);
    cslice__block_unref(again, cslice__thread_end_reason());
    cslice__thread_close();
    cslice__block_unref(here, cslice__thread_end_reason()); /* as V8 does after the module's end */
    return NULL;
}

static void test_end_of_a_thread(void) {
    cslice__thread_open();
    cslice_statistics before = counts();
    cslice_block *kept = NULL;
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, run_and_end, &kept), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    cslice_statistics after = counts();
    CHECK_EQUAL(after.allocated_blocks, before.allocated_blocks + 2);
    CHECK_EQUAL(after.released_by_thread_end, before.released_by_thread_end + 1);
    CHECK_EQUAL(after.live_blocks, before.live_blocks + 1);
    CHECK_EQUAL(after.live_bytes, before.live_bytes + 60);
    CHECK_EQUAL(cslice__thread_end_reason(),
                CSLICE__BY_COLLECTION); /* another thread's end is not this one's */
    cslice__block_unref(kept, cslice__thread_end_reason());
    CHECK_EQUAL(counts().released_by_collection, before.released_by_collection + 1);
    cslice__thread_close();
    check_nothing_live();
}

int main(void) {
    test_open_fails(); /* first, while there is no cache yet to take over */
    test_opens_what_a_thread_has();
    test_users();
    test_close_too_often();
    test_reasons();
    test_threads_of_v8();
    test_end_of_a_thread();
    return 0;
}
