#include "support.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { SECRET = 77, LONG = 1000000, SHORT = 1 };

static char byte;

static void fill(uint32_t slot) {
    ended_reset();
    CHECK_EQUAL(cslice_slot_adopt(slot, ADDRESS(&byte), 1, FUNCTION(end_ptr), CSLICE_SIGNATURE_PTR, 0), 0);
}

static uint64_t share(uint32_t slot, uint32_t attachments, uint32_t patience_ms) {
    int64_t name = cslice_slot_share(slot, SECRET, attachments, patience_ms);
    CHECK(name > 0);
    return (uint64_t)name;
}

static void sleep_ms(long milliseconds) {
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&pause, &pause) != 0) continue;
}

static void test_attach_while_full(void) {
    open_table();
    uint32_t first = reserve(12);
    fill(first);
    uint64_t name = share(first, 1, SHORT);
    sleep_ms(5);
    cslice_shares_expire();
    for (uint32_t i = 1; i < 12; i++) {
        CHECK_EQUAL(cslice_slot_attach(first + i, name, SECRET, 0), 0);
        CHECK_EQUAL(cslice_slot_address(first + i), ADDRESS(&byte));
        CHECK_EQUAL(cslice_slot_block(first + i), cslice_slot_block(first));
    }
    CHECK_EQUAL(counts().live_blocks, 1);
    for (uint32_t i = 1; i < 12; i++) cslice_slot_release(first + i);
    CHECK_EQUAL(ended.times, 0);
    cslice_slot_release(first);
    CHECK_EQUAL(ended.times, 1);
    CHECK_EQUAL(cslice_slot_attach(first, name, SECRET, 0), CSLICE_ESHARED);
    close_table();
}

static void test_attach_after_release(void) {
    open_table();
    uint32_t first = reserve(4);
    for (uint32_t attachments = 0; attachments < 3; attachments++) {
        fill(first);
        uint64_t name = share(first, attachments, LONG);
        cslice_slot_release(first);
        CHECK_EQUAL(ended.times, attachments == 0);
        for (uint32_t i = 0; i < attachments; i++) {
            CHECK_EQUAL(ended.times, 0);
            CHECK_EQUAL(cslice_slot_attach(first + i, name, SECRET, 0), 0);
        }
        CHECK_EQUAL(cslice_slot_attach(first + 3, name, SECRET, 0), CSLICE_ESHARED);
        for (uint32_t i = 0; i < attachments; i++) cslice_slot_release(first + i);
        CHECK_EQUAL(ended.times, 1);
        CHECK_EQUAL(counts().live_blocks, 0);
    }
    close_table();
}

static void test_attachments_before_release_count(void) {
    open_table();
    uint32_t first = reserve(2);
    fill(first);
    uint64_t name = share(first, 2, LONG);
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(cslice_slot_attach(first + 1, name, SECRET, 0), 0);
        cslice_slot_release(first + 1);
    }
    cslice_slots_collect(&first, 1);
    CHECK_EQUAL(ended.times, 1);
    close_table();
}

static void test_expiry(void) {
    open_table();
    uint32_t first = reserve(3);
    for (int round = 0; round < 4; round++) {
        fill(first);
        cslice_statistics before = counts();
        uint64_t name = share(first, 1, SHORT);
        cslice_slot_release(first);
        CHECK_EQUAL(ended.times, 0);
        sleep_ms(10);
        switch (round) {
        case 0: cslice_shares_expire(); break;
        case 1: CHECK_EQUAL(cslice_slot_attach(first, name, SECRET, 0), CSLICE_ESHARED); break;
        case 2:
            CHECK(cslice_slot_alloc(first + 1, 1) > 0);
            (void)share(first + 1, 0, LONG);
            cslice_slot_release(first + 1);
            break;
        default: cslice_shares_expire(); cslice_shares_expire();
        }
        CHECK_EQUAL(ended.times, 1);
        CHECK_EQUAL(counts().released_by_collection, before.released_by_collection + 1);
        CHECK_EQUAL(cslice_slot_attach(first, name, SECRET, 0), CSLICE_ESHARED);
    }
    fill(first);
    CHECK_EQUAL(cslice_slot_ref(first + 1, first), 0);
    uint64_t patient = share(first, 1, LONG), hasty = share(first + 1, 1, SHORT);
    CHECK(patient != hasty);
    cslice_slot_release(first);
    cslice_slot_release(first + 1);
    sleep_ms(10);
    CHECK_EQUAL(cslice_slot_attach(first, hasty, SECRET, 0), CSLICE_ESHARED);
    CHECK_EQUAL(cslice_slot_attach(first, patient, SECRET, 0), 0);
    CHECK_EQUAL(ended.times, 0);
    cslice_slot_release(first);
    CHECK_EQUAL(ended.times, 1);
    close_table();
}

static void test_refused(void) {
    open_table();
    uint32_t first = reserve(3), full = first, empty = first + 1;
    fill(full);
    uint64_t name = share(full, 1, LONG);
    cslice_statistics before = counts();
    uint64_t names[] = {0, name + 1, name - 1, UINT64_MAX, name + ((uint64_t)1 << 63)};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_EQUAL(cslice_slot_attach(empty, names[i], SECRET, 0), CSLICE_ESHARED);
    }
    uint64_t secrets[] = {0, SECRET + 1, UINT64_MAX, SECRET + ((uint64_t)1 << 63)};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        CHECK_EQUAL(cslice_slot_attach(empty, name, secrets[i], 0), CSLICE_ESHARED);
    }
    uint32_t wrong[] = {full, first + 3, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) CHECK_EQUAL(cslice_slot_attach(wrong[i], name, SECRET, 0), CSLICE_ESLOT);
    uint32_t bare[] = {empty, first + 3, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) CHECK_EQUAL(cslice_slot_share(bare[i], SECRET, 1, LONG), CSLICE_ESLOT);
    CHECK_COUNTS_KEPT(before);
    cslice_slot_release(full);
    CHECK_EQUAL(cslice_slot_attach(empty, name, SECRET, 0), 0); /* no refusal has used up the one attachment */
    cslice_slot_release(empty);
    close_table();
}

static void test_without_table(void) {
    cslice_statistics before = counts();
    CHECK_EQUAL(cslice_slot_share(0, SECRET, 1, LONG), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slot_attach(0, 1, SECRET, 0), CSLICE_EOWNER);
    cslice_shares_expire();
    CHECK_COUNTS_KEPT(before);
}

static void test_holds_back(void) {
    open_table();
    uint32_t slot = reserve(1);
    CHECK(cslice_slot_alloc(slot, 8) > 0);
    (void)share(slot, 0, SHORT);
    CHECK_EQUAL(cslice_slot_disown(slot), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_slot_resize(slot, 16), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_slot_size(slot), 8);
    cslice_slot_release(slot);
    close_table();
}

/* A slot that is filled again has nothing to do with the offers of the block before. */
static void test_slot_used_again(void) {
    open_table();
    uint32_t first = reserve(2);
    fill(first);
    uint64_t old = share(first, 1, LONG);
    cslice_slot_release(first);
    CHECK(cslice_slot_alloc(first, 8) > 0);
    cslice_slot_release(first);
    CHECK_EQUAL(ended.times, 0);
    CHECK_EQUAL(cslice_slot_attach(first + 1, old, SECRET, 0), 0);
    CHECK_EQUAL(cslice_slot_address(first + 1), ADDRESS(&byte));
    cslice_slot_release(first + 1);
    CHECK_EQUAL(ended.times, 1);
    close_table();
}

typedef struct offering {
    uint32_t first;
    uint64_t names[100];
    uint32_t made;
} offering;

static int64_t share_attempt(void *argument) {
    offering *made = argument;
    int64_t name = cslice_slot_share(made->first + made->made, SECRET, 0, LONG);
    if (name > 0) made->names[made->made++] = (uint64_t)name;
    return name;
}

/* Both tables of offers grow on the way, and each failure leaves the offers before it as they were. */
static void test_failed_allocations(void) {
    open_table();
    offering made = {.first = reserve(101)};
    uint32_t empty = made.first + 100;
    fill(made.first);
    for (uint32_t i = 1; i < 100; i++) CHECK_EQUAL(cslice_slot_ref(made.first + i, made.first), 0);
    int failures = 0;
    for (int i = 0; i < 100; i++) failures += fail_each_allocation(share_attempt, &made, NULL);
    CHECK(failures >= 4);
    CHECK_EQUAL(made.made, 100);
    for (uint32_t i = 0; i < 100; i++) {
        CHECK_EQUAL(cslice_slot_attach(empty, made.names[i], SECRET, 0), 0);
        cslice_slot_release(empty);
        cslice_slot_release(made.first + i);
    }
    CHECK_EQUAL(ended.times, 1);
    close_table();
}

static void test_attach_needs_no_memory(void) {
    open_table();
    uint32_t first = reserve(2);
    fill(first);
    uint64_t name = share(first, 1, LONG);
    cslice_test_fail_allocation(1);
    CHECK_EQUAL(cslice_slot_attach(first + 1, name, SECRET, 0), 0);
    cslice_slot_release(first);
    cslice_slot_release(first + 1);
    cslice_test_fail_allocation(0);
    CHECK_EQUAL(ended.times, 1);
    close_table();
}

static void *attach_in_thread(void *name) {
    open_table();
    uint32_t slot = reserve(1);
    CHECK_EQUAL(cslice_slot_attach(slot, *(uint64_t *)name, SECRET, 0), 0);
    CHECK_EQUAL(cslice_slot_address(slot), ADDRESS(&byte));
    cslice__owner_close();
    return NULL;
}

static void run_thread(void *(*function)(void *), void *argument) {
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, function, argument), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

static void test_other_thread(void) {
    open_table();
    uint32_t slot = reserve(1);
    fill(slot);
    uint64_t name = share(slot, 1, LONG);
    run_thread(attach_in_thread, &name);
    CHECK_EQUAL(ended.times, 0);
    cslice_slot_release(slot);
    CHECK_EQUAL(ended.times, 1);
    fill(slot);
    name = share(slot, 1, LONG);
    cslice_slot_release(slot);
    CHECK_EQUAL(ended.times, 0);
    run_thread(attach_in_thread, &name);
    CHECK_EQUAL(ended.times, 1);
    close_table();
}

static void *share_in_thread(void *name) {
    open_table();
    uint32_t slot = reserve(1);
    fill(slot);
    *(uint64_t *)name = share(slot, 1, LONG);
    cslice__owner_close();
    return NULL;
}

static void test_outlives_its_thread(void) {
    uint64_t name = 0;
    run_thread(share_in_thread, &name);
    CHECK_EQUAL(ended.times, 0);
    CHECK_EQUAL(counts().live_blocks, 1);
    run_thread(attach_in_thread, &name);
    CHECK_EQUAL(ended.times, 1);
    check_nothing_live();
}

/* A destructor that runs because an offer ended may use the offers itself. */
static void share_again(void *data) {
    int64_t slot = cslice_slots_reserve(1);
    CHECK(slot >= 0);
    CHECK(cslice_slot_alloc((uint32_t)slot, 8) > 0);
    uint64_t name = share((uint32_t)slot, 1, LONG);
    cslice_slot_release((uint32_t)slot);
    CHECK_EQUAL(cslice_slot_attach((uint32_t)slot, name, SECRET, 0), 0);
    cslice_slot_release((uint32_t)slot);
    end_ptr(data);
}

static void test_destructor_calls_back(void) {
    open_table();
    uint32_t slot = reserve(1);
    for (int i = 0; i < 3; i++) {
        ended_reset();
        CHECK_EQUAL(cslice_slot_adopt(slot, ADDRESS(&byte), 1, FUNCTION(share_again), 0, 0), 0);
        (void)share(slot, 1, SHORT);
        cslice_slot_release(slot);
        sleep_ms(10);
        cslice_shares_expire();
        CHECK_EQUAL(ended.times, 1);
    }
    close_table();
}

static void test_errno_kept(void) {
    open_table();
    uint32_t first = reserve(2);
    fill(first);
    errno = EDOM;
    uint64_t name = share(first, 1, SHORT);
    CHECK_EQUAL(cslice_slot_attach(first + 1, name, SECRET, 0), 0);
    CHECK_EQUAL(cslice_slot_attach(first + 1, name, SECRET, 0), CSLICE_ESLOT);
    cslice_slot_release(first);
    cslice_slot_release(first + 1);
    cslice_shares_expire();
    CHECK_EQUAL(errno, EDOM);
    close_table();
}

int main(void) {
    test_without_table();
    test_attach_while_full();
    test_attach_after_release();
    test_attachments_before_release_count();
    test_expiry();
    test_refused();
    test_holds_back();
    test_slot_used_again();
    test_failed_allocations();
    test_attach_needs_no_memory();
    test_other_thread();
    test_outlives_its_thread();
    test_destructor_calls_back();
    test_errno_kept();
    check_nothing_live();
    return 0;
}
