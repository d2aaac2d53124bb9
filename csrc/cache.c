/*
 * Small memory that has been given back and waits for its next use. Headers and small blocks come and go with every
 * slice, and in floods with a garbage collection, which leave malloc with lists that it searches for long: a slice that
 * was dropped cost 0.7 µs there. Each JavaScript thread keeps some by size, without a lock. V8 frees what it has collected
 * on threads of its own: they return it to the thread that made it, since free() beside that thread's malloc() makes both
 * slow.
 */
#include "internal.h"

#include <string.h>

#define CLASSES (CSLICE__SMALL / CSLICE__SMALL_UNIT + 1)

typedef struct kept {
    struct kept *next;
} kept;

struct cslice__cache {
    kept *first[CLASSES]; /* by size, in units */
    size_t bytes;
    _Atomic(cslice_block *) returned; /* by other threads; a stack that only the owner empties, all at once */
    atomic_size_t returned_bytes;
    atomic_bool open; /* other threads may return blocks */
    bool owned;       /* a thread has it: until it has emptied it, nobody else may take it over. Guarded by the mutex */
    cslice__cache *next;
};

/* None under AddressSanitizer, which would no longer see the use of memory after its end. */
#define ALLOWED(bytes) (CSLICE__UNDER_ASAN ? 0 : (bytes))

static atomic_size_t capacity = ALLOWED(CSLICE__REUSE_BYTES); /* of each thread, in bytes */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static cslice__cache *all;
static CSLICE__THREAD_LOCAL cslice__cache *mine;

/* One that no thread has, if there is any. */
static cslice__cache *reopen(void) {
    for (cslice__cache *each = all; each != NULL; each = each->next) {
        if (!each->owned) return each;
    }
    return NULL;
}

void cslice__cache_open(void) {
    pthread_mutex_lock(&mutex);
    mine = reopen();
    if (mine == NULL && (mine = cslice__mem_alloc(sizeof *mine, 16, true)) != NULL) {
        mine->next = all;
        all = mine;
    } /* still NULL: the thread keeps nothing */
    if (mine != NULL) {
        mine->owned = true;
        atomic_store_explicit(&mine->open, true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&mutex);
}

/* Takes in what other threads have returned. */
static void collect_returned(cslice__cache *own) {
    cslice_block *block = atomic_exchange_explicit(&own->returned, NULL, memory_order_acquire);
    while (block != NULL) {
        cslice_block *next = block->link.next;
        atomic_fetch_sub_explicit(&own->returned_bytes, sizeof *block + block->size, memory_order_relaxed);
        if (block->data != NULL) cslice__cache_free(block->data, block->size);
        cslice__cache_free(block, sizeof *block);
        block = next;
    }
}

static void empty(cslice__cache *own) {
    collect_returned(own);
    for (size_t units = 0; units < CLASSES; units++) {
        for (kept *memory; (memory = own->first[units]) != NULL;) {
            own->first[units] = memory->next;
            cslice__mem_free(memory);
        }
    }
    own->bytes = 0;
}

void cslice__cache_close(void) {
    cslice__cache *own = mine;
    if (own == NULL) return;
    atomic_store_explicit(&own->open, false, memory_order_relaxed);
    empty(own); /* a thread that saw it open may return a little more, for the next owner */
    mine = NULL;
    pthread_mutex_lock(&mutex);
    own->owned = false;
    pthread_mutex_unlock(&mutex);
}

cslice__cache *cslice__cache_mine(void) {
    return mine;
}

void cslice__cache_set(size_t bytes) {
    atomic_store_explicit(&capacity, ALLOWED(bytes), memory_order_relaxed);
    if (mine != NULL) empty(mine);
}

void *cslice__cache_alloc(size_t size, bool zero) {
    cslice__cache *own = mine; /* looked up once */
    size_t whole = cslice__mem_whole(size);
    if (own == NULL) return cslice__mem_alloc(size, 1, zero);
    kept **first = &own->first[whole / CSLICE__SMALL_UNIT];
    if (*first == NULL && atomic_load_explicit(&own->returned, memory_order_relaxed) != NULL) collect_returned(own);
    kept *memory = *first;
    if (memory == NULL) return cslice__mem_alloc(size, 1, zero);
    if (cslice__mem_must_fail()) return NULL;
    *first = memory->next;
    CSLICE__PREFETCH(memory->next);
    own->bytes -= whole;
    if (zero) memset(memory, 0, size);
    return memory;
}

void cslice__cache_free(void *memory, size_t size) {
    cslice__cache *own = mine;
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

bool cslice__cache_return(cslice__cache *cache, cslice_block *block, size_t size) {
    size_t bytes = sizeof *block + size;
    if (!atomic_load_explicit(&cache->open, memory_order_relaxed) ||
        atomic_load_explicit(&cache->returned_bytes, memory_order_relaxed) + bytes >
            atomic_load_explicit(&capacity, memory_order_relaxed)) {
        return false;
    }
    atomic_fetch_add_explicit(&cache->returned_bytes, bytes, memory_order_relaxed);
    cslice_block *first = atomic_load_explicit(&cache->returned, memory_order_relaxed);
    do {
        block->link.next = first;
    } while (!atomic_compare_exchange_weak_explicit(&cache->returned, &first, block, memory_order_release,
                                                    memory_order_relaxed));
    return true;
}
