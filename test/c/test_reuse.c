#include "support.h"

#include <pthread.h>

static reuse_account *open_account(void) {
    cslice__thread_open();
    CHECK(account() != NULL);
    return account();
}

/* The blocks of this thread's buffers. */
enum { MOST_BUFFERS = 16 };
static _Thread_local cslice_block *buffers[MOST_BUFFERS];
static _Thread_local int buffer_count;

static cslice_block *alloc(size_t size) {
    CHECK(buffer_count < MOST_BUFFERS);
    return buffers[buffer_count++] = new_block(size);
}

static void release(cslice_block *block, cslice__end end) {
    for (int i = 0; i < MOST_BUFFERS; i++) {
        if (buffers[i] == block) buffers[i] = NULL;
    }
    cslice__block_unref(block, end);
}

/* As csrc/host.c ends a thread; then V8 ends the buffers that are left, those of kept blocks among
 * them. */
static void close_account(void) {
    cslice__thread_close();
    for (int i = 0; i < buffer_count; i++) {
        if (buffers[i] != NULL) release(buffers[i], cslice__thread_end_reason());
    }
    buffer_count = 0;
}

static void close_last_account(void) {
    close_account();
    check_nothing_live();
}

static void keep(reuse_account *own, double size) {
    own->released++;
    own->bytes += size;
}

static void take(reuse_account *own, double size) {
    own->taken++;
    own->bytes -= size;
}

/* In the order that cslice.h demands. */
static void give_back(reuse_account *own, cslice_block *block, double size) {
    own->released--;
    release(block, CSLICE__BY_SCOPE);
    own->bytes -= size;
}

static void test_no_account_without_thread(void) {
    CHECK_EQUAL(cslice_reuse_account(), 0);
}

static void test_kept_is_released_and_taken_is_allocated(void) {
    reuse_account *own = open_account();
    cslice_statistics before = counts();
    alloc(64);
    keep(own, 64);
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
    close_last_account();
}

static void test_released_for_good(void) {
    reuse_account *own = open_account();
    cslice_statistics before = counts();
    cslice_block *block = alloc(64);
    keep(own, 64);
    give_back(own, block, 64);
    CHECK_EQUAL(counts().released_by_scope, before.released_by_scope + 1);
    CHECK_EQUAL(counts().allocated_blocks, before.allocated_blocks + 1);
    check_nothing_live();
    close_account();
}

/* What is kept when the thread ends was released by scope, however long ago; V8 then ends its
 * buffers all the same. */
static void test_thread_end(void) {
    reuse_account *own = open_account();
    cslice_statistics before = counts();
    alloc(64);
    alloc(64);
    alloc(64);
    keep(own, 64);
    keep(own, 64);
    take(own, 64);
    close_account();
    cslice_statistics after = counts();
    CHECK_EQUAL(after.allocated_blocks, before.allocated_blocks + 4);
    CHECK_EQUAL(after.released_by_scope, before.released_by_scope + 2);
    CHECK_EQUAL(after.released_by_thread_end, before.released_by_thread_end + 2);
    check_invariant();
    check_nothing_live();
}

/* The peak is that of the bytes in use: those kept are not counted twice. */
static void test_peak(void) {
    reuse_account *own = open_account();
    const uint64_t size = (uint64_t)8 << 20;
    alloc(size);
    uint64_t peak = counts().peak_bytes;
    CHECK_EQUAL(peak, counts().live_bytes);
    keep(own, (double)size);
    alloc(size);
    CHECK_EQUAL(counts().peak_bytes, peak);
    take(own, (double)size);
    CHECK_EQUAL(counts().peak_bytes, peak + size);
    close_last_account();
}

/* No call into C tells of a block that is taken, but the next one sees it, even if it ends that
 * block. */
static void test_peak_before_an_end(void) {
    reuse_account *own = open_account();
    cslice_block *block = alloc(64), *other = alloc(64);
    keep(own, 64);
    keep(own, 64);
    alloc(counts().peak_bytes + 1000);
    uint64_t peak = counts().peak_bytes;
    give_back(own, other, 64);
    CHECK_EQUAL(counts().peak_bytes, peak);
    take(own, 64);
    release(block, CSLICE__BY_SCOPE);
    CHECK_EQUAL(counts().peak_bytes, peak + 64);
    close_last_account();
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
    close_account();
}

/* Bytes that are kept leave room under the limit. */
static void test_limit(void) {
    reuse_account *own = open_account();
    uint64_t live = counts().live_bytes;
    alloc(1000);
    keep(own, 1000);
    cslice_limit_set(live + 1000);
    cslice_block *block = alloc(1000);
    cslice_block *refused = NULL;
    CHECK_EQUAL(cslice_block_new(1, &refused), CSLICE_ELIMIT);
    release(block, CSLICE__BY_SCOPE);
    cslice_limit_set(0);
    close_last_account();
}

static void *other_thread(void *argument) {
    cslice_statistics before = counts();
    reuse_account *own = open_account();
    CHECK(own != argument);
    alloc(64);
    keep(own, 64);
    CHECK_EQUAL(counts().live_bytes, before.live_bytes);
    close_account();
    return NULL;
}

static void test_each_thread_has_its_own(void) {
    reuse_account *own = open_account();
    alloc(64);
    keep(own, 64);
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, other_thread, own), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK_EQUAL(own->released, 1);
    close_last_account();
}

int main(void) {
    test_no_account_without_thread();
    test_kept_is_released_and_taken_is_allocated();
    test_released_for_good();
    test_thread_end();
    test_peak();
    test_peak_before_an_end();
    test_capacity();
    test_limit();
    test_each_thread_has_its_own();
    return 0;
}
