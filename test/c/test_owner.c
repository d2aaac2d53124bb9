#include "support.h"

#include <errno.h>
#include <string.h>

static char byte;

static int32_t adopt(uint32_t slot) {
    return cslice_slot_adopt(slot, ADDRESS(&byte), 1, FUNCTION(end_ptr), CSLICE_SIGNATURE_PTR, 0);
}

static void test_without_table(void) {
    uint32_t slots[] = {0, 1, UINT32_MAX};
    cslice_statistics before = counts();
    CHECK_EQUAL(cslice_slots_reserve(1), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slots_reserve(0), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slot_alloc(0, 1), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slot_alloc_with(0, 1, 16, 0), CSLICE_EOWNER);
    CHECK_EQUAL(adopt(0), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slot_adopt_callback(0, ADDRESS(&byte), 1, 1), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slot_ref(0, 1), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slot_disown(0), CSLICE_EOWNER);
    cslice_slot_release(0);
    cslice_slots_collect(slots, 3);
    cslice__owner_close();
    CHECK_COUNTS_KEPT(before);
}

static int64_t open_attempt(void *argument) {
    (void)argument;
    return cslice__owner_open();
}

static int64_t reserve_attempt(void *argument) {
    return cslice_slots_reserve(*(uint32_t *)argument);
}

static void test_open_fails(void) {
    CHECK_EQUAL(fail_each_allocation(open_attempt, NULL, NULL), 1);
    CHECK_EQUAL(cslice_slots_reserve(0), 0);
    close_table();
    CHECK_EQUAL(cslice_slots_reserve(0), CSLICE_EOWNER);
}

static void test_users(void) {
    open_table();
    open_table();
    uint32_t slot = reserve(1);
    CHECK(cslice_slot_alloc(slot, 1) > 0);
    cslice__owner_close();
    CHECK_EQUAL(counts().live_blocks, 1);
    CHECK_EQUAL(reserve(1), slot + 1);
    cslice__owner_close();
    check_nothing_live();
    CHECK_EQUAL(cslice_slot_alloc(slot, 1), CSLICE_EOWNER);
}

static void test_reserve(void) {
    open_table();
    CHECK_EQUAL(reserve(0), 0);
    CHECK_EQUAL(reserve(1), 0);
    CHECK_EQUAL(reserve(0), 1);
    CHECK_EQUAL(reserve(10), 1);
    CHECK_EQUAL(cslice_slots_reserve(UINT32_MAX), CSLICE_ENOMEM);
    CHECK_EQUAL(cslice_slots_reserve(UINT32_MAX / 2), CSLICE_ENOMEM);
    CHECK_EQUAL(reserve(1), 11);
    close_table();
}

static void test_growth_keeps_blocks(void) {
    enum { SLOTS = 3000 };
    static int64_t addresses[SLOTS];
    open_table();
    for (uint32_t count = 1, next = 0; next < SLOTS; next += count) {
        count = count * 2 < SLOTS - next ? count * 2 : SLOTS - next;
        int64_t first;
        (void)fail_each_allocation(reserve_attempt, &count, &first);
        CHECK_EQUAL(first, next);
        for (uint32_t slot = next; slot < next + count; slot++) {
            addresses[slot] = cslice_slot_alloc(slot, 4);
            CHECK(addresses[slot] > 0);
            memcpy((void *)(uintptr_t)addresses[slot], &slot, sizeof slot);
        }
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        CHECK(memcmp((void *)(uintptr_t)addresses[slot], &slot, sizeof slot) == 0);
        if (slot % 3 == 0) cslice_slot_release(slot);
    }
    CHECK_EQUAL(counts().live_blocks, SLOTS - SLOTS / 3);
    close_table();
}

static void test_alloc(void) {
    static const uint64_t sizes[] = {0, 1, 16, 4097, ((uint64_t)17 << 20) + 3};
    open_table();
    uint32_t slot = reserve(1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t address = cslice_slot_alloc(slot, sizes[i]);
        CHECK(address > 0 && address % 16 == 0);
        CHECK(all_zero((void *)(uintptr_t)address, (size_t)sizes[i]));
        CHECK_EQUAL(counts().live_bytes, sizes[i]);
        CHECK_EQUAL(cslice_slot_alloc(slot, 1), CSLICE_ESLOT);
        cslice_slot_release(slot);
        CHECK_EQUAL(counts().live_blocks, 0);
    }
    close_table();
}

static void test_alignment(void) {
    static const uint64_t alignments[] = {1, 2, 4, 8, 16, 32, 64, 4096, 2 << 20};
    static const uint64_t sizes[] = {0, 1, 100, 5000};
    open_table();
    uint32_t slot = reserve(1);
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            for (uint32_t zero = 0; zero < 2; zero++) {
                int64_t address = cslice_slot_alloc_with(slot, sizes[j], alignments[i], zero);
                CHECK(address > 0 && (uint64_t)address % alignments[i] == 0);
                CHECK(zero == 0 || all_zero((void *)(uintptr_t)address, (size_t)sizes[j]));
                memset((void *)(uintptr_t)address, 0x5a, (size_t)sizes[j]);
                cslice_slot_release(slot);
            }
        }
    }
    close_table();
}

static void test_alloc_refused(void) {
    static const uint64_t not_powers[] = {0, 3, 5, 6, 24, 4095, 4097, UINT64_MAX, ((uint64_t)1 << 63) + 1};
    static const uint64_t huge[] = {UINT64_MAX, (uint64_t)PTRDIFF_MAX + 1, PTRDIFF_MAX, PTRDIFF_MAX - 4096};
    open_table();
    uint32_t slot = reserve(1);
    cslice_statistics before = counts();
    for (size_t i = 0; i < sizeof not_powers / sizeof *not_powers; i++) {
        CHECK_EQUAL(cslice_slot_alloc_with(slot, 8, not_powers[i], 1), CSLICE_EINVAL);
    }
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        CHECK_EQUAL(cslice_slot_alloc(slot, huge[i]), CSLICE_ENOMEM);
        CHECK_EQUAL(cslice_slot_alloc_with(slot, huge[i], 1, 0), CSLICE_ENOMEM);
        CHECK_EQUAL(cslice_slot_alloc_with(slot, huge[i], 4096, 1), CSLICE_ENOMEM);
    }
    if (!under_valgrind()) CHECK_EQUAL(cslice_slot_alloc_with(slot, 8, (uint64_t)1 << 62, 1), CSLICE_ENOMEM);
    CHECK_COUNTS_KEPT(before);
    cslice_limit_set(10);
    CHECK_EQUAL(cslice_slot_alloc(slot, 11), CSLICE_ELIMIT);
    CHECK_COUNTS_KEPT(before);
    CHECK(cslice_slot_alloc(slot, 10) > 0);
    cslice_limit_set(0);
    close_table();
}

static int64_t alloc_attempt(void *argument) {
    return cslice_slot_alloc(*(uint32_t *)argument, 40);
}

static int64_t aligned_attempt(void *argument) {
    return cslice_slot_alloc_with(*(uint32_t *)argument, 40, 4096, 1);
}

static int64_t adopt_attempt(void *argument) {
    return adopt(*(uint32_t *)argument);
}

static void test_failed_allocations(void) {
    static attempt_function *const attempts[] = {alloc_attempt, aligned_attempt, adopt_attempt};
    static const int allocations[] = {2, 2, 1};
    open_table();
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        ended_reset();
        uint32_t slot = reserve(1);
        CHECK_EQUAL(fail_each_allocation(attempts[i], &slot, NULL), allocations[i]);
        CHECK_EQUAL(ended.times, 0);
        CHECK_EQUAL(counts().live_blocks, i + 1);
    }
    close_table();
}

static void test_slot_misuse(void) {
    open_table();
    uint32_t first = reserve(3), full = first + 1, empty = first + 2;
    CHECK(cslice_slot_alloc(full, 1) > 0);
    cslice_statistics before = counts();
    uint32_t wrong[] = {full, first + 3, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQUAL(cslice_slot_alloc(wrong[i], 1), CSLICE_ESLOT);
        CHECK_EQUAL(cslice_slot_alloc_with(wrong[i], 1, 3, 1), CSLICE_ESLOT);
        CHECK_EQUAL(adopt(wrong[i]), CSLICE_ESLOT);
        CHECK_EQUAL(cslice_slot_adopt_callback(wrong[i], ADDRESS(&byte), 1, 1), CSLICE_ESLOT);
        CHECK_EQUAL(cslice_slot_ref(wrong[i], full), CSLICE_ESLOT);
    }
    uint32_t bare[] = {empty, first + 3, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQUAL(cslice_slot_disown(bare[i]), CSLICE_ESLOT);
        CHECK_EQUAL(cslice_slot_ref(first, bare[i]), CSLICE_ESLOT);
        cslice_slot_release(bare[i]);
    }
    cslice_slots_collect(bare, 3);
    cslice_slots_collect(NULL, 0);
    CHECK_COUNTS_KEPT(before);
    close_table();
}

static void test_adopt_signatures(void) {
    static const struct {
        uint32_t signature;
        uint64_t function, size, context;
    } cases[] = {
        {CSLICE_SIGNATURE_PTR, FUNCTION(end_ptr), 0, 0},
        {CSLICE_SIGNATURE_PTR_SIZE, FUNCTION(end_ptr_size), 9, 0},
        {CSLICE_SIGNATURE_CTX_PTR, FUNCTION(end_ctx_ptr), 0, 77},
        {CSLICE_SIGNATURE_CTX_PTR, FUNCTION(end_ctx_ptr), 0, 0},
    };
    open_table();
    uint32_t slot = reserve(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ended_reset();
        CHECK_EQUAL(cslice_slot_adopt(slot, ADDRESS(&byte), 9, cases[i].function, cases[i].signature,
                                      cases[i].context), 0);
        CHECK_EQUAL(adopt(slot), CSLICE_ESLOT);
        cslice_slot_release(slot);
        cslice_slot_release(slot);
        CHECK_EQUAL(ended.times, 1);
        CHECK(ended.data == &byte);
        CHECK_EQUAL(ended.size, cases[i].size);
        CHECK_EQUAL((uintptr_t)ended.context, cases[i].context);
    }
    close_table();
}

static void test_adopt_refused(void) {
    open_table();
    uint32_t slot = reserve(1);
    cslice_statistics before = counts();
    uint64_t data = ADDRESS(&byte), function = FUNCTION(end_ptr);
    CHECK_EQUAL(cslice_slot_adopt(slot, 0, 1, function, CSLICE_SIGNATURE_PTR, 0), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_slot_adopt(slot, data, 1, 0, CSLICE_SIGNATURE_PTR, 0), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_slot_adopt(slot, data, 1, function, CSLICE_SIGNATURE_CTX_PTR + 1, 0), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_slot_adopt(slot, data, 1, function, UINT32_MAX, 0), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_slot_adopt_callback(slot, 0, 1, 1), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_slot_adopt_callback(slot, data, 1, 0), CSLICE_EINVAL);
    CHECK_COUNTS_KEPT(before);
    CHECK_EQUAL(adopt(slot), 0);
    close_table();
}

static void test_reasons(void) {
    open_table();
    uint32_t first = reserve(6);
    cslice_statistics before = counts();
    ended_reset();
    for (uint32_t i = 0; i < 6; i++) CHECK_EQUAL(adopt(first + i), 0);
    cslice_slot_release(first);
    uint32_t dead[] = {first + 1, first + 2, first + 1, first, UINT32_MAX};
    cslice_slots_collect(dead, 5);
    CHECK_EQUAL(cslice_slot_disown(first + 3), 0);
    CHECK_EQUAL(ended.times, 3);
    close_table();
    CHECK_EQUAL(ended.times, 5);
    CHECK_EQUAL(counts().released_by_scope, before.released_by_scope + 1);
    CHECK_EQUAL(counts().released_by_collection, before.released_by_collection + 2);
    CHECK_EQUAL(counts().released_by_thread_end, before.released_by_thread_end + 2);
    CHECK_EQUAL(counts().disowned_blocks, before.disowned_blocks + 1);
}

static void test_ref(void) {
    open_table();
    uint32_t first = reserve(3);
    ended_reset();
    CHECK_EQUAL(adopt(first), 0);
    CHECK_EQUAL(cslice_slot_ref(first + 1, first), 0);
    CHECK_EQUAL(cslice_slot_ref(first + 2, first + 1), 0);
    CHECK_EQUAL(cslice_slot_ref(first, first), CSLICE_ESLOT);
    CHECK_EQUAL(counts().live_blocks, 1);
    CHECK_EQUAL(cslice_slot_disown(first), CSLICE_EINVAL);
    cslice_slot_release(first);
    CHECK_EQUAL(cslice_slot_disown(first + 1), CSLICE_EINVAL);
    cslice_slots_collect((uint32_t[]){first + 1}, 1);
    CHECK_EQUAL(cslice_slot_ref(first, first), CSLICE_ESLOT);
    CHECK_EQUAL(ended.times, 0);
    CHECK_EQUAL(cslice_slot_disown(first + 2), 0);
    CHECK_EQUAL(cslice_slot_disown(first + 2), CSLICE_ESLOT);
    CHECK_EQUAL(ended.times, 0);
    close_table();
}

static void test_disowned_memory_is_malloced(void) {
    static const uint64_t alignments[] = {1, 16, 4096};
    open_table();
    uint32_t slot = reserve(1);
    for (size_t i = 0; i < 3; i++) {
        int64_t address = cslice_slot_alloc_with(slot, 10, alignments[i], 1);
        CHECK(address > 0);
        CHECK_EQUAL(cslice_slot_disown(slot), 0);
        free((void *)(uintptr_t)address);
    }
    close_table();
}

static void test_callback(void) {
    cslice__mailbox *mailbox = cslice__mailbox_new();
    CHECK(mailbox != NULL);
    open_table();
    uint32_t first = reserve(2);
    int64_t names[2];
    for (uint32_t i = 0; i < 2; i++) {
        names[i] = cslice_slot_adopt_callback(first + i, ADDRESS(&byte), 1, ADDRESS(mailbox));
        CHECK(names[i] > 0);
    }
    CHECK(names[0] != names[1]);
    cslice_slot_release(first + 1);
    CHECK_EQUAL(cslice_callback_take(ADDRESS(mailbox)), names[1]);
    CHECK_EQUAL(cslice_callback_take(ADDRESS(mailbox)), 0);
    close_table();
    CHECK_EQUAL(cslice__mailbox_close(mailbox), 1);
    cslice__mailbox_unref(mailbox);
}

typedef struct place {
    uint32_t slot;
    cslice__mailbox *mailbox;
} place;

static int64_t callback_attempt(void *argument) {
    place *at = argument;
    return cslice_slot_adopt_callback(at->slot, ADDRESS(&byte), 1, ADDRESS(at->mailbox));
}

static void test_callback_fails(void) {
    cslice__mailbox *mailbox = cslice__mailbox_new();
    CHECK(mailbox != NULL);
    open_table();
    place at = {reserve(1), mailbox};
    CHECK_EQUAL(fail_each_allocation(callback_attempt, &at, NULL), 1);
    CHECK_EQUAL(atomic_load(&mailbox->references), 2);
    cslice_slot_release(at.slot);
    CHECK_EQUAL(atomic_load(&mailbox->references), 1);
    CHECK_EQUAL(cslice__mailbox_close(mailbox), 1);
    cslice__mailbox_unref(mailbox);
    close_table();
}

/* As the second door does: the table first, while posts are still taken, then the mailbox. */
static void test_thread_end_with_callbacks(void) {
    cslice_statistics before = counts();
    cslice__mailbox *mailbox = cslice__mailbox_new();
    CHECK(mailbox != NULL);
    open_table();
    uint32_t first = reserve(3);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(cslice_slot_adopt_callback(first + i, ADDRESS(&byte), 1, ADDRESS(mailbox)) > 0);
    }
    cslice_slot_release(first);
    close_table();
    cslice__counts_lost(cslice__mailbox_close(mailbox));
    cslice__mailbox_unref(mailbox);
    CHECK_EQUAL(counts().lost_destructors, before.lost_destructors + 3);
    CHECK_EQUAL(counts().released_by_thread_end, before.released_by_thread_end + 2);
}

/* The context is a slot: releases it, and its own, which is empty by now. */
static void release_context(void *context, void *data) {
    cslice_slot_release((uint32_t)(uintptr_t)context);
    end_ctx_ptr(context, data);
}

static void fill_linked(uint32_t first, uint32_t count, uint32_t step) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t linked = first + (i + step) % count;
        CHECK_EQUAL(cslice_slot_adopt(first + i, ADDRESS(&byte), 1, FUNCTION(release_context),
                                      CSLICE_SIGNATURE_CTX_PTR, linked), 0);
    }
}

/* Each destructor releases another slot of the table, in rings forwards and backwards, and its own. */
static void test_destructors_release_slots(void) {
    enum { SLOTS = 50 };
    static const uint32_t steps[] = {0, 1, SLOTS - 1, 7};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        ended_reset();
        open_table();
        uint32_t first = reserve(SLOTS), slots[SLOTS];
        for (uint32_t j = 0; j < SLOTS; j++) slots[j] = first + j;
        fill_linked(first, SLOTS, steps[i]);
        cslice_slots_collect(slots, SLOTS);
        CHECK_EQUAL(ended.times, SLOTS);
        fill_linked(first, SLOTS, steps[i]);
        for (uint32_t j = 0; j < SLOTS; j++) cslice_slot_release(slots[j]);
        CHECK_EQUAL(ended.times, 2 * SLOTS);
        fill_linked(first, SLOTS, steps[i]);
        close_table();
        CHECK_EQUAL(ended.times, 3 * SLOTS);
    }
}

/* The slot before has ended by the time that the destructor of the slot after it releases it again. */
static void test_destructor_releases_ended_slot(void) {
    ended_reset();
    open_table();
    uint32_t first = reserve(2), slots[] = {first, first + 1};
    for (int round = 0; round < 2; round++) {
        CHECK_EQUAL(adopt(first), 0);
        CHECK_EQUAL(cslice_slot_adopt(first + 1, ADDRESS(&byte), 1, FUNCTION(release_context),
                                      CSLICE_SIGNATURE_CTX_PTR, first), 0);
        if (round == 0) cslice_slots_collect(slots, 2);
    }
    close_table();
    CHECK_EQUAL(ended.times, 4);
}

static bool closing;

/* Grows the table under the function that called the destructor, and uses a new slot; not in a table that closes. */
static void grow_table(void *data) {
    uint32_t first = reserve(1000);
    if (closing) {
        CHECK_EQUAL(adopt(first + 999), CSLICE_EOWNER);
        end_ptr(data);
        return;
    }
    CHECK_EQUAL(adopt(first + 999), 0);
    CHECK(cslice_slot_alloc(first, 8) > 0);
    cslice_slot_release(first);
    end_ptr(data);
}

static void test_destructors_grow_table(void) {
    ended_reset();
    open_table();
    uint32_t first = reserve(3), slots[] = {first, first + 1, first + 2};
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 3; i++) {
            CHECK_EQUAL(cslice_slot_adopt(first + i, ADDRESS(&byte), 1, FUNCTION(grow_table), 0, 0), 0);
        }
        if (round == 0) cslice_slots_collect(slots, 3);
    }
    CHECK_EQUAL(ended.times, 3);
    closing = true;
    close_table();
    CHECK_EQUAL(ended.times, 6 + 3);
}

/* The slot is empty as soon as its destructor runs. */
static void refill(void *context, void *data) {
    CHECK_EQUAL(adopt((uint32_t)(uintptr_t)context), 0);
    end_ctx_ptr(context, data);
}

static void test_destructor_refills_slot(void) {
    ended_reset();
    open_table();
    uint32_t slot = reserve(1);
    CHECK_EQUAL(cslice_slot_adopt(slot, ADDRESS(&byte), 1, FUNCTION(refill), CSLICE_SIGNATURE_CTX_PTR, slot), 0);
    cslice_slot_release(slot);
    CHECK_EQUAL(ended.times, 1);
    CHECK_EQUAL(counts().live_blocks, 1);
    cslice_slot_release(slot);
    CHECK_EQUAL(ended.times, 2);
    close_table();
}

static void *foreign_thread(void *argument) {
    test_without_table();
    open_table();
    CHECK_EQUAL(reserve(1), 0); /* not the table of the thread that waits for this one */
    CHECK_EQUAL(adopt(0), 0);
    cslice__owner_close();
    return argument;
}

static void test_table_of_another_thread(void) {
    ended_reset();
    open_table();
    uint32_t slot = reserve(5);
    CHECK(cslice_slot_alloc(slot, 1) > 0);
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, foreign_thread, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK_EQUAL(ended.times, 1);
    CHECK_EQUAL(counts().live_blocks, 1);
    close_table();
}

static void end_with_errno(void *data) {
    errno = EIO;
    end_ptr(data);
}

static void test_errno_kept(void) {
    errno = EDOM;
    open_table();
    uint32_t first = reserve(3), dead = first + 1;
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQUAL(cslice_slot_adopt(first + i, ADDRESS(&byte), 1, FUNCTION(end_with_errno), 0, 0), 0);
    }
    cslice_slot_release(first);
    cslice_slots_collect(&dead, 1);
    CHECK(cslice_slot_alloc(first, (uint64_t)64 << 20) > 0);
    CHECK(cslice_slot_alloc_with(dead, (uint64_t)64 << 20, 4096, 0) > 0);
    cslice_slot_release(dead);
    CHECK_EQUAL(cslice_slot_disown(first + 2), 0);
    CHECK_EQUAL(errno, EDOM);
    close_table();
    CHECK_EQUAL(errno, EDOM);
}

static void test_take(void) {
    open_table();
    uint32_t first = reserve(2);
    cslice_block *block = NULL;
    ended_reset();
    CHECK_EQUAL(cslice_block_adopt(&byte, 9, end_free, NULL, &block), 0);
    cslice_test_fail_allocation(1);
    CHECK_EQUAL(cslice_slot_take(first, 0, UINT64_MAX), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_slot_take(first, ADDRESS(block), UINT64_MAX), 0); /* needs no memory */
    cslice_test_fail_allocation(0);
    CHECK_EQUAL(cslice_slot_take(first, ADDRESS(block), UINT64_MAX), CSLICE_ESLOT);
    CHECK_EQUAL(cslice_slot_take(first + 2, ADDRESS(block), UINT64_MAX), CSLICE_ESLOT);
    CHECK_EQUAL(cslice_slot_block(first), ADDRESS(block));
    CHECK_EQUAL(cslice_slot_address(first), ADDRESS(&byte));
    CHECK_EQUAL(cslice_slot_size(first), 9);
    CHECK_EQUAL(cslice_slot_resize(first, 5), CSLICE_EINVAL);
    cslice_block_ref(block);
    cslice_slot_release(first);
    CHECK_EQUAL(ended.times, 0);
    cslice_block_drop(ADDRESS(block));
    CHECK_EQUAL(ended.times, 1);
    cslice_block_drop(0);
    CHECK_EQUAL(cslice_block_new(3, &block), 0);
    CHECK_EQUAL(cslice_slot_take(first + 1, ADDRESS(block), UINT64_MAX), 0);
    CHECK(cslice_slot_resize(first + 1, 300) > 0); /* as good as a block of cslice_slot_alloc */
    close_table();
}

static void test_full_slots_alone(void) {
    CHECK_EQUAL(cslice_slot_take(0, ADDRESS(&byte), UINT64_MAX), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slot_block(0), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slot_address(0), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slot_size(0), CSLICE_EOWNER);
    CHECK_EQUAL(cslice_slot_resize(0, 8), CSLICE_EOWNER);
    open_table();
    uint32_t slots[] = {reserve(1), 1, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQUAL(cslice_slot_block(slots[i]), CSLICE_ESLOT);
        CHECK_EQUAL(cslice_slot_address(slots[i]), CSLICE_ESLOT);
        CHECK_EQUAL(cslice_slot_size(slots[i]), CSLICE_ESLOT);
        CHECK_EQUAL(cslice_slot_resize(slots[i], 8), CSLICE_ESLOT);
    }
    close_table();
}

static unsigned char *at(int64_t address) {
    CHECK(address > 0);
    return (unsigned char *)(uintptr_t)address;
}

static void test_resize(void) {
    static const uint64_t alignments[] = {16, 64, 4096};
    static const uint64_t sizes[] = {1, 100, 0, 5000, 17, (uint64_t)3 << 20, 8};
    open_table();
    uint32_t slot = reserve(1);
    for (size_t i = 0; i < 3; i++) {
        uint64_t size = 10;
        memset(at(cslice_slot_alloc_with(slot, size, alignments[i], 0)), 0x5a, (size_t)size);
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            unsigned char *data = at(cslice_slot_resize(slot, sizes[j]));
            uint64_t kept = size < sizes[j] ? size : sizes[j];
            CHECK_EQUAL((uintptr_t)data % alignments[i], 0);
            for (uint64_t k = 0; k < kept; k++) CHECK_EQUAL(data[k], 0x5a);
            CHECK(all_zero(data + kept, (size_t)(sizes[j] - kept)));
            memset(data, 0x5a, (size_t)sizes[j]);
            size = sizes[j];
            CHECK_EQUAL(cslice_slot_size(slot), size);
            CHECK_EQUAL(cslice_slot_address(slot), ADDRESS(data));
            CHECK_EQUAL(counts().live_bytes, size);
            CHECK_EQUAL(counts().live_blocks, 1);
            check_invariant();
        }
        cslice_slot_release(slot);
    }
    close_table();
}

static void test_resize_refused(void) {
    static const uint64_t huge[] = {UINT64_MAX, (uint64_t)PTRDIFF_MAX + 1, PTRDIFF_MAX, PTRDIFF_MAX - 4096};
    open_table();
    uint32_t first = reserve(2);
    for (uint64_t alignment = 16; alignment <= 4096; alignment *= 256) {
        unsigned char *data = at(cslice_slot_alloc_with(first, 10, alignment, 1));
        cslice_statistics before = counts();
        for (size_t i = 0; i < 4; i++) CHECK_EQUAL(cslice_slot_resize(first, huge[i]), CSLICE_ENOMEM);
        CHECK_EQUAL(cslice_slot_ref(first + 1, first), 0);
        for (uint64_t size = 0; size < 100; size += 10) CHECK_EQUAL(cslice_slot_resize(first, size), CSLICE_EINVAL);
        cslice_slot_release(first + 1);
        cslice_limit_set(20);
        CHECK_EQUAL(cslice_slot_resize(first, 21), CSLICE_ELIMIT);
        CHECK_COUNTS_KEPT(before);
        CHECK_EQUAL(cslice_slot_address(first), ADDRESS(data));
        CHECK_EQUAL(cslice_slot_size(first), 10);
        CHECK(cslice_slot_resize(first, 20) > 0);
        CHECK(cslice_slot_resize(first, 2) > 0); /* never refused, whatever the limit */
        cslice_limit_set(1);
        CHECK(cslice_slot_resize(first, 1) > 0);
        cslice_limit_set(0);
        cslice_slot_release(first);
    }
    CHECK_EQUAL(adopt(first), 0);
    CHECK_EQUAL(cslice_slot_resize(first, 1), CSLICE_EINVAL);
    close_table();
}

static int64_t resize_attempt(void *argument) {
    return cslice_slot_resize(*(uint32_t *)argument, 5000);
}

static void test_resize_fails(void) {
    open_table();
    uint32_t first = reserve(2), aligned = first + 1;
    memset(at(cslice_slot_alloc(first, 10)), 1, 10);
    memset(at(cslice_slot_alloc_with(aligned, 10, 4096, 1)), 1, 10);
    for (uint32_t slot = first; slot <= aligned; slot++) {
        CHECK_EQUAL(fail_each_allocation(resize_attempt, &slot, NULL), 1);
        CHECK_EQUAL(*at(cslice_slot_address(slot)), 1);
    }
    errno = EDOM;
    CHECK(cslice_slot_resize(first, (uint64_t)64 << 20) > 0);
    CHECK_EQUAL(errno, EDOM);
    close_table();
}

static void test_resized_memory_is_malloced(void) {
    static const uint64_t alignments[] = {1, 16, 4096};
    open_table();
    uint32_t slot = reserve(1);
    for (size_t i = 0; i < 3; i++) {
        CHECK(cslice_slot_alloc_with(slot, 10, alignments[i], 1) > 0);
        unsigned char *data = at(cslice_slot_resize(slot, 1000));
        CHECK_EQUAL(cslice_slot_disown(slot), 0);
        free(data);
    }
    close_table();
}

static void test_give_back(void) {
    cslice_statistics before = counts();
    ended_reset();
    cslice_test_fail_allocation(1); /* it is for memory that could not be adopted, so it must not need any */
    cslice_give_back(ADDRESS(&byte), 7, FUNCTION(end_ptr), CSLICE_SIGNATURE_PTR, 0);
    CHECK(ended.times == 1 && ended.data == &byte);
    cslice_give_back(ADDRESS(&byte), 7, FUNCTION(end_ptr_size), CSLICE_SIGNATURE_PTR_SIZE, 0);
    CHECK(ended.times == 2 && ended.size == 7);
    cslice_give_back(ADDRESS(&byte), 7, FUNCTION(end_ctx_ptr), CSLICE_SIGNATURE_CTX_PTR, 55);
    CHECK(ended.times == 3 && (uintptr_t)ended.context == 55);
    cslice_test_fail_allocation(0);
    cslice_give_back(ADDRESS(&byte), 7, 0, CSLICE_SIGNATURE_PTR, 0);
    cslice_give_back(ADDRESS(&byte), 7, FUNCTION(end_ptr), CSLICE_SIGNATURE_CTX_PTR + 1, 0);
    cslice_give_back(ADDRESS(&byte), 7, FUNCTION(end_ptr), UINT32_MAX, 0);
    CHECK_EQUAL(ended.times, 3);
    CHECK_COUNTS_KEPT(before);
}

int main(void) {
    test_without_table();
    test_open_fails();
    test_users();
    test_reserve();
    test_growth_keeps_blocks();
    test_alloc();
    test_alignment();
    test_alloc_refused();
    test_failed_allocations();
    test_slot_misuse();
    test_adopt_signatures();
    test_adopt_refused();
    test_reasons();
    test_ref();
    test_disowned_memory_is_malloced();
    test_callback();
    test_callback_fails();
    test_thread_end_with_callbacks();
    test_destructors_release_slots();
    test_destructor_releases_ended_slot();
    test_destructors_grow_table();
    test_destructor_refills_slot();
    test_table_of_another_thread();
    test_errno_kept();
    test_take();
    test_full_slots_alone();
    test_resize();
    test_resize_refused();
    test_resize_fails();
    test_resized_memory_is_malloced();
    test_give_back();
    return 0;
}
