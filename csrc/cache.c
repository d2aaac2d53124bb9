/*
 * Small memory that has been given back and waits for its next use. Headers and small blocks come and go with every
 * slice, and in floods with a garbage collection, which leave malloc with lists that it searches for long: a slice that
 * was dropped cost 0.7 µs there. Each JavaScript thread keeps some by size, without a lock.
 */
#include "internal.h"

#include <string.h>

#define CLASSES (CSLICE__SMALL / CSLICE__SMALL_UNIT + 1)

typedef struct kept {
    struct kept *next;
} kept;

typedef struct cache {
    kept *first[CLASSES]; /* by size, in units */
    size_t bytes;
} cache;

/* None under AddressSanitizer, which would no longer see the use of memory after its end. */
#define ALLOWED(bytes) (CSLICE__UNDER_ASAN ? 0 : (bytes))

static atomic_size_t capacity = ALLOWED(CSLICE__REUSE_BYTES); /* of each thread, in bytes */

static CSLICE__THREAD_LOCAL cache *mine; /* a pointer, since room for thread-local variables is scarce */

void cslice__cache_open(void) {
    mine = cslice__mem_alloc(sizeof *mine, 16, true); /* NULL: the thread keeps nothing */
}

static void empty(cache *own) {
    for (size_t units = 0; units < CLASSES; units++) {
        for (kept *memory; (memory = own->first[units]) != NULL;) {
            own->first[units] = memory->next;
            cslice__mem_free(memory);
        }
    }
    own->bytes = 0;
}

void cslice__cache_close(void) {
    if (mine == NULL) return;
    empty(mine);
    cslice__mem_free(mine);
    mine = NULL;
}

void cslice__cache_set(size_t bytes) {
    atomic_store_explicit(&capacity, ALLOWED(bytes), memory_order_relaxed);
    if (mine != NULL) empty(mine);
}

void *cslice__cache_alloc(size_t size, bool zero) {
    cache *own = mine; /* looked up once */
    size_t whole = cslice__mem_whole(size);
    kept *memory = own == NULL ? NULL : own->first[whole / CSLICE__SMALL_UNIT];
    if (memory == NULL) return cslice__mem_alloc(size, 1, zero);
    if (cslice__mem_must_fail()) return NULL;
    own->first[whole / CSLICE__SMALL_UNIT] = memory->next;
    CSLICE__PREFETCH(memory->next);
    own->bytes -= whole;
    if (zero) memset(memory, 0, size);
    return memory;
}

void cslice__cache_free(void *memory, size_t size) {
    cache *own = mine;
    size_t whole = cslice__mem_whole(size);
    if (own == NULL || own->bytes + whole > atomic_load_explicit(&capacity, memory_order_relaxed)) {
        cslice__mem_free(memory);
        return;
    }
    kept *next = memory;
    next->next = own->first[whole / CSLICE__SMALL_UNIT];
    own->first[whole / CSLICE__SMALL_UNIT] = next;
    own->bytes += whole;
}
