#include "support.h"

#include <errno.h>

enum { POSTERS = 4, POSTS = 200 };

static char byte;

static cslice_block *native_block(cslice__mailbox *mailbox, void *data,
                                  cslice_free_function *function, void *context) {
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice__block_adopt(CSLICE__FREE_FUNCTION, data, 1, (uintptr_t)function, context,
                                    mailbox, &block),
                0);
    return block;
}

static int64_t due_next(cslice__mailbox *mailbox) {
    return cslice_due_next(ADDRESS(mailbox));
}

static void test_new_fails(void) {
    cslice_test_fail_allocation(1);
    CHECK(cslice__mailbox_new(NULL) == NULL);
    cslice_test_fail_allocation(0);
}

static void test_order(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    CHECK_EQUAL(due_next(mailbox), 0);
    for (int round = 0; round < 3; round++) {
        cslice_block *blocks[5];
        for (int i = 0; i < 5; i++) blocks[i] = new_callback_block(mailbox, i + 1);
        for (int i = 4; i >= 0; i--) cslice_block_unref(blocks[i]);
        for (int i = 4; i >= 0; i--) CHECK_EQUAL(due_next(mailbox), i + 1);
        CHECK_EQUAL(due_next(mailbox), 0);
    }
    cslice__due_end(mailbox);
    check_nothing_live();
}

/* The number is JavaScript's own, and may be any integer that a double holds. */
static void test_numbers(void) {
    static const int64_t numbers[] = {1, 2, INT32_MAX, (int64_t)UINT32_MAX + 1,
                                      ((int64_t)1 << 53) - 1};
    cslice__mailbox *mailbox = new_mailbox(NULL);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        cslice_block_unref(new_callback_block(mailbox, numbers[i]));
        CHECK_EQUAL(due_next(mailbox), numbers[i]);
    }
    cslice__due_end(mailbox);
}

static void test_no_mailbox(void) {
    CHECK_EQUAL(cslice_due_next(0), 0);
}

/* The flag spares the reader a call: it is 1 from the first post until the last block is taken. */
static void test_due_flag(void) {
    double due = 0;
    cslice__mailbox *mailbox = new_mailbox(&due);
    cslice_block *first = new_callback_block(mailbox, 1), *second = new_callback_block(mailbox, 2);
    CHECK(due == 0);
    cslice_block_unref(first);
    CHECK(due == 1);
    cslice_block_unref(second);
    CHECK_EQUAL(due_next(mailbox), 1);
    CHECK(due == 1);
    CHECK_EQUAL(due_next(mailbox), 2);
    CHECK(due == 0);
    CHECK_EQUAL(due_next(mailbox), 0);
    CHECK(due == 0);
    cslice_block_unref(new_callback_block(mailbox, 3));
    cslice_block *late = new_callback_block(mailbox, 4);
    cslice__mailbox_close(mailbox);
    due = 55; /* the reader's memory again: nobody writes it */
    cslice_block_unref(late);
    cslice__due_end(mailbox);
    CHECK(due == 55);
    check_nothing_live();
}

/* Native destructors run in the call that looks for JavaScript ones, in the order of the posts. */
static void test_native_runs_up_to_callback(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_statistics before = counts();
    static char data[4];
    ended_reset();
    cslice_block_unref(native_block(mailbox, &data[0], end_free, &data[0]));
    cslice_block_unref(native_block(mailbox, &data[1], end_free, &data[1]));
    cslice_block_unref(new_callback_block(mailbox, 9));
    cslice_block_unref(native_block(mailbox, &data[2], end_free, &data[2]));
    CHECK_EQUAL(ended.times, 0);
    CHECK_EQUAL(counts().released_by_c,
                before.released_by_c + 4); /* each has ended, and is not live */
    CHECK_EQUAL(due_next(mailbox), 9);
    CHECK(ended.times == 2 && ended.data == &data[1] && ended.context == &data[1] &&
          ended.size == 1);
    CHECK_EQUAL(due_next(mailbox), 0);
    CHECK(ended.times == 3 && ended.data == &data[2]);
    cslice__due_end(mailbox);
    check_nothing_live();
}

static void test_native_signatures(void) {
    for (int closed = 0; closed < 2; closed++) {
        cslice__mailbox *mailbox = new_mailbox(NULL);
        if (closed) cslice__mailbox_close(mailbox);
        for (size_t i = 0; i < NATIVE_SIGNATURES; i++) {
            const native_signature *signature = &native_signatures[i];
            int context;
            cslice_block *block = NULL;
            ended_reset();
            CHECK_EQUAL(cslice__block_adopt(signature->kind, &byte, 7,
                                            (uintptr_t)signature->function, &context, mailbox,
                                            &block),
                        0);
            cslice_block_unref(block);
            CHECK_EQUAL(ended.times, closed);
            CHECK_EQUAL(due_next(mailbox), 0);
            CHECK(ended.times == 1 && ended.data == &byte);
            CHECK_EQUAL(ended.size, signature->size ? 7 : 0);
            CHECK(ended.context == (signature->context ? &context : NULL));
        }
        cslice__due_end(mailbox);
    }
    check_nothing_live();
}

/* The destructor posts to the mailbox that is being read. */
static void post_another(void *data, size_t size, void *context) {
    end_free(data, size, context);
    cslice_block_unref(context);
}

static void test_destructor_posts(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    ended_reset();
    cslice_block *last = native_block(mailbox, &byte, end_free, NULL);
    cslice_block_unref(native_block(mailbox, &byte, post_another,
                                    native_block(mailbox, &byte, post_another, last)));
    CHECK_EQUAL(due_next(mailbox), 0);
    CHECK_EQUAL(ended.times, 3);
    cslice__due_end(mailbox);
    check_nothing_live();
}

static void count_wake(void *target) {
    ++*(int *)target;
}

static void test_wake(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    int wakes = 0;
    cslice_block_unref(new_callback_block(mailbox, 1));
    cslice__mailbox_set_wake(mailbox, count_wake, &wakes);
    CHECK_EQUAL(wakes, 0);
    cslice_block_unref(new_callback_block(mailbox, 2));
    cslice_block_unref(native_block(mailbox, &byte, NULL, NULL));
    CHECK_EQUAL(wakes, 2);
    cslice__mailbox_set_wake(mailbox, NULL, NULL);
    cslice_block_unref(new_callback_block(mailbox, 3));
    CHECK_EQUAL(wakes, 2);
    cslice__mailbox_set_wake(mailbox, count_wake, &wakes);
    cslice_block *late = new_callback_block(mailbox, 4);
    cslice__due_end(mailbox);
    cslice_block_unref(late);
    CHECK_EQUAL(wakes, 2);
    check_nothing_live();
}

/* The target is destroyed right after set_wake(NULL) or close has returned: no wake may be under
 * way then. */
typedef struct wake_target {
    cslice__mailbox *mailbox;
    int wakes;
    bool alive;
} wake_target;

static void wake_alive(void *target) {
    wake_target *own = target;
    CHECK(own->alive);
    CHECK(pthread_mutex_trylock(&own->mailbox->mutex) != 0); /* the poster holds it */
    own->wakes++;
}

static void *drop_blocks(void *argument) {
    cslice_block **blocks = argument;
    for (int i = 0; i < POSTS; i++) cslice__block_unref(blocks[i], cslice__thread_end_reason());
    return NULL;
}

static cslice_block *blocks[POSTERS][POSTS];
static pthread_t threads[POSTERS];

static void start_posters(void) {
    for (int t = 0; t < POSTERS; t++)
        CHECK_EQUAL(pthread_create(&threads[t], NULL, drop_blocks, blocks[t]), 0);
}

static void join_posters(void) {
    for (int t = 0; t < POSTERS; t++) CHECK_EQUAL(pthread_join(threads[t], NULL), 0);
}

static void fill_with_callbacks(cslice__mailbox *mailbox) {
    for (int t = 0; t < POSTERS; t++) {
        for (int i = 0; i < POSTS; i++)
            blocks[t][i] = new_callback_block(mailbox, t * POSTS + i + 1);
    }
}

static void test_wake_under_lock(void) {
    for (int round = 0; round < 10; round++) {
        cslice__mailbox *mailbox = new_mailbox(NULL);
        wake_target target = {mailbox, 0, true};
        fill_with_callbacks(mailbox);
        cslice__mailbox_set_wake(mailbox, wake_alive, &target);
        start_posters();
        for (int i = 0; i < round * 20; i++) (void)due_next(mailbox);
        if (round % 2 == 0) {
            cslice__mailbox_set_wake(mailbox, NULL, NULL);
        } else {
            cslice__mailbox_close(mailbox);
        }
        target.alive = false;
        join_posters();
        CHECK(target.wakes <= POSTERS * POSTS);
        cslice__due_end(mailbox);
        check_nothing_live();
    }
}

static void test_post_after_close(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_statistics before = counts();
    ended_reset();
    cslice_block *waiting = new_callback_block(mailbox, 1), *late = new_callback_block(mailbox, 2);
    cslice_block *waiting_native = native_block(mailbox, &byte, end_free, NULL);
    cslice_block *late_native = native_block(mailbox, &byte, end_free, NULL);
    cslice_block_unref(waiting);
    cslice_block_unref(waiting_native);
    cslice__due_end(mailbox);
    CHECK_EQUAL(ended.times, 1);
    CHECK_EQUAL(counts().lost_destructors, before.lost_destructors + 1);
    CHECK_EQUAL(counts().live_blocks, before.live_blocks + 2);
    cslice_block_unref(late_native); /* runs here */
    CHECK_EQUAL(ended.times, 2);
    cslice_block_unref(late); /* the last user of the mailbox too */
    CHECK_EQUAL(counts().lost_destructors, before.lost_destructors + 2);
    check_nothing_live();
}

static void test_post_refused(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *block = new_callback_block(mailbox, 1);
    cslice__mailbox_close(mailbox);
    CHECK(!cslice__mailbox_post(mailbox, block));
    CHECK(block->mailbox == mailbox);
    CHECK(cslice__mailbox_take(mailbox) == NULL);
    cslice_block_unref(block);
    CHECK_EQUAL(atomic_load(&mailbox->references), 1);
    cslice__mailbox_unref(mailbox);
    check_nothing_live();
}

static void test_references(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *block = new_callback_block(mailbox, 1);
    CHECK_EQUAL(atomic_load(&mailbox->references), 2);
    cslice_block_unref(cslice_block_ref(block));
    CHECK_EQUAL(atomic_load(&mailbox->references), 2);
    cslice_block_unref(block); /* the mailbox is closed and emptied before its own reference goes */
    CHECK_EQUAL(atomic_load(&mailbox->references), 1);
    CHECK_EQUAL(due_next(mailbox), 1);
    CHECK_EQUAL(atomic_load(&mailbox->references), 1);
    cslice__due_end(mailbox);
}

static void test_reasons(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_statistics before = counts();
    for (int reason = 0; reason < CSLICE__DISOWNED; reason++) {
        cslice__block_unref(new_callback_block(mailbox, 1), (cslice__end)reason);
        cslice__block_unref(native_block(mailbox, &byte, NULL, NULL), (cslice__end)reason);
    }
    cslice_statistics after = counts(); /* before anyone has looked into the mailbox */
    CHECK_EQUAL(after.released_by_scope, before.released_by_scope + 2);
    CHECK_EQUAL(after.released_by_collection, before.released_by_collection + 2);
    CHECK_EQUAL(after.released_by_thread_end, before.released_by_thread_end + 2);
    CHECK_EQUAL(after.released_by_c, before.released_by_c + 2);
    for (int reason = 0; reason < CSLICE__DISOWNED; reason++) CHECK_EQUAL(due_next(mailbox), 1);
    CHECK_EQUAL(due_next(mailbox), 0);
    CHECK_COUNTS_KEPT(after);
    cslice__due_end(mailbox);
    CHECK_COUNTS_KEPT(after);
}

static void test_post_from_threads(void) {
    static int seen[POSTERS * POSTS + 1];
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_statistics before = counts();
    int wakes = 0, last[POSTERS] = {0};
    cslice__mailbox_set_wake(mailbox, count_wake, &wakes);
    fill_with_callbacks(mailbox);
    start_posters();
    for (int taken = 0; taken < POSTERS * POSTS;) {
        int64_t number = due_next(mailbox);
        if (number == 0) continue;
        CHECK(number <= POSTERS * POSTS && seen[number]++ == 0);
        int poster = (int)(number - 1) / POSTS;
        CHECK(number > last[poster]); /* each poster's own in their order */
        last[poster] = (int)number;
        taken++;
    }
    join_posters();
    CHECK_EQUAL(wakes, POSTERS * POSTS);
    CHECK_EQUAL(counts().released_by_collection, before.released_by_collection + POSTERS * POSTS);
    cslice__due_end(mailbox);
    check_nothing_live();
}

static _Thread_local bool is_reader;
static atomic_int ended_by_reader, ended_by_posters;
static atomic_bool closed;

static void end_somewhere(void *data, size_t size, void *context) {
    (void)data, (void)size, (void)context;
    CHECK(is_reader || atomic_load(&closed));
    atomic_fetch_add(is_reader ? &ended_by_reader : &ended_by_posters, 1);
}

/* The mailbox closes while others post: each block is taken, found waiting or lost, and none twice.
   A native destructor runs in another thread only after the close. */
static void test_close_among_posts(void) {
    is_reader = true;
    for (int round = 0; round < 10; round++) {
        cslice__mailbox *mailbox = new_mailbox(NULL);
        uint64_t lost = counts().lost_destructors, taken = 0;
        atomic_store(&closed, false);
        atomic_store(&ended_by_reader, 0);
        atomic_store(&ended_by_posters, 0);
        fill_with_callbacks(mailbox);
        for (int t = 0; t < POSTERS; t++) {
            for (int i = 0; i < POSTS; i += 2) {
                cslice_block *callback = blocks[t][i];
                blocks[t][i] = native_block(mailbox, &byte, end_somewhere, NULL);
                cslice__block_disown(callback, NULL);
                cslice_block_unref(callback);
            }
        }
        start_posters();
        for (int i = 0; i < round * 20; i++) taken += due_next(mailbox) != 0;
        atomic_store(&closed, true); /* in a moment; no post may be refused before */
        cslice__due_end(mailbox);
        join_posters();
        CHECK_EQUAL(counts().lost_destructors - lost + taken, POSTERS * POSTS / 2);
        CHECK_EQUAL(atomic_load(&ended_by_reader) + atomic_load(&ended_by_posters),
                    POSTERS * POSTS / 2);
        check_nothing_live();
    }
    is_reader = false;
}

static void set_errno(void *data, size_t size, void *context) {
    (void)data, (void)size, (void)context;
    errno = EIO;
}

static void set_errno_in_wake(void *target) {
    (void)target;
    errno = EIO;
}

static void test_errno_kept(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *late = native_block(mailbox, &byte, set_errno, NULL);
    cslice__mailbox_set_wake(mailbox, set_errno_in_wake, NULL);
    errno = EDOM;
    cslice_block_unref(native_block(mailbox, &byte, set_errno, NULL));
    CHECK_EQUAL(errno, EDOM);
    CHECK_EQUAL(due_next(mailbox), 0);
    CHECK_EQUAL(errno, EDOM);
    cslice__due_end(mailbox);
    cslice_block_unref(late);
    CHECK_EQUAL(errno, EDOM);
}

int main(void) {
    test_new_fails();
    test_order();
    test_numbers();
    test_no_mailbox();
    test_due_flag();
    test_native_runs_up_to_callback();
    test_native_signatures();
    test_destructor_posts();
    test_wake();
    test_wake_under_lock();
    test_post_after_close();
    test_post_refused();
    test_references();
    test_reasons();
    test_post_from_threads();
    test_close_among_posts();
    test_errno_kept();
    check_nothing_live();
    return 0;
}
