/* The one place that asks the C library for memory, so that a test can make any request fail. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* From this size on the kernel is asked for huge pages: first touch and unmapping then cost a
   tenth. Smaller blocks gain little and would round their memory use up to 2 MiB. */
#define HUGE_PAGE_THRESHOLD ((size_t)16 << 20)

static atomic_uint_fast64_t failure_countdown;

bool cslice__mem_must_fail(void) {
    uint_fast64_t left = atomic_load_explicit(&failure_countdown, memory_order_relaxed);
    if (left == 0) return false;
    if (left == 1) return true;
    atomic_store_explicit(&failure_countdown, left - 1, memory_order_relaxed);
    return false;
}

void cslice_test_fail_allocation(uint64_t n) {
    atomic_store_explicit(&failure_countdown, n, memory_order_relaxed);
}

static void advise_huge_pages(void *memory, size_t size) {
    if (size >= HUGE_PAGE_THRESHOLD) cslice__advise_huge_pages(memory, size);
}

/* malloc aligns to 16 on every 64-bit system; 32-bit ones may give 8. */
bool cslice__mem_aligns(size_t alignment) {
    return alignment <= (sizeof(void *) == 8 ? 16 : 8);
}

/* glibc's malloc has a fast path for small blocks that its calloc lacks; calloc knows which large
   memory is fresh from the kernel, and does not touch it again. */
static void *alloc_zeroed(size_t size) {
    if (size > 1024) return calloc(1, size);
    void *memory = malloc(size);
    if (memory != NULL) memset(memory, 0, size);
    return memory;
}

/* Not under AddressSanitizer, which is to see a write past the end from the first byte on. */
size_t cslice__mem_whole(size_t size) {
    if (size == 0) size = 1; /* malloc(0) may be NULL, and every block has an address */
#if CSLICE__UNDER_ASAN
    return size;
#else
    return size > CSLICE__SMALL ? size
                                : (size + CSLICE__SMALL_UNIT - 1) & ~(CSLICE__SMALL_UNIT - 1);
#endif
}

void *cslice__mem_alloc(size_t size, size_t alignment, bool zero) {
    if (cslice__mem_must_fail()) return NULL;
    size = cslice__mem_whole(size);
    void *memory = NULL;
    if (cslice__mem_aligns(alignment)) {
        memory = zero ? alloc_zeroed(size) : malloc(size);
    } else {
        if (alignment > PTRDIFF_MAX || size > PTRDIFF_MAX - alignment) return NULL;
        memory = cslice__aligned_alloc(size, alignment);
    }
    if (memory == NULL) return NULL;
    advise_huge_pages(memory, size); /* before the first touch */
    if (zero && !cslice__mem_aligns(alignment)) memset(memory, 0, size);
    return memory;
}

static void *move(void *memory, size_t old_size, size_t size, size_t alignment) {
    void *moved = cslice__mem_alloc(size, alignment, false);
    if (moved == NULL) return NULL;
    memcpy(moved, memory, size < old_size ? size : old_size);
    cslice__aligned_free(memory);
    return moved;
}

static void *reallocate(void *memory, size_t size) {
    if (cslice__mem_must_fail()) return NULL;
    void *resized = realloc(memory, cslice__mem_whole(size));
    if (resized != NULL) advise_huge_pages(resized, size);
    return resized;
}

void *cslice__mem_resize(void *memory, size_t old_size, size_t size, size_t alignment) {
    void *resized = cslice__mem_aligns(alignment) ? reallocate(memory, size)
                                                  : move(memory, old_size, size, alignment);
    if (resized != NULL && size > old_size) memset((char *)resized + old_size, 0, size - old_size);
    return resized;
}

void cslice__mem_free(void *memory) {
    free(memory);
}

void cslice__mem_free_aligned(void *memory, size_t alignment) {
    if (cslice__mem_aligns(alignment)) {
        free(memory);
    } else {
        cslice__aligned_free(memory);
    }
}
