#include "support.h"

#include <errno.h>
#include <string.h>

static bool aligned(const void *memory, size_t alignment) {
    return ((uintptr_t)memory & (alignment - 1)) == 0;
}

static void test_alignment_and_zero(void) {
    static const size_t alignments[] = {1, 2, 8, 16, 32, 64, 4096, (size_t)2 << 20};
    static const size_t sizes[] = {0, 1, 15, 16, 17, 4095, 4097, (size_t)3 << 20};
    for (size_t a = 0; a < sizeof alignments / sizeof *alignments; a++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            unsigned char *memory = cslice__mem_alloc(sizes[s], alignments[a], true);
            CHECK(memory != NULL);
            CHECK(aligned(memory, alignments[a]));
            CHECK(all_zero(memory, sizes[s]));
            memset(memory, 0xa5, sizes[s]);
            cslice__mem_free(memory);
        }
    }
}

static void test_zero_after_reuse(void) {
    for (size_t alignment = 16; alignment <= 64; alignment *= 4) {
        for (int round = 0; round < 100; round++) {
            unsigned char *memory = cslice__mem_alloc(100, alignment, true);
            CHECK(memory != NULL && all_zero(memory, 100));
            memset(memory, 0xff, 100);
            cslice__mem_free(memory);
        }
    }
}

static void test_large(void) {
    size_t size = ((size_t)32 << 20) + 5;
    for (size_t alignment = 16; alignment <= 4096; alignment *= 256) {
        unsigned char *memory = cslice__mem_alloc(size, alignment, true);
        CHECK(memory != NULL && aligned(memory, alignment));
        CHECK(memory[0] == 0 && memory[size / 2] == 0 && memory[size - 1] == 0);
        memory[0] = memory[size - 1] = 1;
        cslice__mem_free(memory);
    }
}

static void test_too_large(void) {
    CHECK(cslice__mem_alloc(SIZE_MAX, 4096, true) == NULL);
    CHECK(cslice__mem_alloc(SIZE_MAX - 4095, 4096, false) == NULL);
    CHECK(cslice__mem_alloc(PTRDIFF_MAX, 16, true) == NULL);
    CHECK(cslice__mem_alloc(PTRDIFF_MAX, 16, false) == NULL);
    CHECK(under_valgrind() || cslice__mem_alloc(16, SIZE_MAX / 4 + 1, false) == NULL);
}

static void test_resize(void) {
    char *memory = cslice__mem_resize(NULL, 0, 8, 16);
    CHECK(memory != NULL);
    memcpy(memory, "1234567", 8);
    memory = cslice__mem_resize(memory, 8, 100000, 16);
    CHECK(memory != NULL && strcmp(memory, "1234567") == 0);
    cslice_test_fail_allocation(1);
    CHECK(cslice__mem_resize(memory, 100000, 200000, 16) == NULL);
    cslice_test_fail_allocation(0);
    CHECK(strcmp(memory, "1234567") == 0);
    memory = cslice__mem_resize(memory, 100000, 0, 16);
    CHECK(memory != NULL);
    cslice__mem_free(memory);
    cslice__mem_free(NULL);
}

static bool allocates(void) {
    void *memory = cslice__mem_alloc(1, 1, false);
    cslice__mem_free(memory);
    return memory != NULL;
}

static void test_fail_hook(void) {
    cslice_test_fail_allocation(1);
    CHECK(!allocates() && !allocates());
    cslice_test_fail_allocation(3);
    CHECK(allocates() && allocates() && !allocates() && !allocates());
    cslice_test_fail_allocation(0);
    CHECK(allocates() && allocates());
}

static void test_errno_kept(void) {
    errno = EDOM;
    void *small = cslice__mem_alloc(1, 1, true);
    void *aligned_memory = cslice__mem_alloc(1, 4096, true);
    void *large = cslice__mem_alloc((size_t)64 << 20, 16, false);
    CHECK(small != NULL && aligned_memory != NULL && large != NULL);
    CHECK_EQUAL(errno, EDOM);
    cslice__mem_free(small);
    cslice__mem_free(aligned_memory);
    cslice__mem_free(large);
}

int main(void) {
    test_alignment_and_zero();
    test_zero_after_reuse();
    test_large();
    test_too_large();
    test_resize();
    test_fail_hook();
    test_errno_kept();
    return 0;
}
