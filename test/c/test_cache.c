#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

enum { MANY = 100, DATA = 512 };

static cslice_block *held[MANY];
static void *data_before[MANY], *header_before[MANY];

static void make_blocks(size_t size) {
    for (int i = 0; i < MANY; i++) {
        held[i] = new_block(size);
        header_before[i] = held[i];
        data_before[i] = held[i]->data;
        CHECK(all_zero(held[i]->data, size));
        CHECK_EQUAL((uintptr_t)held[i]->data % sizeof(void *), 0);
        memset(held[i]->data, 0xa5, size);
    }
}

static void drop_blocks(void) {
    for (int i = 0; i < MANY; i++) cslice__block_unref(held[i], cslice__thread_end_reason());
}

static void *drop_without_cache(void *unused) {
    CHECK(cslice__cache_mine() == NULL);
    drop_blocks();
    return unused;
}

static void *drop_with_cache(void *unused) {
    cslice__cache_open();
    drop_blocks();
    cslice__cache_close();
    return unused;
}

static void in_thread(void *(*function)(void *)) {
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, function, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

static bool is_one_of(void *const *list, const void *address) {
    for (int i = 0; i < MANY; i++) {
        if (list[i] == address) return true;
    }
    return false;
}

/* How many of the blocks that are held now have the data, or the header, of one that was held
 * before. */
static int count_again(void *const *before, bool headers) {
    int again = 0;
    for (int i = 0; i < MANY; i++)
        again += is_one_of(before, headers ? (void *)held[i] : held[i]->data);
    return again;
}

/* How many blocks of a size the calling thread keeps; it has none of them afterwards. */
static int count_kept(size_t size) {
    int kept = 0;
    for (cslice_block *block; (block = cslice__cache_take(size)) != NULL; kept++) {
        if (block->data != NULL) cslice__mem_free(block->data);
        cslice__mem_free(block);
    }
    return kept;
}

static int unless_asan(int count) {
    return CSLICE__UNDER_ASAN ? 0 : count;
}

static void test_serves_again_zeroed(void) {
    cslice__cache_open();
    make_blocks(64);
    void *data[MANY], *headers[MANY];
    memcpy(data, data_before, sizeof data);
    memcpy(headers, header_before, sizeof headers);
    drop_blocks();
    make_blocks(64); /* which looks whether they are zeroed */
    CHECK(CSLICE__UNDER_ASAN || count_again(data, false) == MANY);
    CHECK(CSLICE__UNDER_ASAN || count_again(headers, true) == MANY);
    drop_blocks();
    cslice__cache_close();
}

/* Writes all that the next user of a block's room may ask for: valgrind would see too little room.
 */
static void check_room(cslice_block *block) {
    size_t size = block->size, whole = cslice__mem_whole(size);
    memset(block->data, 1, size);
    cslice_block_unref(block);
    block = new_block(whole);
    CHECK(all_zero(block->data, whole));
    memset(block->data, 1, whole);
    cslice_block_unref(block);
    block = new_block(size);
    CHECK(block->size == size && all_zero(block->data, size));
    cslice_block_unref(block);
}

static void test_every_size(void) {
    cslice__cache_open();
    for (size_t size = 0; size <= CSLICE__SMALL; size++) {
        size_t whole = cslice__mem_whole(size);
        CHECK(whole >= size && whole > 0 && whole - size < CSLICE__SMALL_UNIT + (size == 0));
        check_room(new_block(size));
    }
    cslice__cache_close();
}

/* Memory of any origin has that room: aligned, and resized from more and from less. */
static void test_every_origin(void) {
    static const struct {
        size_t size, alignment;
    } origins[] = {{0, 64}, {5000, 16}, {1, 16}, {5000, 64}};
    cslice__cache_open();
    for (size_t size = 1; size <= CSLICE__SMALL; size += 37) {
        for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
            cslice_block *block = new_aligned_block(origins[i].size, origins[i].alignment, false);
            CHECK(cslice__block_resize(block, size) > 0);
            check_room(block);
        }
        check_room(new_aligned_block(size, 64, false));
    }
    cslice__cache_close();
}

static void test_without_cache(void) {
    make_blocks(64);
    drop_blocks();
    CHECK(cslice__cache_take(64) == NULL);
    cslice__cache_close();
}

static void test_capacity(void) {
    const size_t block = sizeof(cslice_block) + DATA;
    cslice__cache_open();
    cslice__cache_set(10 * block);
    make_blocks(DATA);
    drop_blocks();
    CHECK_EQUAL(count_kept(DATA), unless_asan(10));
    make_blocks(DATA);
    drop_blocks();
    cslice__cache_set(0); /* frees what was kept */
    CHECK_EQUAL(count_kept(DATA), 0);
    make_blocks(DATA);
    drop_blocks();
    CHECK_EQUAL(count_kept(DATA), 0);
    make_blocks(5000);
    cslice__cache_set(sizeof(cslice_block)); /* of a large block the header alone is kept */
    drop_blocks();
    CHECK_EQUAL(count_kept(0), unless_asan(1));
    cslice__cache_set(CSLICE__REUSE_BYTES);
    cslice__cache_close();
}

static int64_t alloc_attempt(void *unused) {
    (void)unused;
    cslice_block *block;
    int status = cslice_block_new(64, &block);
    if (status == 0) cslice_block_unref(block);
    return status;
}

/* What is kept fails too when a test asks for that, so that tests do not depend on what ran before.
 */
static void test_failing(void) {
    cslice__cache_open();
    CHECK_EQUAL(fail_each_allocation(alloc_attempt, NULL, NULL), 2);
    CHECK_EQUAL(fail_each_allocation(alloc_attempt, NULL, NULL), 2);
    cslice__cache_close();
}

/* ---- blocks that another thread returns ---- */

static void test_returned_to_maker(void) {
    static void *(*const droppers[])(void *) = {drop_without_cache, drop_with_cache};
    for (int i = 0; i < 2; i++) {
        cslice__cache_open();
        make_blocks(DATA);
        void *data[MANY], *headers[MANY];
        memcpy(data, data_before, sizeof data);
        memcpy(headers, header_before, sizeof headers);
        in_thread(droppers[i]);
        check_nothing_live();
        make_blocks(DATA); /* new_block zeroes, and make_blocks writes all of it */
        CHECK(CSLICE__UNDER_ASAN || count_again(data, false) == MANY);
        CHECK(CSLICE__UNDER_ASAN || count_again(headers, true) == MANY);
        drop_blocks();
        cslice__cache_close();
    }
}

static void test_returned_is_zeroed_again(void) {
    cslice__cache_open();
    make_blocks(DATA);
    in_thread(drop_without_cache);
    for (int i = 0; i < MANY; i++) {
        held[i] = new_block(DATA);
        CHECK(all_zero(held[i]->data, DATA));
        CHECK_EQUAL(atomic_load(&held[i]->references), 1);
        CHECK(held[i]->link.cache == cslice__cache_mine());
    }
    drop_blocks();
    cslice__cache_close();
}

/* Of a large block only the header is returned. */
static void test_large_data_is_freed(void) {
    cslice__cache_open();
    make_blocks(5000);
    void *headers[MANY];
    memcpy(headers, header_before, sizeof headers);
    in_thread(drop_without_cache);
    make_blocks(5000);
    CHECK(CSLICE__UNDER_ASAN || count_again(headers, true) == MANY);
    drop_blocks();
    cslice__cache_close();
}

/* Aligned and resized memory is as good; small memory that an aligned block had goes there too. */
static void test_every_origin_is_returned(void) {
    cslice__cache_open();
    for (int i = 0; i < MANY; i++) {
        held[i] = new_aligned_block(i % 3 == 0 ? 5000 : (size_t)i, (size_t)1 << i % 8, false);
        if (i % 2 == 0) CHECK(cslice__block_resize(held[i], (size_t)(i * 37 % 1200)) > 0);
        memset(held[i]->data, 1, held[i]->size);
    }
    in_thread(drop_without_cache);
    for (size_t size = 0; size <= CSLICE__SMALL; size++) {
        cslice_block *block = new_block(size);
        CHECK(all_zero(block->data, size));
        memset(block->data, 1, cslice__mem_whole(size));
        cslice_block_unref(block);
    }
    cslice__cache_close();
    check_nothing_live();
}

/* The owner does not look for what was returned as long as it keeps enough, so others may return as
 * much again. */
static void test_return_capacity(void) {
    const size_t block = sizeof(cslice_block) + DATA;
    cslice__cache_open();
    for (int round = 0; round < 3; round++) {
        cslice__cache_set(10 * block);
        make_blocks(DATA);
        in_thread(drop_without_cache);
        CHECK_EQUAL(count_kept(DATA), unless_asan(10));
        make_blocks(DATA);
        in_thread(drop_with_cache);
        cslice__cache_set(10 * block); /* empties it */
        CHECK_EQUAL(count_kept(DATA), 0);
    }
    cslice__cache_set(0);
    make_blocks(DATA);
    in_thread(drop_without_cache);
    CHECK_EQUAL(count_kept(DATA), 0);
    make_blocks(5000);
    cslice__cache_set(sizeof(cslice_block));
    in_thread(drop_without_cache);
    CHECK_EQUAL(count_kept(0), unless_asan(1));
    cslice__cache_set(CSLICE__REUSE_BYTES);
    cslice__cache_close();
}

static void test_return_to_closed(void) {
    cslice__cache_open();
    make_blocks(DATA);
    cslice__cache_close();
    CHECK(cslice__cache_mine() == NULL);
    drop_blocks();
    cslice__cache_open();
    CHECK_EQUAL(count_kept(DATA), 0);
    make_blocks(DATA);
    cslice__cache_close();
    in_thread(drop_with_cache); /* which takes the closed one over, and has made none of these */
    check_nothing_live();
}

/* A cache is empty when it closes: the next owner has all of its capacity. */
static void test_close_empties(void) {
    cslice__cache_open();
    cslice__cache *own = cslice__cache_mine();
    cslice__cache_set(10 * (sizeof(cslice_block) + DATA));
    make_blocks(DATA);
    in_thread(drop_without_cache);
    cslice__cache_close();
    cslice__cache_open();
    CHECK(cslice__cache_mine() == own);
    CHECK_EQUAL(count_kept(DATA), 0);
    make_blocks(DATA);
    in_thread(drop_without_cache);
    CHECK_EQUAL(count_kept(DATA), unless_asan(10));
    cslice__cache_set(CSLICE__REUSE_BYTES);
    cslice__cache_close();
}

static cslice__cache *expected;

static void *take_over(void *unused) {
    cslice__cache_open();
    CHECK(cslice__cache_mine() == expected); /* none is open: the same one is found first */
    for (int i = 0; i < MANY; i++) {
        cslice_block *block = new_block(DATA);
        CHECK(all_zero(block->data, DATA));
        cslice_block_unref(block);
    }
    drop_blocks(); /* as if it had made them */
    make_blocks(DATA);
    return unused; /* stays open: a thread that ends without a close must not harm */
}

/* Blocks whose maker has ended go to the thread that has the cache now. */
static void test_reopened(void) {
    cslice__cache_open();
    expected = cslice__cache_mine();
    make_blocks(DATA);
    cslice__cache_close();
    in_thread(take_over);
    void *data[MANY];
    memcpy(data, data_before, sizeof data);
    drop_blocks();
    cslice__cache_open();
    CHECK(cslice__cache_mine() != expected);
    cslice__cache_close();
    check_nothing_live();
}

/* Several threads return what the owner makes, while it makes more, and closes and opens its cache.
 */
enum { RETURNERS = 4, PLACES = 64, ROUNDS = 20000 };

static _Atomic(cslice_block *) places[PLACES];
static atomic_bool stop;

static void *return_blocks(void *argument) {
    for (size_t i = (size_t)(uintptr_t)argument; !atomic_load(&stop); i++) {
        cslice_block *block = atomic_exchange(&places[i % PLACES], NULL);
        if (block == NULL) {
            sched_yield();
            continue;
        }
        unsigned char *data = block->data;
        for (size_t j = 1; j < block->size; j++) CHECK_EQUAL(data[j], data[0]);
        data[0] = 0;
        cslice_block_unref(block);
    }
    return NULL;
}

static void test_many_return_at_once(void) {
    pthread_t threads[RETURNERS];
    int rounds = under_valgrind() ? ROUNDS / 10 : ROUNDS;
    for (int t = 0; t < RETURNERS; t++) {
        CHECK_EQUAL(pthread_create(&threads[t], NULL, return_blocks, (void *)(uintptr_t)(t * 7)),
                    0);
    }
    cslice__cache_open();
    for (int i = 0; i < rounds; i++) {
        size_t size =
            1 + (size_t)i % 5 * 300; /* large ones too, of which the header alone is returned */
        cslice_block *block = new_block(size);
        CHECK(all_zero(block->data, size));
        memset(block->data, i & 0xff, size);
        cslice_block_unref(atomic_exchange(&places[i % PLACES], block));
        if (i % 1000 == 999) {
            cslice__cache_close();
            cslice__cache_open();
        }
        if (i % 1500 == 0) cslice__cache_set(i % 3000 == 0 ? 2000 : CSLICE__REUSE_BYTES);
    }
    cslice__cache_set(CSLICE__REUSE_BYTES);
    atomic_store(&stop, true);
    for (int t = 0; t < RETURNERS; t++) CHECK_EQUAL(pthread_join(threads[t], NULL), 0);
    for (int i = 0; i < PLACES; i++) cslice_block_unref(atomic_exchange(&places[i], NULL));
    cslice__cache_close();
    check_nothing_live();
}

int main(void) {
    test_serves_again_zeroed();
    test_every_size();
    test_every_origin();
    test_without_cache();
    test_capacity();
    test_failing();
    test_returned_to_maker();
    test_returned_is_zeroed_again();
    test_large_data_is_freed();
    test_every_origin_is_returned();
    test_return_capacity();
    test_return_to_closed();
    test_close_empties();
    test_many_return_at_once();
    test_reopened();
    return 0;
}
