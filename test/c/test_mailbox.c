#include "support.h"

#include <errno.h>

enum { POSTERS = 4, POSTS = 200 };

static char byte;

static cslice_block *callback_block(cslice__mailbox *mailbox) {
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice__block_adopt_callback(mailbox, &byte, 1, &block), 0);
    CHECK(block->destructor.number > 0);
    return block;
}

static cslice__mailbox *mailbox_new(void) {
    cslice__mailbox *mailbox = cslice__mailbox_new();
    CHECK(mailbox != NULL);
    return mailbox;
}

/* What the second door does when its thread ends. */
static void mailbox_end(cslice__mailbox *mailbox) {
    cslice__counts_lost(cslice__mailbox_close(mailbox));
    cslice__mailbox_unref(mailbox);
}

static void test_new_fails(void) {
    cslice_test_fail_allocation(1);
    CHECK(cslice__mailbox_new() == NULL);
    cslice_test_fail_allocation(0);
}

static void test_order(void) {
    cslice__mailbox *mailbox = mailbox_new();
    CHECK_EQUAL(cslice_callback_take(ADDRESS(mailbox)), 0);
    for (int round = 0; round < 3; round++) {
        int64_t numbers[5];
        cslice_block *blocks[5];
        for (int i = 0; i < 5; i++) {
            blocks[i] = callback_block(mailbox);
            numbers[i] = blocks[i]->destructor.number;
        }
        for (int i = 4; i >= 0; i--) cslice_block_unref(blocks[i]);
        for (int i = 4; i >= 0; i--) CHECK_EQUAL(cslice_callback_take(ADDRESS(mailbox)), numbers[i]);
        CHECK_EQUAL(cslice_callback_take(ADDRESS(mailbox)), 0);
    }
    CHECK_EQUAL(cslice__mailbox_close(mailbox), 0);
    cslice__mailbox_unref(mailbox);
    check_nothing_live();
}

static void test_numbers_differ(void) {
    cslice__mailbox *mailbox = mailbox_new();
    int64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        cslice_block *block = callback_block(mailbox);
        CHECK(block->destructor.number > last);
        last = block->destructor.number;
        cslice_block_unref(block);
        CHECK_EQUAL(cslice_callback_take(ADDRESS(mailbox)), last);
    }
    mailbox_end(mailbox);
}

static void count_wake(void *target) {
    ++*(int *)target;
}

static void test_wake(void) {
    cslice__mailbox *mailbox = mailbox_new();
    int wakes = 0;
    cslice_block_unref(callback_block(mailbox));
    cslice__mailbox_set_wake(mailbox, count_wake, &wakes);
    CHECK_EQUAL(wakes, 0);
    cslice_block_unref(callback_block(mailbox));
    cslice_block_unref(callback_block(mailbox));
    CHECK_EQUAL(wakes, 2);
    cslice__mailbox_set_wake(mailbox, NULL, NULL);
    cslice_block_unref(callback_block(mailbox));
    CHECK_EQUAL(wakes, 2);
    cslice__mailbox_set_wake(mailbox, count_wake, &wakes);
    cslice_block *late = callback_block(mailbox);
    CHECK_EQUAL(cslice__mailbox_close(mailbox), 4);
    cslice__mailbox_unref(mailbox);
    cslice_block_unref(late);
    CHECK_EQUAL(wakes, 2);
    check_nothing_live();
}

static void test_post_after_close(void) {
    cslice__mailbox *mailbox = mailbox_new();
    cslice_statistics before = counts();
    cslice_block *waiting = callback_block(mailbox), *late = callback_block(mailbox);
    cslice_block_unref(waiting);
    mailbox_end(mailbox);
    CHECK_EQUAL(counts().lost_destructors, before.lost_destructors + 1);
    CHECK_EQUAL(counts().live_blocks, before.live_blocks + 1);
    cslice_block_unref(late); /* the last user of the mailbox too */
    CHECK_EQUAL(counts().lost_destructors, before.lost_destructors + 2);
    check_nothing_live();
}

static void test_post_refused(void) {
    cslice__mailbox *mailbox = mailbox_new();
    cslice_block *block = callback_block(mailbox);
    CHECK_EQUAL(cslice__mailbox_close(mailbox), 0);
    CHECK(!cslice__mailbox_post(mailbox, block));
    CHECK(block->with.mailbox == mailbox);
    CHECK(cslice__mailbox_take(mailbox) == NULL);
    cslice_block_unref(block);
    cslice__mailbox_unref(mailbox);
    check_nothing_live();
}

static void test_disown(void) {
    cslice__mailbox *mailbox = mailbox_new();
    cslice_statistics before = counts();
    CHECK_EQUAL(cslice__block_disown(callback_block(mailbox)), 0);
    CHECK_EQUAL(cslice_callback_take(ADDRESS(mailbox)), 0);
    cslice_block *last = callback_block(mailbox);
    mailbox_end(mailbox);
    CHECK_EQUAL(cslice__block_disown(last), 0);
    CHECK_EQUAL(counts().lost_destructors, before.lost_destructors);
    check_nothing_live();
}

static void *drop_blocks(void *argument) {
    cslice_block **blocks = argument;
    for (int i = 0; i < POSTS; i++) cslice_block_unref(blocks[i]);
    return NULL;
}

static void test_post_from_threads(void) {
    static cslice_block *blocks[POSTERS][POSTS];
    static int seen[POSTERS * POSTS + 1];
    cslice__mailbox *mailbox = mailbox_new();
    int wakes = 0;
    cslice__mailbox_set_wake(mailbox, count_wake, &wakes);
    pthread_t threads[POSTERS];
    for (int t = 0; t < POSTERS; t++) {
        for (int i = 0; i < POSTS; i++) blocks[t][i] = callback_block(mailbox);
        CHECK_EQUAL(pthread_create(&threads[t], NULL, drop_blocks, blocks[t]), 0);
    }
    for (int taken = 0; taken < POSTERS * POSTS;) {
        int64_t number = cslice_callback_take(ADDRESS(mailbox));
        if (number == 0) continue;
        CHECK(number <= POSTERS * POSTS && seen[number]++ == 0);
        taken++;
    }
    for (int t = 0; t < POSTERS; t++) CHECK_EQUAL(pthread_join(threads[t], NULL), 0);
    CHECK_EQUAL(wakes, POSTERS * POSTS);
    mailbox_end(mailbox);
    check_nothing_live();
}

/* The mailbox closes while others post: each block is taken, found waiting or lost, and none twice. */
static void test_close_among_posts(void) {
    static cslice_block *blocks[POSTERS][POSTS];
    for (int round = 0; round < 10; round++) {
        cslice__mailbox *mailbox = mailbox_new();
        uint64_t lost = counts().lost_destructors;
        pthread_t threads[POSTERS];
        for (int t = 0; t < POSTERS; t++) {
            for (int i = 0; i < POSTS; i++) blocks[t][i] = callback_block(mailbox);
            CHECK_EQUAL(pthread_create(&threads[t], NULL, drop_blocks, blocks[t]), 0);
        }
        uint64_t taken = 0;
        for (int i = 0; i < round * 20; i++) taken += cslice_callback_take(ADDRESS(mailbox)) != 0;
        mailbox_end(mailbox);
        for (int t = 0; t < POSTERS; t++) CHECK_EQUAL(pthread_join(threads[t], NULL), 0);
        CHECK_EQUAL(counts().lost_destructors - lost + taken, POSTERS * POSTS);
        check_nothing_live();
    }
}

int main(void) {
    test_new_fails();
    test_order();
    test_numbers_differ();
    test_wake();
    test_post_after_close();
    test_post_refused();
    test_disown();
    test_post_from_threads();
    test_close_among_posts();
    return 0;
}
