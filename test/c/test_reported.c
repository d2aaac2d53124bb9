/* Defects that were found in the library, one case each, named by the argument. CMakeLists.txt says
 * which are open. */
#include "support.h"

#include <errno.h>
#include <string.h>

static char byte;

static atomic_bool stop;

static void *ask_too_much(void *argument) {
    while (!atomic_load(&stop)) {
        cslice_block *block = NULL;
        CHECK(cslice_block_new(*(size_t *)argument, &block) < 0);
    }
    return NULL;
}

/* Small blocks come and go beside a thread whose every request is refused. Returns how often one
 * was refused too. */
static int refused_beside(size_t too_much, int rounds) {
    pthread_t thread;
    int refused = 0;
    atomic_store(&stop, false);
    CHECK_EQUAL(pthread_create(&thread, NULL, ask_too_much, &too_much), 0);
    for (int i = 0; i < rounds; i++) {
        cslice_block *block = NULL;
        refused += cslice_block_new(1, &block) != 0;
        cslice_block_unref(block);
    }
    atomic_store(&stop, true);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    return refused;
}

static void test_limit_beside_refused(void) {
    cslice_limit_set(1000);
    CHECK_EQUAL(refused_beside(1001, 200000), 0);
}

static void test_peak_beside_refused(void) {
    CHECK_EQUAL(refused_beside(PTRDIFF_MAX, 20000), 0);
    CHECK_EQUAL(counts().peak_bytes, 1);
}

static void wake_with_errno(void *target) {
    (void)target;
    errno = EIO;
}

static void test_errno_after_wake(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *block = new_callback_block(mailbox, 1);
    cslice__mailbox_set_wake(mailbox, wake_with_errno, NULL);
    errno = EDOM;
    cslice_block_unref(block);
    CHECK_EQUAL(errno, EDOM);
    cslice__due_end(mailbox);
}

static void end_with_errno(void *data) {
    (void)data;
    errno = EIO;
}

static void test_errno_after_due(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice__block_adopt(CSLICE__PTR, &byte, 1, (uintptr_t)end_with_errno, NULL, mailbox,
                                    &block),
                0);
    cslice_block_unref(block);
    errno = EDOM;
    CHECK_EQUAL(cslice_due_next(ADDRESS(mailbox)), 0);
    CHECK_EQUAL(errno, EDOM);
    cslice__due_end(mailbox);
}

static void test_errno_after_give_back(void) {
    errno = EDOM;
    cslice_give_back(ADDRESS(&byte), 1, FUNCTION(end_with_errno), CSLICE_SIGNATURE_PTR, 0);
    CHECK_EQUAL(errno, EDOM);
}

/* An empty typed array has no address. Undefined in C, so only UBSan sees it. */
static void test_copy_nothing(void) {
    cslice_copy(0, 0, 0);
    cslice_copy_in(0, NULL, 0);
    cslice_copy_out(NULL, 0, 0);
}

/* Nothing is that large, and the sum of live bytes wraps: the limit is passed by. */
static void test_adopt_too_large(void) {
    cslice_block *block = NULL, *adopted = NULL;
    CHECK_EQUAL(cslice_block_new(100, &block), 0);
    int status = cslice_block_adopt(&byte, SIZE_MAX - 50, NULL, NULL, &adopted);
    CHECK(status < 0 || counts().live_bytes >= 100);
    cslice_block_unref(adopted);
    cslice_block_unref(block);
}

enum { PIECES = 200, PIECE = 64, LIVES = 2000 };

/* Writes its own number to what it got, and looks whether anybody else did. */
static void *open_and_close(void *argument) {
    for (int life = 0; life < (under_valgrind() ? LIVES / 10 : LIVES); life++) {
        cslice_block *pieces[PIECES];
        cslice__cache_open();
        for (int i = 0; i < PIECES; i++) {
            pieces[i] = new_block(PIECE);
            memcpy(pieces[i]->data, &argument, sizeof argument);
        }
        for (int i = 0; i < PIECES; i++) {
            CHECK(memcmp(pieces[i]->data, &argument, sizeof argument) == 0);
            cslice_block_unref(pieces[i]);
        }
        cslice__cache_close();
    }
    return NULL;
}

/* A thread opened the cache that another one had closed, and was still emptying. */
static void test_cache_taken_while_it_closes(void) {
    pthread_t threads[4];
    for (uintptr_t t = 0; t < 4; t++) {
        CHECK_EQUAL(pthread_create(&threads[t], NULL, open_and_close, (void *)(t + 1)), 0);
    }
    for (int t = 0; t < 4; t++) CHECK_EQUAL(pthread_join(threads[t], NULL), 0);
}

/* Kept bytes are not live; a thread that ended counted them as live again, and so in the peak. */
static void test_peak_at_thread_end(void) {
    const size_t size = 1 << 20;
    cslice__thread_open();
    cslice_block *kept[] = {new_block(size / 2), new_block(size / 2)};
    CHECK_EQUAL(counts().peak_bytes, size);
    account()->released += 2;
    account()->bytes += (double)size;
    cslice_block *live = new_block(size);
    CHECK_EQUAL(counts().peak_bytes, size);
    cslice__thread_close();
    for (int i = 0; i < 2; i++) cslice__block_unref(kept[i], cslice__thread_end_reason());
    cslice__block_unref(live, cslice__thread_end_reason());
    check_nothing_live();
    CHECK_EQUAL(counts().peak_bytes, size);
}

static const struct {
    const char *name;
    void (*test)(void);
} cases[] = {
    {"limit_beside_refused", test_limit_beside_refused},
    {"peak_beside_refused", test_peak_beside_refused},
    {"errno_after_wake", test_errno_after_wake},
    {"copy_nothing", test_copy_nothing},
    {"adopt_too_large", test_adopt_too_large},
    {"cache_taken_while_it_closes", test_cache_taken_while_it_closes},
    {"errno_after_due", test_errno_after_due},
    {"errno_after_give_back", test_errno_after_give_back},
    {"peak_at_thread_end", test_peak_at_thread_end},
};

int main(int count, char **arguments) {
    CHECK_EQUAL(count, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, arguments[1]) != 0) continue;
        cases[i].test();
        return 0;
    }
    CHECK(!"no such case");
    return 1;
}
