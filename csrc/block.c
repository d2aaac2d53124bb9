/* Counted blocks: what every slice, lease, share and C program holds references to. */
#include "internal.h"

#include <errno.h>

typedef void free_ptr(void *data);
typedef void free_ptr_size(void *data, size_t size);
typedef void free_ctx_ptr(void *context, void *data);

static struct {
    atomic_uint_fast64_t limit; /* 0: none */
    atomic_uint_fast64_t claimed_bytes; /* allocations under way, where there is a limit */
    atomic_uint_fast64_t live_bytes;
    atomic_uint_fast64_t peak_bytes;
    atomic_uint_fast64_t allocated;
    atomic_uint_fast64_t released[CSLICE__REASONS];
    atomic_uint_fast64_t disowned;
    atomic_uint_fast64_t lost;
    atomic_uint_fast64_t failed;
} counts;

static void add(atomic_uint_fast64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_fast64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void raise_peak(uint64_t live) {
    uint_fast64_t peak = get(&counts.peak_bytes);
    while (live > peak && !atomic_compare_exchange_weak_explicit(&counts.peak_bytes, &peak, live,
                                                                 memory_order_relaxed, memory_order_relaxed)) {
    }
}

/*
 * Under a limit, bytes are claimed before they are asked for, so that threads racing for the last of it cannot both win,
 * and apart from live_bytes, so that a claim that comes to nothing is in no statistics.
 */
static int claim(uint64_t limit, size_t size) {
    uint_fast64_t claimed = get(&counts.claimed_bytes);
    do {
        uint64_t taken = get(&counts.live_bytes) + claimed;
        if (taken > limit || size > limit - taken) return CSLICE_ELIMIT;
    } while (!atomic_compare_exchange_weak_explicit(&counts.claimed_bytes, &claimed, claimed + size,
                                                    memory_order_relaxed, memory_order_relaxed));
    return 0;
}

static void subtract(atomic_uint_fast64_t *counter, uint64_t n) {
    atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
}

static cslice_block *header_new(cslice__kind kind, void *data, size_t size) {
    cslice_block *block = cslice__mem_cell_alloc();
    if (block == NULL) return NULL;
    atomic_init(&block->references, 1);
    block->kind = kind;
    block->home = &counts;
    block->data = data;
    block->size = size;
    block->destructor.function = 0;
    block->with.context = NULL;
    return block;
}

static void count_new(size_t size) {
    add(&counts.allocated, 1);
    raise_peak(atomic_fetch_add_explicit(&counts.live_bytes, size, memory_order_relaxed) + size);
}

static cslice_block *allocate(size_t size, size_t alignment, bool zero) {
    void *data = cslice__mem_alloc(size, alignment, zero);
    if (data == NULL) return NULL;
    cslice_block *block = header_new(CSLICE__HEAP, data, size);
    if (block == NULL) {
        cslice__mem_free(data);
        return NULL;
    }
    block->with.alignment = alignment;
    return block;
}

int cslice__block_alloc(size_t size, size_t alignment, bool zero, cslice_block **block) {
    if (size > PTRDIFF_MAX) return CSLICE_ENOMEM;
    uint64_t limit = get(&counts.limit);
    int status = limit == 0 ? 0 : claim(limit, size);
    if (status != 0) return status;
    cslice_block *made = allocate(size, alignment, zero);
    if (made != NULL) count_new(size);
    if (limit != 0) subtract(&counts.claimed_bytes, size);
    if (made == NULL) return CSLICE_ENOMEM;
    *block = made;
    return 0;
}

int cslice__block_adopt(cslice__kind kind, void *data, size_t size, uintptr_t function, void *context,
                        cslice_block **block) {
    if (size > PTRDIFF_MAX) return CSLICE_EINVAL;
    cslice_block *made = header_new(kind, data, size);
    if (made == NULL) return CSLICE_ENOMEM;
    made->destructor.function = function;
    made->with.context = context;
    count_new(size); /* whatever the limit: the memory is in use, adopted or not */
    *block = made;
    return 0;
}

int cslice__block_adopt_callback(cslice__mailbox *mailbox, void *data, size_t size, cslice_block **block) {
    int status = cslice__block_adopt(CSLICE__CALLBACK, data, size, 0, NULL, block);
    if (status != 0) return status;
    cslice__mailbox_ref(mailbox);
    (*block)->with.mailbox = mailbox;
    (*block)->destructor.number = ++mailbox->last_number;
    return 0;
}

void cslice__block_give_back(cslice__kind kind, void *data, size_t size, uintptr_t function, void *context) {
    switch (kind) {
    case CSLICE__HEAP:
        if (size >= CSLICE__RECLAIM_THRESHOLD) {
            cslice__reclaim_free(data, size);
        } else {
            cslice__mem_free(data);
        }
        break;
    case CSLICE__PTR: ((free_ptr *)function)(data); break;
    case CSLICE__PTR_SIZE: ((free_ptr_size *)function)(data, size); break;
    case CSLICE__CTX_PTR: ((free_ctx_ptr *)function)(context, data); break;
    case CSLICE__FREE_FUNCTION:
        if (function != 0) ((cslice_free_function *)function)(data, size, context);
        break;
    case CSLICE__CALLBACK: break;
    }
}

/* Ends a block whose destructor is native. */
static void destroy(cslice_block *block) {
    cslice__block_give_back((cslice__kind)block->kind, block->data, block->size, block->destructor.function,
                      block->with.context);
    cslice__mem_cell_free(block);
}

static void hand_over(cslice_block *block) {
    cslice__mailbox *mailbox = block->with.mailbox;
    if (!cslice__mailbox_post(mailbox, block)) {
        cslice__block_count_lost(1);
        cslice__mem_cell_free(block);
    }
    cslice__mailbox_unref(mailbox);
}

void cslice__block_drop(cslice_block *block, cslice__reason reason) {
    /* Release, so that every thread's writes are done; acquire, so that the last one sees them before it frees. */
    if (atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) != 1) return;
    subtract(&counts.live_bytes, block->size);
    add(&counts.released[reason], 1);
    int saved = errno; /* a destructor, or a wake, may change it */
    if (block->kind == CSLICE__CALLBACK) {
        hand_over(block);
    } else {
        destroy(block);
    }
    errno = saved;
}

static bool is_shared(const cslice_block *block) {
    return atomic_load_explicit(&block->references, memory_order_acquire) != 1;
}

int64_t cslice__block_resize(cslice_block *block, size_t size) {
    if (block->kind != CSLICE__HEAP || is_shared(block)) return CSLICE_EINVAL;
    if (size > PTRDIFF_MAX) return CSLICE_ENOMEM;
    size_t gained = size > block->size ? size - block->size : 0;
    uint64_t limit = gained == 0 ? 0 : get(&counts.limit);
    int status = limit == 0 ? 0 : claim(limit, gained);
    if (status != 0) return status;
    void *data = cslice__mem_resize(block->data, block->size, size, block->with.alignment);
    if (limit != 0) subtract(&counts.claimed_bytes, gained);
    if (data == NULL) return CSLICE_ENOMEM;
    subtract(&counts.live_bytes, block->size);
    raise_peak(atomic_fetch_add_explicit(&counts.live_bytes, size, memory_order_relaxed) + size);
    block->data = data;
    block->size = size;
    return (int64_t)(uintptr_t)data;
}

int cslice__block_disown(cslice_block *block) {
    if (is_shared(block)) return CSLICE_EINVAL;
    subtract(&counts.live_bytes, block->size);
    add(&counts.disowned, 1);
    if (block->kind == CSLICE__CALLBACK) cslice__mailbox_unref(block->with.mailbox);
    cslice__mem_cell_free(block);
    return 0;
}

bool cslice__block_is_ours(const cslice_block *block) {
    return block->home == &counts;
}

void cslice_count_failure(void) {
    add(&counts.failed, 1);
}

void cslice__block_count_lost(uint64_t count) {
    add(&counts.lost, count);
}

int cslice_block_new(size_t size, cslice_block **block) {
    return cslice__block_alloc(size, 16, true, block);
}

int cslice_block_adopt(void *data, size_t size, cslice_free_function *free_function, void *context,
                       cslice_block **block) {
    return cslice__block_adopt(CSLICE__FREE_FUNCTION, data, size, (uintptr_t)free_function, context, block);
}

cslice_block *cslice_block_ref(cslice_block *block) {
    atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
    return block;
}

void cslice_block_unref(cslice_block *block) {
    if (block != NULL) cslice__block_drop(block, CSLICE__BY_C);
}

void *cslice_block_data(const cslice_block *block) {
    return block->data;
}

size_t cslice_block_size(const cslice_block *block) {
    return block->size;
}

void cslice_limit_set(uint64_t bytes) {
    atomic_store_explicit(&counts.limit, bytes, memory_order_relaxed);
}

void cslice_statistics_get(cslice_statistics *statistics) {
    uint64_t ended = get(&counts.disowned); /* before what is allocated, which so is never the smaller */
    for (int reason = 0; reason < CSLICE__REASONS; reason++) ended += get(&counts.released[reason]);
    *statistics = (cslice_statistics){
        .live_blocks = get(&counts.allocated) - ended,
        .live_bytes = get(&counts.live_bytes),
        .peak_bytes = get(&counts.peak_bytes),
        .allocated_blocks = get(&counts.allocated),
        .released_by_scope = get(&counts.released[CSLICE__BY_SCOPE]),
        .released_by_collection = get(&counts.released[CSLICE__BY_COLLECTION]),
        .released_by_thread_end = get(&counts.released[CSLICE__BY_THREAD_END]),
        .released_by_c = get(&counts.released[CSLICE__BY_C]),
        .disowned_blocks = get(&counts.disowned),
        .lost_destructors = get(&counts.lost),
        .failed_destructors = get(&counts.failed),
    };
}
