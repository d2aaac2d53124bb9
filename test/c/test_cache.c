#include "support.h"

#include <pthread.h>
#include <string.h>

enum { MANY = 100 };

static void *memory[MANY];

static void alloc_many(size_t size) {
    for (int i = 0; i < MANY; i++) {
        memory[i] = cslice__cache_alloc(size, true);
        CHECK(memory[i] != NULL && all_zero(memory[i], size));
        CHECK_EQUAL((uintptr_t)memory[i] % sizeof(void *), 0);
        memset(memory[i], 0xa5, size);
    }
}

static void free_many(size_t size) {
    for (int i = 0; i < MANY; i++) cslice__cache_free(memory[i], size);
}

static bool is_one_of(void *const *list, const void *address) {
    for (int i = 0; i < MANY; i++) {
        if (list[i] == address) return true;
    }
    return false;
}

static void test_serves_again_zeroed(void) {
    void *before[MANY];
    cslice__cache_open();
    alloc_many(64);
    memcpy(before, memory, sizeof before);
    free_many(64);
    alloc_many(64);
    for (int i = 0; i < MANY && !CSLICE__UNDER_ASAN; i++) CHECK(is_one_of(before, memory[i]));
    free_many(64);
    cslice__cache_close();
}

/* Gives memory back, and writes all that the next user of its room may ask for: valgrind would see too little room. */
static void check_room(void *given, size_t size) {
    CHECK(given != NULL);
    cslice__cache_free(given, size);
    size_t whole = cslice__mem_whole(size);
    void *next = cslice__cache_alloc(whole, false);
    CHECK(next != NULL);
    memset(next, 1, whole);
    cslice__cache_free(next, whole);
}

static void test_every_size(void) {
    cslice__cache_open();
    for (size_t size = 0; size <= CSLICE__SMALL; size++) {
        size_t whole = cslice__mem_whole(size);
        CHECK(whole >= size && whole > 0 && whole - size < CSLICE__SMALL_UNIT + (size == 0));
        check_room(cslice__cache_alloc(size, false), size);
    }
    cslice__cache_close();
}

/* Memory of any origin has that room: aligned, and resized from more and from less. */
static void test_every_origin(void) {
    cslice__cache_open();
    for (size_t size = 1; size <= CSLICE__SMALL; size += 37) {
        void *origins[] = {
            cslice__mem_alloc(size, 64, false),
            cslice__mem_resize(cslice__mem_alloc(5000, 16, false), 5000, size, 16),
            cslice__mem_resize(cslice__mem_alloc(1, 16, false), 1, size, 16),
            cslice__mem_resize(cslice__mem_alloc(5000, 64, false), 5000, size, 64),
        };
        for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) check_room(origins[i], size);
    }
    cslice__cache_close();
}

static void test_without_cache(void) {
    alloc_many(64);
    free_many(64);
    cslice__cache_close();
}

static void test_capacity(void) {
    cslice__cache_open();
    alloc_many(64);
    cslice__cache_set((size_t)10 * 64);
    free_many(64);
    cslice__cache_set(0); /* frees what was kept */
    alloc_many(1000);
    free_many(1000);
    cslice__cache_set(CSLICE__REUSE_BYTES);
    cslice__cache_close();
}

static int64_t alloc_attempt(void *unused) {
    (void)unused;
    void *made = cslice__cache_alloc(64, true);
    if (made == NULL) return CSLICE_ENOMEM;
    cslice__cache_free(made, 64);
    return 0;
}

/* What lies in the cache fails too when a test asks for that, so that tests do not depend on what ran before. */
static void test_failing(void) {
    cslice__cache_open();
    CHECK_EQUAL(fail_each_allocation(alloc_attempt, NULL, NULL), 1);
    CHECK_EQUAL(fail_each_allocation(alloc_attempt, NULL, NULL), 1);
    cslice__cache_close();
}

static void *free_in_other_thread(void *unused) {
    (void)unused;
    cslice__cache_open();
    free_many(64);
    alloc_many(64);
    cslice__cache_close();
    return NULL;
}

static void test_between_threads(void) {
    pthread_t thread;
    cslice__cache_open();
    alloc_many(64);
    CHECK_EQUAL(pthread_create(&thread, NULL, free_in_other_thread, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    free_many(64);
    cslice__cache_close();
}

int main(void) {
    test_serves_again_zeroed();
    test_every_size();
    test_every_origin();
    test_without_cache();
    test_capacity();
    test_failing();
    test_between_threads();
    return 0;
}
