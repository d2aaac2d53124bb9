/* Defects that were found in the library, one case each, named by the argument. CMakeLists.txt says which are open. */
#include "support.h"

#include <errno.h>
#include <string.h>

static char byte;

/* A destructor that runs at the end of the thread fills a slot that the end has passed already. */
static void fill_first_slot(void *data) {
    (void)data;
    (void)cslice_slot_alloc(0, 8);
}

static void test_slot_filled_during_close(void) {
    CHECK_EQUAL(cslice__owner_open(), 0);
    CHECK_EQUAL(cslice_slots_reserve(2), 0);
    CHECK_EQUAL(cslice_slot_adopt(1, ADDRESS(&byte), 1, FUNCTION(fill_first_slot), CSLICE_SIGNATURE_PTR, 0), 0);
    cslice__owner_close();
    CHECK_EQUAL(counts().live_blocks, 0);
}

static atomic_bool stop;

static void *ask_too_much(void *argument) {
    while (!atomic_load(&stop)) {
        cslice_block *block = NULL;
        CHECK(cslice_block_new(*(size_t *)argument, &block) < 0);
    }
    return NULL;
}

/* Small blocks come and go beside a thread whose every request is refused. Returns how often one was refused too. */
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
    cslice_block *block = NULL;
    cslice__mailbox *mailbox = cslice__mailbox_new();
    CHECK(mailbox != NULL);
    CHECK_EQUAL(cslice__block_adopt_callback(mailbox, &byte, 1, &block), 0);
    cslice__mailbox_set_wake(mailbox, wake_with_errno, NULL);
    errno = EDOM;
    cslice_block_unref(block);
    CHECK_EQUAL(errno, EDOM);
    CHECK_EQUAL(cslice__mailbox_close(mailbox), 1);
    cslice__mailbox_unref(mailbox);
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

static const struct {
    const char *name;
    void (*test)(void);
} cases[] = {
    {"slot_filled_during_close", test_slot_filled_during_close},
    {"limit_beside_refused", test_limit_beside_refused},
    {"peak_beside_refused", test_peak_beside_refused},
    {"errno_after_wake", test_errno_after_wake},
    {"copy_nothing", test_copy_nothing},
    {"adopt_too_large", test_adopt_too_large},
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
