/*
 * Small blocks that have ended and wait for their next use, with their data and with what V8 has
 * made to show it. Blocks come and go with every slice, and in floods with a garbage collection,
 * which leave malloc with lists that it searches for long: a slice that was dropped cost 0.7 µs
 * there. Each JavaScript thread keeps some by size, without a lock. V8 ends what it has collected
 * on threads of its own: they return it to the thread that made it, since free() beside that
 * thread's malloc() makes both slow.
 */
#include "internal.h"

#include <string.h>

#define CLASSES (CSLICE__SMALL / CSLICE__SMALL_UNIT + 1)

struct cslice__cache {
    cslice_block
        *first[CLASSES]; /* by the size of their data, in units; first the ones without data */
    atomic_size_t bytes; /* only the owner writes it */
    _Atomic(cslice_block *)
        returned; /* by other threads; a stack that only the owner empties, all at once */
    atomic_size_t returned_bytes;
    atomic_bool open; /* other threads may return blocks */
    bool owned; /* a thread has it: until it has emptied it, nobody else may take it over. Guarded
                   by the mutex */
    cslice__cache *next;
};

/* What V8's BackingStore takes of malloc's memory. */
#define BACKING_BYTES ((size_t)96)

/* None under AddressSanitizer, which would no longer see the use of memory after its end. */
#define ALLOWED(bytes) (CSLICE__UNDER_ASAN ? 0 : (bytes))

static atomic_size_t capacity = ALLOWED(CSLICE__REUSE_BYTES); /* of each thread, in bytes */

static cslice__mutex mutex = CSLICE__MUTEX_INIT; /* guards the list */
static cslice__cache *all;
static _Thread_local cslice__cache *mine;

/* One that no thread has, if there is any. */
static cslice__cache *reopen(void) {
    for (cslice__cache *each = all; each != NULL; each = each->next) {
        if (!each->owned) return each;
    }
    return NULL;
}

void cslice__cache_open(void) {
    cslice__mutex_lock(&mutex);
    mine = reopen();
    if (mine == NULL && (mine = cslice__mem_alloc(sizeof *mine, 16, true)) != NULL) {
        mine->next = all;
        all = mine;
    } /* still NULL: the thread keeps nothing */
    if (mine != NULL) {
        mine->owned = true;
        atomic_store_explicit(&mine->open, true, memory_order_relaxed);
    }
    cslice__mutex_unlock(&mutex);
}

/* Where blocks are kept with room for `size` bytes; 0: without data. */
static cslice_block **list_for(cslice__cache *own, size_t size) {
    return &own->first[size == 0 ? 0 : cslice__mem_whole(size) / CSLICE__SMALL_UNIT];
}

static size_t room_of(const cslice_block *block) {
    return block->data != NULL ? cslice__mem_whole(block->size) : 0;
}

static size_t bytes_of(const cslice_block *block) {
    return sizeof *block + room_of(block) + (block->store.backing != NULL ? BACKING_BYTES : 0);
}

static size_t kept(const cslice__cache *cache) {
    return atomic_load_explicit(&cache->bytes, memory_order_relaxed);
}

static void set_kept(cslice__cache *own, size_t bytes) {
    atomic_store_explicit(&own->bytes, bytes, memory_order_relaxed);
}

static void free_block(cslice_block *block) {
    cslice__v8_forget(&block->store);
    if (block->data != NULL) cslice__mem_free(block->data);
    cslice__mem_free(block);
}

static void keep_or_free(cslice__cache *own, cslice_block *block) {
    size_t bytes = bytes_of(block);
    if (own == NULL || kept(own) + bytes > atomic_load_explicit(&capacity, memory_order_relaxed)) {
        free_block(block);
        return;
    }
    cslice_block **first = list_for(own, room_of(block));
    block->link.next = *first;
    *first = block;
    set_kept(own, kept(own) + bytes);
}

/* Takes in what other threads have returned. */
static void collect_returned(cslice__cache *own) {
    cslice_block *block = atomic_exchange_explicit(&own->returned, NULL, memory_order_acquire);
    while (block != NULL) {
        cslice_block *next = block->link.next;
        atomic_fetch_sub_explicit(&own->returned_bytes, bytes_of(block), memory_order_relaxed);
        keep_or_free(own, block);
        block = next;
    }
}

static void empty(cslice__cache *own) {
    collect_returned(own);
    for (size_t units = 0; units < CLASSES; units++) {
        for (cslice_block *block; (block = own->first[units]) != NULL;) {
            own->first[units] = block->link.next;
            free_block(block);
        }
    }
    set_kept(own, 0);
}

void cslice__cache_close(void) {
    cslice__cache *own = mine;
    if (own == NULL) return;
    atomic_store_explicit(&own->open, false, memory_order_relaxed);
    empty(own); /* a thread that saw it open may return a little more, for the next owner */
    mine = NULL;
    cslice__mutex_lock(&mutex);
    own->owned = false;
    cslice__mutex_unlock(&mutex);
}

cslice__cache *cslice__cache_mine(void) {
    return mine;
}

size_t cslice__cache_bytes(void) {
    size_t bytes = 0;
    cslice__mutex_lock(&mutex);
    for (const cslice__cache *each = all; each != NULL; each = each->next)
        bytes += kept(each) + atomic_load_explicit(&each->returned_bytes, memory_order_relaxed);
    cslice__mutex_unlock(&mutex);
    return bytes;
}

void cslice__cache_set(size_t bytes) {
    atomic_store_explicit(&capacity, ALLOWED(bytes), memory_order_relaxed);
    if (mine != NULL) empty(mine);
}

/* As for a block that malloc makes: its data is a request, and so is its header. */
static bool must_fail(size_t size) {
    return (size != 0 && cslice__mem_must_fail()) || cslice__mem_must_fail();
}

cslice_block *cslice__cache_take(size_t size) {
    cslice__cache *own = mine; /* looked up once */
    if (own == NULL) return NULL;
    cslice_block **first = list_for(own, size);
    if (*first == NULL && atomic_load_explicit(&own->returned, memory_order_relaxed) != NULL)
        collect_returned(own);
    cslice_block *block = *first;
    if (block == NULL || must_fail(size)) return NULL;
    *first = block->link.next;
    CSLICE__PREFETCH(block->link.next);
    set_kept(own, kept(own) - bytes_of(block));
    return block;
}

/* False: the thread keeps enough, or has ended. */
static bool return_block(cslice__cache *maker, cslice_block *block) {
    size_t bytes = bytes_of(block);
    if (!atomic_load_explicit(&maker->open, memory_order_relaxed) ||
        atomic_load_explicit(&maker->returned_bytes, memory_order_relaxed) + bytes >
            atomic_load_explicit(&capacity, memory_order_relaxed)) {
        return false;
    }
    atomic_fetch_add_explicit(&maker->returned_bytes, bytes, memory_order_relaxed);
    cslice_block *first = atomic_load_explicit(&maker->returned, memory_order_relaxed);
    do {
        block->link.next = first;
    } while (!atomic_compare_exchange_weak_explicit(&maker->returned, &first, block,
                                                    memory_order_release, memory_order_relaxed));
    return true;
}

void cslice__cache_give(cslice_block *block) {
    cslice__cache *own = mine, *maker = block->link.cache;
    if (maker != NULL && maker != own && return_block(maker, block)) return;
    keep_or_free(own, block);
}
