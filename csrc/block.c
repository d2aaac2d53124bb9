/* Counted blocks: what every slice, lease, share and C program holds references to. */
#include "internal.h"

#include <errno.h>
#include <string.h>

typedef void free_ptr(void *data);
typedef void free_ptr_size(void *data, size_t size);
typedef void free_ctx_ptr(void *context, void *data);

/* By its address a block knows the copy of this library that it belongs to. */
static const char home;

static void init(cslice_block *block, cslice__kind kind, void *data, size_t size) {
    atomic_init(&block->references, 1);
    block->kind = (uint8_t)kind;
    atomic_init(&block->recorded, false);
    block->home = &home;
    block->link.cache = cslice__cache_mine();
    block->data = data;
    block->size = size;
    block->destructor.function = 0;
    block->context = NULL;
    block->mailbox = NULL;
}

/* Where the block has its own context: a record stands in that place, and has it. */
static void **own_context(cslice_block *block) {
    if (!atomic_load_explicit(&block->recorded, memory_order_relaxed)) return &block->context;
    return &((cslice__record *)block->context)->context;
}

static cslice_block *header_new(cslice__kind kind, void *data, size_t size) {
    cslice_block *block = cslice__cache_take(0);
    if (block == NULL) {
        block = cslice__mem_alloc(sizeof *block, 16, false);
        if (block == NULL) return NULL;
        block->store.backing = NULL;
    }
    init(block, kind, data, size);
    return block;
}

/* The caller has given the data back, or left it to somebody else. */
static void header_free(cslice_block *block) {
    cslice__v8_forget(&block->store);
    block->data = NULL;
    block->size = 0;
    cslice__cache_give(block);
}

static bool is_small(size_t size, size_t alignment) {
    return size <= CSLICE__SMALL && cslice__mem_aligns(alignment);
}

static void data_free(void *data, size_t size, size_t alignment) {
    if (size >= CSLICE__RECLAIM_THRESHOLD) {
        cslice__reclaim_free(data, size, alignment);
    } else {
        cslice__mem_free_aligned(data, alignment);
    }
}

/* One that ended with room for as many bytes. */
static cslice_block *reuse(size_t size, bool zero) {
    cslice_block *block = cslice__cache_take(size == 0 ? 1 : size);
    if (block == NULL) return NULL;
    if (block->size != size) cslice__v8_forget(&block->store);
    init(block, CSLICE__HEAP, block->data, size);
    if (zero) cslice__block_zero(block);
    return block;
}

static cslice_block *allocate(size_t size, size_t alignment, bool zero) {
    cslice_block *block = is_small(size, alignment) ? reuse(size, zero) : NULL;
    if (block == NULL) {
        void *data = cslice__mem_alloc(size, alignment, zero);
        if (data == NULL) return NULL;
        block = header_new(CSLICE__HEAP, data, size);
        if (block == NULL) {
            data_free(data, size, alignment);
            return NULL;
        }
    }
    block->destructor.alignment = alignment;
    return block;
}

static cslice_block *allocate_guarded(size_t size, size_t alignment) {
    cslice__guarded *guarded = cslice__guard_alloc(size, alignment);
    if (guarded == NULL) return NULL;
    cslice_block *block = header_new(CSLICE__GUARDED, cslice__guard_data(guarded), size);
    if (block == NULL) {
        cslice__guard_free(guarded);
        return NULL;
    }
    block->destructor.alignment = alignment;
    block->context = guarded;
    return block;
}

static int make(size_t size, size_t alignment, bool zero, bool guard, cslice_block **block) {
    if (size > PTRDIFF_MAX) return CSLICE_ENOMEM;
    size_t claimed;
    int status = cslice__counts_claim(size, &claimed);
    if (status != 0) return status;
    cslice_block *made = guard ? allocate_guarded(size, alignment) : NULL;
    if (made == NULL) made = allocate(size, alignment, zero);
    if (made != NULL) cslice__counts_allocated(size);
    cslice__counts_unclaim(claimed);
    if (made == NULL) return CSLICE_ENOMEM;
    *block = made;
    return 0;
}

int cslice__block_alloc(size_t size, size_t alignment, bool zero, cslice_block **block) {
    return make(size, alignment, zero, false, block);
}

int cslice__block_alloc_guarded(size_t size, size_t alignment, cslice_block **block) {
    return make(size, alignment, true, true, block);
}

int cslice__block_clone(const cslice_block *source, size_t size, cslice_block **block) {
    cslice_block *clone;
    bool guard = source->kind == CSLICE__GUARDED;
    int status = make(size, source->destructor.alignment, false, guard, &clone);
    if (status != 0) return status;
    size_t kept = size < source->size ? size : source->size;
    memcpy(clone->data, source->data, kept);
    memset((char *)clone->data + kept, 0, size - kept);
    *block = clone;
    return 0;
}

int cslice__block_adopt(cslice__kind kind, void *data, size_t size, uintptr_t function,
                        void *context, cslice__mailbox *mailbox, cslice_block **block) {
    if (size > PTRDIFF_MAX) return CSLICE_EINVAL;
    cslice_block *made = header_new(kind, data, size);
    if (made == NULL) return CSLICE_ENOMEM;
    made->destructor.function = function;
    made->context = context;
    made->mailbox = mailbox;
    if (mailbox != NULL) cslice__mailbox_ref(mailbox);
    cslice__counts_class(CSLICE__ADOPTED, 1, size);
    cslice__counts_allocated(size); /* whatever the limit: the memory is in use, adopted or not */
    *block = made;
    return 0;
}

int cslice__block_wrap(void *data, size_t size, cslice_free_function *function, void *context,
                       cslice_block **block) {
    cslice_block *made = header_new(CSLICE__WRAPPED, data, size);
    if (made == NULL) return CSLICE_ENOMEM;
    made->destructor.function = (uintptr_t)function;
    made->context = context;
    cslice__counts_class(CSLICE__ATTACHED, 1, size);
    *block = made;
    return 0;
}

void cslice__block_give_back(cslice__kind kind, void *data, size_t size, uintptr_t function,
                             void *context) {
    switch (kind) {
    case CSLICE__GUARDED: cslice__guard_free(context); break;
    case CSLICE__PTR: ((free_ptr *)function)(data); break;
    case CSLICE__PTR_SIZE: ((free_ptr_size *)function)(data, size); break;
    case CSLICE__CTX_PTR: ((free_ctx_ptr *)function)(context, data); break;
    case CSLICE__FREE_FUNCTION:
    case CSLICE__WRAPPED:
        if (function != 0) ((cslice_free_function *)function)(data, size, context);
        break;
    case CSLICE__HEAP: /* its header says how */
    case CSLICE__CALLBACK:
    case CSLICE__GONE: break;
    }
}

static void free_heap_block(cslice_block *block) {
    if (is_small(block->size, block->destructor.alignment)) {
        cslice__cache_give(block);
    } else {
        data_free(block->data, block->size, block->destructor.alignment);
        header_free(block);
    }
}

int64_t cslice__block_finish(cslice_block *block) {
    if (block->kind == CSLICE__HEAP) {
        free_heap_block(block);
        return 0;
    }
    cslice_block ended = *block; /* a destructor may call back into this library */
    header_free(block);
    if (ended.kind == CSLICE__CALLBACK) return (int64_t)ended.destructor.function;
    cslice__block_give_back((cslice__kind)ended.kind, ended.data, ended.size,
                            ended.destructor.function, ended.context);
    return 0;
}

/* Counts an end. What had a record has its own context again. */
static void ended(cslice_block *block, cslice__end end) {
    if (block->kind == CSLICE__WRAPPED) {
        cslice__counts_class(CSLICE__ATTACHED, -1, block->size);
    } else if (block->kind != CSLICE__GONE) {
        bool adopted = block->kind != CSLICE__HEAP && block->kind != CSLICE__GUARDED;
        if (adopted) cslice__counts_class(CSLICE__ADOPTED, -1, block->size);
        cslice__counts_ended(block->size, end);
    }
    if (atomic_load_explicit(&block->recorded, memory_order_relaxed)) {
        atomic_store_explicit(&block->recorded, false, memory_order_relaxed);
        block->context = cslice__record_ended(block->context, end);
    }
}

static bool is_counted(const cslice_block *block) {
    return block->kind != CSLICE__GONE && block->kind != CSLICE__WRAPPED;
}

void cslice__block_unref(cslice_block *block, cslice__end end) {
    /* Release, so that every thread's writes are done; acquire, so that the last one sees them
     * before it frees. */
    if (atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) != 1) return;
    if (block->kind == CSLICE__GUARDED) cslice__guard_ending(*own_context(block), end);
    int saved = errno; /* a destructor, or a wake, may change it */
    ended(block, end);
    cslice__mailbox *mailbox = block->mailbox;
    if (mailbox == NULL) {
        cslice__block_finish(block);
    } else {
        size_t size = block->size;
        cslice__counts_due(1, size); /* first: the block may be taken at once */
        if (!cslice__mailbox_post(mailbox, block)) {
            /* Its thread has ended: a native destructor runs here, a JavaScript one cannot. */
            cslice__counts_due(-1, size);
            if (cslice__block_finish(block) != 0) cslice__counts_lost(1);
        }
        cslice__mailbox_unref(mailbox);
    }
    errno = saved;
}

static bool is_shared(const cslice_block *block) {
    return atomic_load_explicit(&block->references, memory_order_acquire) != 1;
}

bool cslice__block_is_allocated(const cslice_block *block) {
    return block->kind == CSLICE__HEAP || block->kind == CSLICE__GUARDED;
}

bool cslice__block_is_renewable(const cslice_block *block) {
    return cslice__block_is_allocated(block) && !is_shared(block);
}

void cslice__block_zero(cslice_block *block) {
    memset(block->data, 0, block->size);
}

/* To other pages, so that C finds out that it still uses the old ones; or to malloc's memory. */
static void *resize_guarded(cslice_block *block, size_t size) {
    cslice__guarded *old = *own_context(block);
    size_t alignment = block->destructor.alignment;
    cslice__guarded *guarded = cslice__guard_alloc(size, alignment);
    void *data =
        guarded != NULL ? cslice__guard_data(guarded) : cslice__mem_alloc(size, alignment, true);
    if (data == NULL) return NULL;
    memcpy(data, block->data, size < block->size ? size : block->size);
    block->kind = guarded != NULL ? CSLICE__GUARDED : CSLICE__HEAP;
    *own_context(block) = guarded;
    cslice__guard_ending(old, CSLICE__BY_SCOPE);
    cslice__guard_free(old);
    return data;
}

int64_t cslice__block_resize(cslice_block *block, size_t size) {
    if (!cslice__block_is_renewable(block)) return CSLICE_EINVAL;
    if (size > PTRDIFF_MAX) return CSLICE_ENOMEM;
    size_t gained = size > block->size ? size - block->size : 0;
    size_t claimed;
    int status = cslice__counts_claim(gained, &claimed);
    if (status != 0 && gained != 0) return status;
    void *data = block->kind == CSLICE__GUARDED
        ? resize_guarded(block, size)
        : cslice__mem_resize(block->data, block->size, size, block->destructor.alignment);
    cslice__counts_unclaim(claimed);
    if (data == NULL) return CSLICE_ENOMEM;
    cslice__counts_resized(block->size, size);
    cslice__v8_forget(&block->store);
    block->data = data;
    block->size = size;
    return (int64_t)(uintptr_t)data;
}

bool cslice__block_is_disownable(const cslice_block *block) {
    return !is_shared(block) && is_counted(block);
}

int cslice__block_disown_room(const cslice_block *block, void **room) {
    *room = NULL;
    if (block->kind != CSLICE__GUARDED) return 0;
    *room = cslice__mem_alloc(block->size, block->destructor.alignment, false);
    return *room == NULL ? CSLICE_ENOMEM : 0;
}

int64_t cslice__block_disown(cslice_block *block, void *room) {
    if (block->kind == CSLICE__GUARDED) {
        memcpy(room, block->data, block->size);
        block->data = room;
        cslice__guard_ending(*own_context(block), CSLICE__DISOWNED);
        cslice__guard_free(*own_context(block));
    }
    int64_t number = block->kind == CSLICE__CALLBACK ? (int64_t)block->destructor.function : 0;
    int saved = errno;
    ended(block, CSLICE__DISOWNED);
    errno = saved;
    if (block->mailbox != NULL) cslice__mailbox_unref(block->mailbox);
    block->mailbox = NULL;
    block->kind = CSLICE__GONE;
    return number;
}

bool cslice__block_is_ours(const cslice_block *block) {
    return block->home == &home;
}

int cslice_block_new(size_t size, cslice_block **block) {
    return make(size, 16, true, cslice__guard_is_due(), block);
}

int cslice_block_adopt(void *data, size_t size, cslice_free_function *free_function, void *context,
                       cslice_block **block) {
    return cslice__block_adopt(CSLICE__FREE_FUNCTION, data, size, (uintptr_t)free_function, context,
                               NULL, block);
}

cslice_block *cslice_block_ref(cslice_block *block) {
    atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
    return block;
}

void cslice_block_unref(cslice_block *block) {
    if (block != NULL) cslice__block_unref(block, CSLICE__BY_C);
}

int64_t cslice_references(uint64_t block) {
    const cslice_block *of = (const cslice_block *)(uintptr_t)block;
    return atomic_load_explicit(&of->references, memory_order_acquire);
}

void *cslice_block_data(const cslice_block *block) {
    return block->data;
}

size_t cslice_block_size(const cslice_block *block) {
    return block->size;
}

void cslice_guard_note(uint64_t block, uint32_t what, const void *text, uint64_t size) {
    cslice_block *guarded = (cslice_block *)(uintptr_t)block;
    if (guarded->kind == CSLICE__GUARDED)
        cslice__guard_note(*own_context(guarded), what, text, (size_t)size);
}

void cslice_unref(uint64_t block) {
    cslice_block_unref((cslice_block *)(uintptr_t)block);
}

static const cslice__kind kinds[] = {
    [CSLICE_SIGNATURE_PTR] = CSLICE__PTR,
    [CSLICE_SIGNATURE_PTR_SIZE] = CSLICE__PTR_SIZE,
    [CSLICE_SIGNATURE_CTX_PTR] = CSLICE__CTX_PTR,
};

int cslice__block_kind_of(uint32_t signature, cslice__kind *kind) {
    if (signature >= sizeof kinds / sizeof *kinds) return CSLICE_EINVAL;
    *kind = kinds[signature];
    return 0;
}

void cslice_give_back(uint64_t address, uint64_t size, uint64_t function, uint32_t signature,
                      uint64_t context) {
    cslice__kind kind;
    if (function == 0 || cslice__block_kind_of(signature, &kind) != 0) return;
    int saved = errno; /* the destructor may change it */
    cslice__block_give_back(kind, (void *)(uintptr_t)address, (size_t)size, (uintptr_t)function,
                            (void *)(uintptr_t)context);
    errno = saved;
}

int32_t cslice_blocks_renew(const double *blocks, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!cslice__block_is_renewable((cslice_block *)(uintptr_t)blocks[i])) return CSLICE_EINVAL;
    }
    for (uint32_t i = 0; i < count; i++) cslice__block_zero((cslice_block *)(uintptr_t)blocks[i]);
    return 0;
}
