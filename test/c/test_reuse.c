#include "support.h"

#include <pthread.h>

static reuse_account *open_account(void) {
    open_table();
    CHECK(account() != NULL);
    return account();
}

static uint32_t alloc(uint64_t size) {
    uint32_t slot = reserve(1);
    CHECK(cslice_slot_alloc(slot, size) > 0);
    return slot;
}

static char *data_of(uint32_t slot) {
    return (char *)(uintptr_t)cslice_slot_address(slot);
}

static void put_aside(reuse_account *own, double size) {
    own->released++;
    own->bytes += size;
}

static void take(reuse_account *own, double size) {
    own->taken++;
    own->bytes -= size;
}

/* In the order that cslice.h demands. */
static void give_back(reuse_account *own, uint32_t slot, double size) {
    own->released--;
    cslice_slot_release(slot);
    own->bytes -= size;
}

static void test_no_account_without_table(void) {
    CHECK_EQUAL(cslice_reuse_account(), 0);
}

static void test_aside_is_released_and_taken_is_allocated(void) {
    reuse_account *own = open_account();
    cslice_statistics before = counts();
    alloc(64);
    put_aside(own, 64);
    CHECK_EQUAL(counts().live_blocks, before.live_blocks);
    CHECK_EQUAL(counts().live_bytes, before.live_bytes);
    CHECK_EQUAL(counts().allocated_blocks, before.allocated_blocks + 1);
    CHECK_EQUAL(counts().released_by_scope, before.released_by_scope + 1);
    check_invariant();
    take(own, 64);
    CHECK_EQUAL(counts().live_blocks, before.live_blocks + 1);
    CHECK_EQUAL(counts().live_bytes, before.live_bytes + 64);
    CHECK_EQUAL(counts().allocated_blocks, before.allocated_blocks + 2);
    check_invariant();
    close_table();
}

static void test_released_for_good(void) {
    reuse_account *own = open_account();
    cslice_statistics before = counts();
    uint32_t slot = alloc(64);
    put_aside(own, 64);
    give_back(own, slot, 64);
    CHECK_EQUAL(counts().released_by_scope, before.released_by_scope + 1);
    CHECK_EQUAL(counts().allocated_blocks, before.allocated_blocks + 1);
    check_nothing_live();
    cslice__owner_close();
}

/* What lies aside when the thread ends was released by scope, however long ago. */
static void test_thread_end(void) {
    reuse_account *own = open_account();
    cslice_statistics before = counts();
    alloc(64);
    alloc(64);
    alloc(64);
    put_aside(own, 64);
    put_aside(own, 64);
    take(own, 64);
    cslice__owner_close();
    cslice_statistics after = counts();
    CHECK_EQUAL(after.allocated_blocks, before.allocated_blocks + 4);
    CHECK_EQUAL(after.released_by_scope, before.released_by_scope + 2);
    CHECK_EQUAL(after.released_by_thread_end, before.released_by_thread_end + 2);
    check_invariant();
    check_nothing_live();
}

/* The peak is that of the bytes in use: those aside are not counted twice. */
static void test_peak(void) {
    reuse_account *own = open_account();
    const uint64_t size = (uint64_t)8 << 20;
    alloc(size);
    uint64_t peak = counts().peak_bytes;
    CHECK_EQUAL(peak, counts().live_bytes);
    put_aside(own, (double)size);
    alloc(size);
    CHECK_EQUAL(counts().peak_bytes, peak);
    take(own, (double)size);
    CHECK_EQUAL(counts().peak_bytes, peak + size);
    close_table();
}

/* No call into C tells of a block that is taken, but the next one sees it, even if it ends that block. */
static void test_peak_before_an_end(void) {
    reuse_account *own = open_account();
    uint32_t slot = alloc(64), other = alloc(64);
    put_aside(own, 64);
    put_aside(own, 64);
    alloc(counts().peak_bytes + 1000);
    uint64_t peak = counts().peak_bytes;
    give_back(own, other, 64);
    CHECK_EQUAL(counts().peak_bytes, peak);
    take(own, 64);
    cslice_slot_release(slot);
    CHECK_EQUAL(counts().peak_bytes, peak + 64);
    close_table();
}

static void test_capacity(void) {
    reuse_account *own = open_account();
    double usual = own->capacity;
    CHECK(usual > 0);
    cslice_limit_set(1 << 20);
    CHECK_EQUAL(own->capacity, 0);
    cslice_reuse_set(4096);
    CHECK_EQUAL(own->capacity, 0);
    cslice_limit_set(0);
    CHECK_EQUAL(own->capacity, 4096);
    cslice_reuse_set((uint64_t)usual);
    CHECK_EQUAL(own->capacity, usual);
    cslice__owner_close();
}

/* Bytes that lie aside leave room under the limit. */
static void test_limit(void) {
    reuse_account *own = open_account();
    uint64_t live = counts().live_bytes;
    alloc(1000);
    put_aside(own, 1000);
    cslice_limit_set(live + 1000);
    uint32_t slot = alloc(1000);
    CHECK_EQUAL(cslice_slot_alloc(reserve(1), 1), CSLICE_ELIMIT);
    cslice_slot_release(slot);
    cslice_limit_set(0);
    close_table();
}

static void *other_thread(void *argument) {
    cslice_statistics before = counts();
    reuse_account *own = open_account();
    CHECK(own != argument);
    alloc(64);
    put_aside(own, 64);
    CHECK_EQUAL(counts().live_bytes, before.live_bytes);
    cslice__owner_close();
    return NULL;
}

static void test_each_thread_has_its_own(void) {
    reuse_account *own = open_account();
    alloc(64);
    put_aside(own, 64);
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, other_thread, own), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK_EQUAL(own->released, 1);
    close_table();
}

static void test_renew(void) {
    open_account();
    uint32_t slots[] = {alloc(64), alloc(1), alloc(0)};
    data_of(slots[0])[63] = 1;
    data_of(slots[1])[0] = 1;
    CHECK_EQUAL(cslice_slots_renew(slots, 3), 0);
    CHECK(all_zero(data_of(slots[0]), 64));
    CHECK(all_zero(data_of(slots[1]), 1));
    CHECK_EQUAL(cslice_slots_renew(NULL, 0), 0);
    cslice__owner_close();
}

/* All or nothing: a block that somebody else sees must not change, nor one before it. */
static void test_renew_refuses(void) {
    static char byte = 1;
    open_account();
    uint32_t first = reserve(3), slots[] = {alloc(8), first};
    data_of(slots[0])[0] = 1;
    CHECK_EQUAL(cslice_slots_renew(slots, 2), CSLICE_ESLOT);
    slots[1] = UINT32_MAX;
    CHECK_EQUAL(cslice_slots_renew(slots, 2), CSLICE_ESLOT);
    CHECK_EQUAL(cslice_slot_adopt(first, ADDRESS(&byte), 1, FUNCTION(end_ptr), CSLICE_SIGNATURE_PTR, 0), 0);
    slots[1] = first;
    CHECK_EQUAL(cslice_slots_renew(slots, 2), CSLICE_EINVAL);
    slots[1] = alloc(8);
    CHECK_EQUAL(cslice_slot_ref(first + 1, slots[1]), 0);
    CHECK_EQUAL(cslice_slots_renew(slots, 2), CSLICE_EINVAL);
    CHECK_EQUAL(data_of(slots[0])[0], 1);
    CHECK_EQUAL(byte, 1);
    cslice__owner_close();
    CHECK_EQUAL(cslice_slots_renew(slots, 2), CSLICE_EOWNER);
}

int main(void) {
    test_no_account_without_table();
    test_aside_is_released_and_taken_is_allocated();
    test_released_for_good();
    test_thread_end();
    test_peak();
    test_peak_before_an_end();
    test_capacity();
    test_limit();
    test_each_thread_has_its_own();
    test_renew();
    test_renew_refuses();
    return 0;
}
